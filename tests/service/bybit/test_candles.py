"""Candles arrive whole: every closed bar of the window once, in order, with the exact numbers."""

from __future__ import annotations

import numpy as np
import pytest

from services.common.errors import AssayError, Code
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval
from services.data.adapters.bybit import BybitSource
from services.data.core.ports import InstrumentId
from tests.service.bybit.conftest import Clock
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, NOW_MS, Canned, StandIn, refusal, row

HOUR = Interval.HOUR_1
FORMING_MS = NOW_MS - NOW_MS % HOUR_MS


async def collect(
    source: BybitSource, instrument: InstrumentId, interval: Interval, start_ms: int, end_ms: int
) -> list[Candles]:
    """Return all pages."""
    return [page async for page in source.pages(instrument, interval, start_ms, end_ms)]


def opens_of(pages: list[Candles]) -> list[int]:
    """Return the open times of all pages."""
    return [int(at) for page in pages for at in page.open_time_ms]


async def test_a_long_window_arrives_whole_in_closed_windows(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """2,500 bars come in three requests with both bounds, the last ms of the page inclusive."""
    start_ms, end_ms = LAUNCH_MS + 10 * HOUR_MS, LAUNCH_MS + 2_510 * HOUR_MS

    pages = await collect(source, bitcoin, HOUR, start_ms, end_ms)

    assert opens_of(pages) == list(range(start_ms, end_ms, HOUR_MS))
    assert [len(page) for page in pages] == [1_000, 1_000, 500]
    assert exchange.windows() == [
        (start_ms, start_ms + 1_000 * HOUR_MS - 1),
        (start_ms + 1_000 * HOUR_MS, start_ms + 2_000 * HOUR_MS - 1),
        (start_ms + 2_000 * HOUR_MS, end_ms - 1),
    ]


async def test_numbers_are_the_decimals_the_exchange_sent(
    source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Each value is the double nearest to the decimal text, bit for bit."""
    (page,) = await collect(source, bitcoin, HOUR, LAUNCH_MS, LAUNCH_MS + 300 * HOUR_MS)

    sent = [row(HOUR, int(at))[:6] for at in page.open_time_ms]
    for column, texts in zip(page.columns(), zip(*sent, strict=True), strict=True):
        assert np.array_equal(column, [float(text) for text in texts])


@pytest.mark.parametrize("ahead_ms", [0, 2 * HOUR_MS, 5_000 * HOUR_MS])
async def test_the_forming_bar_is_left_out_by_the_clock_of_the_exchange(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, clock: Clock, ahead_ms: int
) -> None:
    """The bar in the making ends the pages, even where this machine's clock runs ahead."""
    clock.now_ms += ahead_ms

    pages = await collect(source, bitcoin, HOUR, NOW_MS - 10 * HOUR_MS, NOW_MS + 9_000 * HOUR_MS)

    assert opens_of(pages)[-1] == FORMING_MS - HOUR_MS
    assert len(exchange.windows()) == 1


async def test_a_bar_is_closed_when_its_last_moment_has_passed(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """At the very close the bar counts; a millisecond before it does not."""
    window = (FORMING_MS - 2 * HOUR_MS, FORMING_MS + HOUR_MS)

    exchange.now_ms = FORMING_MS - 1
    before = opens_of(await collect(source, bitcoin, HOUR, *window))
    exchange.now_ms = FORMING_MS
    after = opens_of(await collect(source, bitcoin, HOUR, *window))

    assert (before, after) == ([window[0]], [window[0], window[0] + HOUR_MS])


async def test_a_wish_for_older_bars_than_the_launch_begins_at_the_launch(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Nothing is asked for from before the instrument traded."""
    pages = await collect(source, bitcoin, HOUR, 0, LAUNCH_MS + 5 * HOUR_MS)

    assert opens_of(pages) == list(range(LAUNCH_MS, LAUNCH_MS + 5 * HOUR_MS, HOUR_MS))
    assert exchange.windows() == [(LAUNCH_MS, LAUNCH_MS + 5 * HOUR_MS - 1)]


async def test_bounds_inside_bars_select_the_bars_that_open_in_the_window(
    source: BybitSource, bitcoin: InstrumentId
) -> None:
    """The bar that holds the start is not kept, the bar that holds the end is."""
    base_ms = LAUNCH_MS + 50 * HOUR_MS

    pages = await collect(source, bitcoin, HOUR, base_ms + 1, base_ms + 3 * HOUR_MS + 1)

    assert opens_of(pages) == [base_ms + HOUR_MS * number for number in (1, 2, 3)]


async def test_rows_outside_the_window_are_dropped(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """The exchange may send the bar before the start, or more than was asked for."""
    await source.earliest_open_ms(bitcoin, HOUR)
    rows = [row(HOUR, LAUNCH_MS + number * HOUR_MS) for number in (4, 3, 2, 1, 0)]
    result = {"category": "linear", "symbol": "BTCUSDT", "list": rows}
    exchange.faults.append(Canned({"retCode": 0, "result": result, "time": NOW_MS}))

    pages = await collect(source, bitcoin, HOUR, LAUNCH_MS + HOUR_MS, LAUNCH_MS + 4 * HOUR_MS)

    assert opens_of(pages) == [LAUNCH_MS + number * HOUR_MS for number in (1, 2, 3)]


async def test_a_gap_is_asked_for_once_more_and_then_stays(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Bars the exchange does not have are missing in the answer; nothing is filled in."""
    exchange.missing = {LAUNCH_MS + 5 * HOUR_MS, LAUNCH_MS + 6 * HOUR_MS}

    pages = await collect(source, bitcoin, HOUR, LAUNCH_MS, LAUNCH_MS + 10 * HOUR_MS)

    wanted = set(range(LAUNCH_MS, LAUNCH_MS + 10 * HOUR_MS, HOUR_MS)) - exchange.missing
    assert opens_of(pages) == sorted(wanted)
    assert len(exchange.windows()) == 2


async def test_a_bar_missing_by_accident_comes_with_the_second_fetch(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """A hole of one answer does not become a hole of the dataset."""
    exchange.first_fetch_misses = {LAUNCH_MS + 5 * HOUR_MS}

    pages = await collect(source, bitcoin, HOUR, LAUNCH_MS, LAUNCH_MS + 10 * HOUR_MS)

    assert len(opens_of(pages)) == 10


async def test_an_empty_window_is_not_the_end_of_the_data(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """After a halt longer than a page the bars behind it still come."""
    halt = range(LAUNCH_MS + 900 * HOUR_MS, LAUNCH_MS + 2_100 * HOUR_MS, HOUR_MS)
    exchange.missing = set(halt)

    pages = await collect(source, bitcoin, HOUR, LAUNCH_MS, LAUNCH_MS + 2_200 * HOUR_MS)

    assert [len(page) for page in pages] == [900, 100]
    assert opens_of(pages)[900] == halt.stop


async def test_nothing_is_asked_where_no_bar_can_be_closed(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """A dataset that is up to date costs no candle request."""
    assert await collect(source, bitcoin, HOUR, FORMING_MS, FORMING_MS + 9 * HOUR_MS) == []
    assert exchange.windows() == []


@pytest.mark.parametrize("interval", list(Interval))
async def test_every_interval_is_asked_for_by_its_own_name(
    source: BybitSource, bitcoin: InstrumentId, interval: Interval
) -> None:
    """Each interval, weeks and months included, yields its own bars on its own grid."""
    start_ms = await source.earliest_open_ms(bitcoin, interval)

    length_ms = 30 * DAY_MS if interval is Interval.MONTH_1 else interval.length_ms
    end_ms = start_ms + 1_500 * length_ms

    pages = await collect(source, bitcoin, interval, start_ms, end_ms)

    opens = [start_ms]
    while interval.next_open_ms(opens[-1]) < min(end_ms, NOW_MS):
        opens.append(interval.next_open_ms(opens[-1]))
    closed = [open_ms for open_ms in opens if interval.next_open_ms(open_ms) <= NOW_MS]
    # A launch inside a week or a month: its bar counts, for it holds the first trades.
    assert opens_of(pages) == closed
    assert pages[0].volume[0] == float(row(interval, closed[0])[5])


async def test_spot_begins_on_its_first_day_with_a_bar(
    exchange: StandIn, source: BybitSource
) -> None:
    """Spot listings name no launch; the first day found by its bars stands in for it."""
    spot = InstrumentId("bybit", "spot", "ETHUSDT")
    exchange.launch_ms = LAUNCH_MS + 3 * DAY_MS + 7 * HOUR_MS

    pages = await collect(source, spot, HOUR, 0, LAUNCH_MS + 5 * DAY_MS)

    assert await source.earliest_open_ms(spot, HOUR) == LAUNCH_MS + 3 * DAY_MS
    assert opens_of(pages)[0] == exchange.launch_ms


@pytest.mark.parametrize(
    ("category", "symbol"),
    [("linear", "NOTACOINUSDT"), ("spot", "NOTACOINUSDT"), ("inverse", "BTCUSDT")],
)
async def test_an_unknown_instrument_is_an_error_and_never_another_one(
    exchange: StandIn, source: BybitSource, category: str, symbol: str
) -> None:
    """NOT_FOUND names it; no other symbol and no other market is tried."""
    unknown = InstrumentId("bybit", category, symbol)

    with pytest.raises(AssayError) as caught:
        await collect(source, unknown, HOUR, LAUNCH_MS, NOW_MS)

    assert (caught.value.code, caught.value.reason) == (Code.NOT_FOUND, "INSTRUMENT_UNKNOWN")
    assert caught.value.metadata == {"instrument": f"bybit.{category}.{symbol.lower()}"}
    asked = {(item.query["category"], item.query["symbol"]) for item in exchange.asked}
    assert asked == {(category, symbol)}


async def test_an_instrument_delisted_on_the_way_is_unknown(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """The exchange refuses a symbol it knew a moment ago: INSTRUMENT_UNKNOWN, in its own words."""
    await source.earliest_open_ms(bitcoin, HOUR)
    exchange.faults.append(refusal(10001, "Not supported symbols"))

    with pytest.raises(AssayError, match="Not supported symbols") as caught:
        await collect(source, bitcoin, HOUR, LAUNCH_MS, NOW_MS)

    assert caught.value.reason == "INSTRUMENT_UNKNOWN"


async def test_a_symbol_cannot_smuggle_in_other_parameters(
    exchange: StandIn, source: BybitSource
) -> None:
    """Characters with a meaning in a query are part of the symbol, which is then unknown."""
    with pytest.raises(AssayError, match="BTCUSDT&category=spot"):
        await source.earliest_open_ms(
            InstrumentId("bybit", "linear", "BTCUSDT&category=spot"), HOUR
        )

    assert exchange.asked[0].query["category"] == "linear"
