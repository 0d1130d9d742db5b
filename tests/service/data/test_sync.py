"""SyncDataset fetches what is missing, keeps each stored page, and makes markets up on demand."""

from __future__ import annotations

import asyncio

import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1.dataset_pb2 import SyntheticMarket

from services.common.intervals import Interval
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, Canned, StandIn, rate, row
from tests.service.bybit.stand_in import refusal as bybit_refusal
from tests.service.data.calls import (
    DAY,
    HOUR,
    Stub,
    bars,
    fields,
    get,
    import_bars,
    read,
    refusal,
    sync,
    window,
)

HOURLY = "datasets/bybit.linear.btcusdt.1h"
DAILY = "datasets/bybit.linear.btcusdt.1d"
FUNDING = "datasets/bybit.linear.btcusdt.funding"
MADE_UP = "datasets/synthetic.demo.1h"


async def test_a_new_dataset_holds_the_sources_bars(data: Stub, exchange: StandIn) -> None:
    """Every closed bar since the listing, in the exchange's digits, with growing progress."""
    answers = await sync(data, HOURLY, window=window(LAUNCH_MS - 90 * DAY))
    dataset = answers[-1].dataset
    assert dataset.source == "bybit"
    assert dataset.row_count == 5_000
    assert dataset.first_open_time.seconds * 1000 == LAUNCH_MS
    assert dataset.last_open_time.seconds * 1000 == LAUNCH_MS + 4_999 * HOUR
    fetched = [answer.fetched_row_count for answer in answers]
    assert fetched == sorted(fetched)
    assert fetched[0] <= 1_000
    assert fetched[-1] == 5_000
    assert {answer.expected_row_count for answer in answers} == {5_000}
    _, served = await read(data, HOURLY)
    last = row(Interval.HOUR_1, int(served.open_time_ms[-1]))
    assert [column[-1] for column in served.columns()] == [int(last[0]), *map(float, last[1:6])]
    assert served.content_digest() == dataset.content_digest


async def test_without_a_window_a_year_is_fetched(data: Stub, exchange: StandIn) -> None:
    """A new dataset begins 365 days before now, or at the listing where that is later."""
    exchange.now_ms = LAUNCH_MS + 1_000 * DAY + HOUR
    dataset = (await sync(data, DAILY))[-1].dataset
    assert dataset.row_count == 364
    assert dataset.last_open_time.seconds * 1000 == LAUNCH_MS + 999 * DAY


async def test_a_second_sync_fetches_only_what_is_new(data: Stub, exchange: StandIn) -> None:
    """Time passes: only the last bar and those after it are asked for; versions grow."""
    first = (await sync(data, HOURLY, window=window(LAUNCH_MS)))[-1].dataset
    exchange.asked.clear()
    exchange.now_ms += 7 * HOUR
    second = await sync(data, HOURLY)
    assert second[-1].fetched_row_count == 8
    assert second[-1].dataset.row_count == first.row_count + 7
    assert second[-1].dataset.version > first.version
    assert min(start for start, _ in exchange.windows()) == LAUNCH_MS + 4_999 * HOUR


async def test_a_sync_without_news_changes_nothing(data: Stub) -> None:
    """Calling again is idempotent: the same version, the same digest."""
    first = (await sync(data, HOURLY))[-1].dataset
    assert (await sync(data, HOURLY))[-1].dataset == first


async def test_an_older_window_is_put_before_what_is_stored(data: Stub) -> None:
    """Bars come in any order of windows; the dataset is by rising time."""
    await sync(data, HOURLY, window=window(LAUNCH_MS + 3_000 * HOUR))
    edges = window(LAUNCH_MS + 2_000 * HOUR, LAUNCH_MS + 3_100 * HOUR)
    dataset = (await sync(data, HOURLY, window=edges))[-1].dataset
    assert dataset.row_count == 3_000
    assert dataset.quality.gap_count == 0
    _, served = await read(data, HOURLY)
    assert (served.open_time_ms[1:] - served.open_time_ms[:-1] == HOUR).all()


async def test_bars_the_source_lacks_are_gaps_until_it_has_them(
    data: Stub, exchange: StandIn
) -> None:
    """Gaps are reported, asked for again on the next sync of the window, and filled."""
    holes = {LAUNCH_MS + hour * HOUR for hour in (100, 101, 500)}
    exchange.missing |= holes
    whole = window(LAUNCH_MS)
    quality = (await sync(data, HOURLY, window=whole))[-1].dataset.quality
    assert (quality.gap_count, quality.missing_bar_count) == (2, 3)
    assert quality.gaps[0].start_time.seconds * 1000 == LAUNCH_MS + 100 * HOUR
    described, _ = await read(data, HOURLY)
    assert described.missing_bar_count == 3
    exchange.missing.clear()
    filled = (await sync(data, HOURLY, window=whole))[-1]
    assert filled.dataset.quality.gap_count == 0
    assert filled.fetched_row_count == 4


async def test_a_revised_history_is_fetched_again_for_that_day(
    data: Stub, exchange: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the overlapping bar differs, the source's bars of its day replace ours."""
    await sync(data, HOURLY, window=window(LAUNCH_MS))
    last = LAUNCH_MS + 4_999 * HOUR
    midnight = last - last % DAY

    def revised(interval: Interval, open_ms: int) -> list[str]:
        cells = row(interval, open_ms)
        return [*cells[:5], "1234.5", cells[6]] if open_ms >= midnight else cells

    monkeypatch.setattr("tests.service.bybit.stand_in.row", revised)
    exchange.now_ms += HOUR
    dataset = (await sync(data, HOURLY))[-1].dataset
    assert dataset.row_count == 5_001
    _, served = await read(data, HOURLY)
    today = served.open_time_ms >= midnight
    assert (served.volume[today] == 1234.5).all()
    assert today.sum() > 1
    assert not (served.volume[~today] == 1234.5).any()


async def test_pages_fetched_before_a_fault_are_kept(data: Stub, exchange: StandIn) -> None:
    """A source that fails in the middle is told; calling again goes on where it ended."""
    healthy = exchange.answer
    asked_count = 0

    def failing(asked: object) -> Canned:
        nonlocal asked_count
        asked_count += "/kline" in asked.path  # type: ignore[attr-defined]
        return bybit_refusal(10016, "Server error.") if asked_count > 4 else healthy(asked)  # type: ignore[arg-type]

    exchange.answer = failing  # type: ignore[method-assign]
    request = pb.SyncDatasetRequest(name=HOURLY, window=window(LAUNCH_MS))
    error = await refusal(data.SyncDataset(request))
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "SOURCE_UNAVAILABLE")
    assert error.retry_after_ms
    kept = (await get(data, HOURLY)).row_count
    assert kept >= 1_000
    exchange.answer = healthy  # type: ignore[method-assign]
    rest = await sync(data, HOURLY, window=window(LAUNCH_MS))
    assert rest[-1].dataset.row_count == 5_000
    assert rest[-1].fetched_row_count == 5_000 - kept + 1


async def test_a_cancelled_sync_goes_on_where_it_ended(data: Stub, exchange: StandIn) -> None:
    """The first page is stored before its progress is told; a second call fetches the rest."""
    call = data.SyncDataset(pb.SyncDatasetRequest(name=HOURLY, window=window(LAUNCH_MS)))
    first = await call.__aiter__().__anext__()
    assert not first.HasField("dataset")
    call.cancel()
    kept = (await get(data, HOURLY)).row_count
    assert kept >= first.fetched_row_count > 0
    rest = await sync(data, HOURLY, window=window(LAUNCH_MS))
    assert rest[-1].dataset.row_count == 5_000
    assert rest[-1].fetched_row_count < 5_000


async def test_two_syncs_at_once_store_each_bar_once(data: Stub) -> None:
    """Callers who sync the same dataset together both end with the whole of it."""
    both = await asyncio.gather(*(sync(data, HOURLY, window=window(LAUNCH_MS)) for _ in range(2)))
    digests = {answers[-1].dataset.content_digest for answers in both}
    assert digests == {(await get(data, HOURLY)).content_digest}
    _, served = await read(data, HOURLY)
    assert len(served) == 5_000


async def test_funding_rates_are_synced_and_extended(data: Stub, exchange: StandIn) -> None:
    """Settlements come under the name that ends in "funding", and later ones are added."""
    start = LAUNCH_MS + 1_000 * HOUR
    dataset = (await sync(data, FUNDING, window=window(start)))[-1].dataset
    first = dataset.first_open_time.seconds * 1000
    assert start <= first < start + 8 * HOUR
    exchange.now_ms += 16 * HOUR
    more = (await sync(data, FUNDING))[-1].dataset
    assert more.row_count == dataset.row_count + 2
    wanted = pb.ReadFundingRequest(name=FUNDING)
    (chunk,) = [answer.funding async for answer in data.ReadFunding(wanted)]
    assert chunk.funding_rate_ratio[0] == float(rate(first))
    assert len(chunk.funding_time_ms) == more.row_count


@pytest.mark.parametrize(
    ("name", "extra", "wanted"),
    [
        ("datasets/kraken.margin.btcusd.1h", {}, ["name", "name"]),
        ("datasets/mine.1h", {}, ["name"]),
        ("datasets/bybit.spot.btcusdt.funding", {}, ["name"]),
        ("datasets/Bybit.linear.btcusdt.7h", {"window": window(5, 5)}, ["name", "name", "window"]),
        (HOURLY, {"synthetic": SyntheticMarket(seed=1)}, ["synthetic"]),
        (MADE_UP, {}, ["window.start_time", "window.end_time"]),
        ("datasets/synthetic.1h", {"window": window(0, HOUR)}, ["name"]),
        (
            MADE_UP,
            {
                "window": window(0, HOUR),
                "synthetic": SyntheticMarket(
                    start_price_quote=0, annual_volatility_ratio=9, mean_regime_bar_count=0
                ),
            },
            [
                "synthetic.start_price_quote",
                "synthetic.annual_volatility_ratio",
                "synthetic.mean_regime_bar_count",
            ],
        ),
        (
            "datasets/synthetic.demo.1mo",
            {
                "window": window(0, 253_402_300_799_999),
                "synthetic": SyntheticMarket(start_price_quote=0),
            },
            ["window.end_time", "synthetic.start_price_quote"],
        ),
        (MADE_UP, {"window": window(1, HOUR)}, ["window"]),
        ("datasets/synthetic.demo.1m", {"window": window(0, 5_000_001 * 60_000)}, ["window"]),
    ],
)
async def test_everything_wrong_with_a_sync_is_told_at_once(
    data: Stub, name: str, extra: dict[str, object], wanted: list[str]
) -> None:
    """Names, windows and fields of markets are checked before anybody is asked."""
    request = pb.SyncDatasetRequest(name=name, **extra)  # type: ignore[arg-type]
    assert fields(await refusal(data.SyncDataset(request))) == wanted


async def test_an_unlisted_instrument_is_unknown(data: Stub) -> None:
    """A symbol the exchange does not trade is told and never replaced."""
    for name in ("datasets/bybit.linear.nope.1h", "datasets/bybit.linear.nope.funding"):
        error = await refusal(data.SyncDataset(pb.SyncDatasetRequest(name=name)))
        assert (error.code.name, error.reason) == ("NOT_FOUND", "INSTRUMENT_UNKNOWN")
        assert "nope" in error.metadata["instrument"].lower()


async def test_a_window_the_source_has_nothing_for_is_refused(
    data: Stub, exchange: StandIn
) -> None:
    """Before the listing and after now there is nothing to store, and no dataset appears."""
    for edges in (window(0, LAUNCH_MS - DAY), window(exchange.now_ms + DAY)):
        request = pb.SyncDatasetRequest(name=HOURLY, window=edges)
        assert fields(await refusal(data.SyncDataset(request))) == ["window"]
    assert not (await data.ListDatasets(pb.ListDatasetsRequest())).datasets


async def test_an_imported_dataset_is_not_synced_over(data: Stub) -> None:
    """What came from a file is not mixed with an exchange's bars."""
    await import_bars(data, bars(range(3)), HOURLY)
    error = await refusal(data.SyncDataset(pb.SyncDatasetRequest(name=HOURLY)))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "SOURCE_MISMATCH")
    assert error.metadata == {"dataset": HOURLY, "source": "file"}


async def test_candles_that_break_the_rules_are_not_stored(
    data: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange's high below its low refuses the page, as a file's would."""

    def broken(interval: Interval, open_ms: int) -> list[str]:
        cells = row(interval, open_ms)
        return [*cells[:2], "0.5", *cells[3:]]

    monkeypatch.setattr("tests.service.bybit.stand_in.row", broken)
    error = await refusal(data.SyncDataset(pb.SyncDatasetRequest(name=HOURLY)))
    assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "CANDLES_INVALID")
    missing = await refusal(data.GetDataset(pb.GetDatasetRequest(name=HOURLY)))
    assert missing.reason == "DATASET_UNKNOWN"


async def test_an_exchange_that_asks_for_patience_is_told_as_such(
    data: Stub, exchange: StandIn
) -> None:
    """Too many visits are another reason than a fault, with the time to wait."""
    exchange.faults.extend([Canned("access too frequent", status=403)] * 20)
    error = await refusal(data.SyncDataset(pb.SyncDatasetRequest(name=HOURLY)))
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "SOURCE_RATE_LIMITED")
    assert error.retry_after_ms


async def test_many_small_syncs_lose_nothing(data: Stub, exchange: StandIn) -> None:
    """Small additions are gathered from time to time, and no bar is lost by it."""
    await sync(data, HOURLY, window=window(exchange.now_ms - 10 * HOUR_MS))
    before = (await get(data, HOURLY)).row_count
    for _ in range(20):
        exchange.now_ms += HOUR
        dataset = (await sync(data, HOURLY))[-1].dataset
    assert dataset.row_count == before + 20
    _, served = await read(data, HOURLY)
    assert served.content_digest() == dataset.content_digest
