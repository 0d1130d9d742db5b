"""Funding settlements arrive whole although the exchange pages them backwards only."""

from __future__ import annotations

import pytest

from services.common.errors import AssayError
from services.common.intervals import Interval
from services.data.adapters.bybit import BybitSource
from services.data.core.ports import FundingRates, InstrumentId
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, NOW_MS, Canned, StandIn, rate

STEP_MS = 8 * HOUR_MS


async def collect(
    source: BybitSource, instrument: InstrumentId, start_ms: int, end_ms: int
) -> list[FundingRates]:
    """Return all pages."""
    return [page async for page in source.funding_pages(instrument, start_ms, end_ms)]


async def test_all_settlements_come_once_in_order_with_their_rates(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Some 600 settlements come oldest first in pages of 200, no request naming a start alone."""
    pages = await collect(source, bitcoin, 0, NOW_MS)

    times = [int(at) for page in pages for at in page.funding_time_ms]
    rates = [float(ratio) for page in pages for ratio in page.funding_rate_ratio]
    assert times == list(range(LAUNCH_MS + STEP_MS, NOW_MS, STEP_MS))
    assert rates == [float(rate(at)) for at in times]
    assert max(len(page) for page in pages) == 200
    assert all("endTime" in item.query for item in exchange.asked if "funding" in item.path)


async def test_hourly_settlements_need_no_knowledge_of_the_spacing(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """The times themselves say where the next page ends, whatever the listing says now."""
    exchange.funding_interval_ms = HOUR_MS

    pages = await collect(source, bitcoin, LAUNCH_MS + 100 * HOUR_MS, LAUNCH_MS + 700 * HOUR_MS)

    assert sum(len(page) for page in pages) == 600


async def test_the_window_is_half_open(source: BybitSource, bitcoin: InstrumentId) -> None:
    """A settlement at the start counts, one at the end does not."""
    start_ms, end_ms = LAUNCH_MS + 3 * STEP_MS, LAUNCH_MS + 5 * STEP_MS

    (page,) = await collect(source, bitcoin, start_ms, end_ms)

    assert page.funding_time_ms.tolist() == [start_ms, start_ms + STEP_MS]


async def test_a_window_without_settlements_has_no_pages(
    source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Between two settlements there is nothing to yield."""
    assert await collect(source, bitcoin, LAUNCH_MS + STEP_MS + 1, LAUNCH_MS + 2 * STEP_MS) == []


@pytest.mark.parametrize(
    "instrument",
    [InstrumentId("bybit", "spot", "BTCUSDT"), InstrumentId("bybit", "linear", "NOTACOINUSDT")],
)
async def test_what_has_no_funding_is_unknown(
    source: BybitSource, instrument: InstrumentId
) -> None:
    """Spot and unlisted contracts are refused, never answered with another market's rates."""
    with pytest.raises(AssayError) as caught:
        await collect(source, instrument, LAUNCH_MS, NOW_MS)

    assert caught.value.reason == "INSTRUMENT_UNKNOWN"


@pytest.mark.parametrize(
    ("symbol", "at_ms", "text"),
    [
        ("ETHUSDT", LAUNCH_MS + STEP_MS, "0.0001"),
        ("BTCUSDT", NOW_MS + STEP_MS, "0.0001"),
        ("BTCUSDT", LAUNCH_MS + STEP_MS, ""),
    ],
)
async def test_wrong_settlements_are_asked_for_again(
    exchange: StandIn,
    source: BybitSource,
    bitcoin: InstrumentId,
    symbol: str,
    at_ms: int,
    text: str,
) -> None:
    """Another symbol, a time past the one asked for or a missing rate spoil that answer only."""
    await source.earliest_open_ms(bitcoin, Interval.MINUTE_1)
    wrong = {"symbol": symbol, "fundingRate": text, "fundingRateTimestamp": str(at_ms)}
    result = {"category": "linear", "list": [wrong]}
    exchange.faults.append(Canned({"retCode": 0, "result": result, "time": NOW_MS}))

    pages = await collect(source, bitcoin, LAUNCH_MS, NOW_MS)

    assert sum(len(page) for page in pages) == 5_000 // 8
