"""SyncDataset end to end: the real service over gRPC, with the stand-in as its exchange."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import data_service_pb2_grpc, dataset_pb2
from assay.market.v1 import candles_pb2

from services.common.errors import AssayError, Code
from services.common.frames import Candles
from services.common.frames_codec import from_proto, timestamp_from_ms
from services.common.intervals import DAY_MS, Interval
from services.common.server import running
from services.common.status import error_of
from services.data.__main__ import application
from services.data.settings import DataSettings
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, NOW_MS, Canned, StandIn, rate, row

NAME = "datasets/bybit.linear.btcusdt.1h"
FUNDING = "datasets/bybit.linear.btcusdt.funding"

# Quoted: only the type stubs know the asynchronous one.
Stub: TypeAlias = "data_service_pb2_grpc.DataServiceAsyncStub"


@pytest.fixture
async def data(exchange: StandIn, tmp_path: Path) -> AsyncIterator[Stub]:
    """The data service on empty stores."""
    settings = DataSettings(home=str(tmp_path), bybit_url=exchange.url)
    async with (
        running(application(settings)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield data_service_pb2_grpc.DataServiceStub(channel)


def window(start_ms: int, end_ms: int) -> candles_pb2.TimeWindow:
    """Return a window of the contract."""
    return candles_pb2.TimeWindow(
        start_time=timestamp_from_ms(start_ms), end_time=timestamp_from_ms(end_ms)
    )


async def sync(
    data: Stub, name: str = NAME, start_ms: int = LAUNCH_MS, end_ms: int = NOW_MS
) -> list[pb.SyncDatasetResponse]:
    """Sync a window and return all messages."""
    request = pb.SyncDatasetRequest(name=name, window=window(start_ms, end_ms))
    return [message async for message in data.SyncDataset(request)]


async def refused(data: Stub, name: str = NAME) -> AssayError:
    """Sync, which must fail, and return the error."""
    with pytest.raises(grpc.RpcError) as caught:
        await sync(data, name)
    return error_of(caught.value)


async def stored(data: Stub, name: str = NAME) -> Candles:
    """Return all candles of a dataset."""
    request = pb.ReadCandlesRequest(snapshot=candles_pb2.CandleSnapshot(dataset=name))
    answers = [answer async for answer in data.ReadCandles(request)]
    return Candles.concatenate(from_proto(answer.candles) for answer in answers[1:])


async def test_a_sync_stores_every_closed_bar_with_the_exact_numbers(data: Stub) -> None:
    """All 5,000 closed hours come, progress only rises, and the last message has the dataset."""
    messages = await sync(data)

    counts = [message.fetched_row_count for message in messages]
    dataset = messages[-1].dataset
    assert counts == sorted(counts)
    assert not any(message.HasField("dataset") for message in messages[:-1])
    assert (counts[-1], dataset.row_count, dataset.source) == (5_000, 5_000, "bybit")
    assert (dataset.quality.gap_count, dataset.kind) == (0, dataset_pb2.Dataset.KIND_CANDLES)
    candles = await stored(data)
    assert candles.content_digest() == dataset.content_digest
    rows = [row(Interval.HOUR_1, LAUNCH_MS + number * HOUR_MS)[:6] for number in range(5_000)]
    assert candles.close.tolist() == [float(texts[4]) for texts in rows]
    assert candles.volume.tolist() == [float(texts[5]) for texts in rows]


async def test_the_bar_that_was_forming_comes_when_it_is_closed(
    exchange: StandIn, data: Stub
) -> None:
    """A second sync goes on where the first ended and asks for one page only."""
    await sync(data, end_ms=NOW_MS + DAY_MS)
    before = len(exchange.windows())
    exchange.now_ms += 2 * HOUR_MS

    (*_, last) = await sync(data, end_ms=NOW_MS + DAY_MS)

    assert last.dataset.row_count == 5_002
    assert len(exchange.windows()) == before + 1


async def test_an_open_window_reaches_from_a_year_ago_to_now(exchange: StandIn, data: Stub) -> None:
    """Without a window a new dataset begins 365 days before now, or at the launch."""
    now_ms = time.time_ns() // 1_000_000
    exchange.now_ms, exchange.launch_ms = now_ms, now_ms - 3 * DAY_MS

    messages = [answer async for answer in data.SyncDataset(pb.SyncDatasetRequest(name=NAME))]

    # The launch lies inside a bar, and so does now: 72 bars, whatever the minute.
    assert messages[-1].dataset.row_count == 72


async def test_gaps_of_the_exchange_are_reported(exchange: StandIn, data: Stub) -> None:
    """Bars the exchange lacks are missing in the dataset, and its quality report says which."""
    exchange.missing = {LAUNCH_MS + number * HOUR_MS for number in (100, 101, 4_000)}

    (*_, last) = await sync(data)

    quality = last.dataset.quality
    assert (last.dataset.row_count, quality.gap_count, quality.missing_bar_count) == (4_997, 2, 3)
    assert quality.gaps[0].start_time == timestamp_from_ms(LAUNCH_MS + 100 * HOUR_MS)


async def test_a_broken_sync_goes_on_where_it_ended(exchange: StandIn, data: Stub) -> None:
    """Pages that came before the break are kept; in the end the data are those of one sync."""
    # The listing and two pages are answered, the third page is not.
    exchange.faults.extend([None, None, None, Canned("gone", status=404)])

    error = await refused(data)
    kept = len(await stored(data))
    asked = len(exchange.windows())
    (*_, last) = await sync(data)

    assert (error.code, error.reason) == (Code.UNAVAILABLE, "SOURCE_UNAVAILABLE")
    assert error.retry_after_ms
    assert kept == 2_000
    assert (
        min(start_ms for start_ms, _ in exchange.windows()[asked:]) >= LAUNCH_MS + 1_999 * HOUR_MS
    )
    assert last.dataset.row_count == 5_000


@pytest.mark.parametrize("category", ["linear", "inverse", "spot"])
async def test_an_unknown_symbol_stores_nothing(data: Stub, category: str) -> None:
    """NOT_FOUND names the instrument, no dataset appears, and the service keeps serving."""
    error = await refused(data, f"datasets/bybit.{category}.notacoinusdt.1h")

    assert (error.code, error.reason) == (Code.NOT_FOUND, "INSTRUMENT_UNKNOWN")
    assert error.metadata["instrument"] == f"bybit.{category}.notacoinusdt"
    assert len((await data.ListDatasets(pb.ListDatasetsRequest())).datasets) == 0
    assert (await sync(data))[-1].dataset.row_count == 5_000


async def test_a_ban_is_told_with_the_time_to_wait(exchange: StandIn, data: Stub) -> None:
    """The caller learns that the exchange asked for patience, and when to come back."""
    exchange.faults.append(Canned("access too frequent", status=403))

    error = await refused(data)

    assert (error.code, error.reason) == (Code.UNAVAILABLE, "SOURCE_RATE_LIMITED")
    assert error.retry_after_ms == 600_000


async def test_rows_that_break_the_rules_are_not_stored(exchange: StandIn, data: Stub) -> None:
    """A high below the low is the exchange's word, but no candle."""
    texts = row(Interval.HOUR_1, LAUNCH_MS)
    texts[2], texts[3] = texts[3], texts[2]
    result = {"category": "linear", "symbol": "BTCUSDT", "list": [texts]}
    bad = Canned({"retCode": 0, "result": result, "time": LAUNCH_MS + HOUR_MS})
    exchange.faults.extend([None, bad])

    error = await refused(data)

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "CANDLES_INVALID")
    assert len((await data.ListDatasets(pb.ListDatasetsRequest())).datasets) == 0


async def test_funding_rates_are_a_dataset_too(data: Stub) -> None:
    """All settlements since the launch, as the exchange sent them."""
    (*_, last) = await sync(data, FUNDING)

    answers = data.ReadFunding(pb.ReadFundingRequest(name=FUNDING))
    pairs = [
        pair
        async for answer in answers
        for pair in zip(
            answer.funding.funding_time_ms, answer.funding.funding_rate_ratio, strict=True
        )
    ]
    times = range(LAUNCH_MS + 8 * HOUR_MS, NOW_MS, 8 * HOUR_MS)
    assert pairs == [(at, float(rate(at))) for at in times]
    assert last.dataset.row_count == len(times)


async def test_instruments_are_listed_with_their_rules(data: Stub) -> None:
    """ListInstruments asks the exchange; the rules a cost model needs are there."""
    request = pb.ListInstrumentsRequest(source="bybit", category="linear", symbol="BTCUSDT")

    (instrument,) = (await data.ListInstruments(request)).instruments

    assert instrument.name == "instruments/bybit.linear.btcusdt"
    assert (instrument.tick_size_quote, instrument.minimum_notional_quote) == (0.1, 5.0)
    assert instrument.launch_time == timestamp_from_ms(LAUNCH_MS)
