"""Datasets and instruments are listed page by page; datasets are described and deleted."""

from __future__ import annotations

import asyncio
from typing import Any

from assay.data.v1 import data_service_pb2 as pb

from tests.service.bybit.stand_in import StandIn
from tests.service.bybit.stand_in import refusal as bybit_refusal
from tests.service.data.calls import (
    NAME,
    Stub,
    bars,
    fields,
    get,
    import_bars,
    read,
    refusal,
)


async def test_an_empty_service_lists_nothing(data: Stub) -> None:
    """No datasets are no error."""
    answer = await data.ListDatasets(pb.ListDatasetsRequest())
    assert answer == pb.ListDatasetsResponse()


async def test_datasets_are_listed_by_name_page_by_page(data: Stub) -> None:
    """Pages follow each other without loss, though datasets come and go in between."""
    names = [f"datasets/file.d{number}.1h" for number in range(5)]
    for name in reversed(names):
        await import_bars(data, bars([0, 5]), name, accept=["ACCEPTANCE_GAPS"])
    first = await data.ListDatasets(pb.ListDatasetsRequest(page_size=2))
    assert [dataset.name for dataset in first.datasets] == names[:2]
    assert first.datasets[0].quality.gap_count == 1
    assert not first.datasets[0].quality.gaps
    await data.DeleteDataset(pb.DeleteDatasetRequest(name=names[0]))
    rest = await data.ListDatasets(
        pb.ListDatasetsRequest(page_size=1_000_000, page_token=first.next_page_token)
    )
    assert [dataset.name for dataset in rest.datasets] == names[2:]
    assert rest.next_page_token == ""


async def test_a_wrong_page_is_refused(data: Stub) -> None:
    """A negative size and a made-up token are one error."""
    wrong = pb.ListDatasetsRequest(page_size=-1, page_token="§")
    assert fields(await refusal(data.ListDatasets(wrong))) == ["page_size", "page_token"]


async def test_a_dataset_is_described_with_its_gaps(data: Stub) -> None:
    """GetDataset lists the gaps that lists leave out."""
    await import_bars(data, bars([0, 1, 5]), accept=["ACCEPTANCE_GAPS"])
    quality = (await get(data)).quality
    assert (quality.gap_count, quality.missing_bar_count) == (1, 3)
    assert quality.gaps[0].start_time.seconds == 2 * 3600
    assert quality.gaps[0].end_time.seconds == 5 * 3600


async def test_unknown_and_malformed_names_are_refused(data: Stub) -> None:
    """Both methods that name a dataset tell the same errors."""
    calls: list[tuple[Any, Any]] = [
        (data.GetDataset, pb.GetDatasetRequest),
        (data.DeleteDataset, pb.DeleteDatasetRequest),
    ]
    for call, message in calls:
        missing = await refusal(call(message(name="datasets/no.such.1h")))
        assert (missing.code.name, missing.reason) == ("NOT_FOUND", "DATASET_UNKNOWN")
        assert missing.metadata["dataset"] == "datasets/no.such.1h"
        assert set(fields(await refusal(call(message(name="../etc"))))) == {"name"}
        assert fields(await refusal(call(message()))) == ["name"]


async def test_a_deleted_dataset_is_gone_with_its_frames(data: Stub) -> None:
    """After deletion nothing is served, and a dataset of the same name starts anew."""
    await import_bars(data, bars(range(10)))
    await read(data)
    await data.DeleteDataset(pb.DeleteDatasetRequest(name=NAME))
    error = await refusal(data.GetDataset(pb.GetDatasetRequest(name=NAME)))
    assert error.reason == "DATASET_UNKNOWN"
    rows = bars(range(10), price=55.0)
    again = await import_bars(data, rows)
    assert again.version == 0
    _, served = await read(data)
    assert served.content_digest() == rows.content_digest()


async def test_deleting_while_reading_never_serves_half(data: Stub) -> None:
    """A reader meets a whole frame or a dataset that is gone, never an inner error."""
    rows = bars(range(5_000))
    for _ in range(5):
        await import_bars(data, rows)
        reading = asyncio.gather(*(read(data) for _ in range(4)), return_exceptions=True)
        await data.DeleteDataset(pb.DeleteDatasetRequest(name=NAME))
        for outcome in await reading:
            if isinstance(outcome, BaseException):
                assert "no dataset is called" in str(outcome)
            else:
                assert outcome[1].content_digest() == rows.content_digest()


async def test_instruments_are_listed_with_their_rules(data: Stub) -> None:
    """Rules of a contract come with units in their names; what spot lacks is unset."""
    answer = await data.ListInstruments(
        pb.ListInstrumentsRequest(source="bybit", category="linear", symbol="BTCUSDT")
    )
    (instrument,) = answer.instruments
    assert instrument.name == "instruments/bybit.linear.btcusdt"
    assert instrument.symbol == "BTCUSDT"
    assert instrument.tick_size_quote == 0.1
    assert instrument.maximum_leverage == 100
    assert instrument.funding_interval_minutes == 480
    assert instrument.HasField("launch_time")
    spot = await data.ListInstruments(
        pb.ListInstrumentsRequest(source="bybit", category="spot", symbol="BTCUSDT")
    )
    assert not spot.instruments[0].HasField("maximum_leverage")
    assert not spot.instruments[0].HasField("funding_interval_minutes")


async def test_instruments_are_paged_by_symbol(data: Stub, exchange: StandIn) -> None:
    """Pages together are the whole list in order."""
    symbols, token = [], ""
    while True:
        request = pb.ListInstrumentsRequest(
            source="bybit", category="linear", page_size=3, page_token=token
        )
        answer = await data.ListInstruments(request)
        symbols += [instrument.symbol for instrument in answer.instruments]
        token = answer.next_page_token
        if not token:
            break
    assert symbols == sorted(exchange.listed["linear"])


async def test_an_unlisted_symbol_is_an_empty_answer(data: Stub) -> None:
    """Asking for a symbol that is not traded finds nothing, on every market."""
    for category in ("linear", "spot"):
        answer = await data.ListInstruments(
            pb.ListInstrumentsRequest(source="bybit", category=category, symbol="NOPE")
        )
        assert answer == pb.ListInstrumentsResponse()


async def test_a_wrong_question_for_instruments_is_told_whole(data: Stub) -> None:
    """Source, market, symbol and page are one error; nobody is asked."""
    wrong = pb.ListInstrumentsRequest(
        source="kraken", category="margin", symbol="btc", page_size=-5
    )
    assert fields(await refusal(data.ListInstruments(wrong))) == [
        "source",
        "category",
        "symbol",
        "page_size",
    ]


async def test_an_exchange_in_trouble_is_told_with_the_time_to_wait(
    data: Stub, exchange: StandIn
) -> None:
    """A source that fails is UNAVAILABLE with RetryInfo, and the service goes on."""
    exchange.faults.extend([bybit_refusal(10016, "Server error.")] * 20)
    call = data.ListInstruments(pb.ListInstrumentsRequest(source="bybit", category="linear"))
    error = await refusal(call)
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "SOURCE_UNAVAILABLE")
    assert error.retry_after_ms
    exchange.faults.clear()
    assert (await data.ListDatasets(pb.ListDatasetsRequest())).datasets == []
