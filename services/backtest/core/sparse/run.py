"""Many plain sets in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from services.backtest.core.kernel import Bytes, Integers, Numbers, frozen, kernel, merged
from services.backtest.core.ledger import COUNTS, TRADE_COLUMNS
from services.backtest.core.market import Market
from services.backtest.core.measures.curve import measure_final, measure_growth
from services.backtest.core.measures.days import measure_days
from services.backtest.core.measures.distribution import measure_distribution
from services.backtest.core.measures.places import put, put_reason, put_value
from services.backtest.core.measures.trades import measure_activity, measure_trades
from services.backtest.core.metrics import METRIC_NAMES, Metric, UndefinedReason
from services.backtest.core.quads import LANES
from services.backtest.core.sparse.changes import ROOM, Bars, Words, list_changes
from services.backtest.core.sparse.ranges import Ranges
from services.backtest.core.sparse.walk import Notes, SoFar, Walked, walk
from services.backtest.core.sparse.walk_four import (
    CASH,
    HELD,
    LEAST,
    LISTS,
    PEAK,
    PLACES,
    STATES,
    SUM_OF_RETURNS,
    SUM_OF_SQUARES,
    WINS,
    walk_four,
)
from services.backtest.core.terms import Terms
from services.backtest.core.unowned import unowned

_NO_VARIANCE: Final = int(UndefinedReason.NO_VARIANCE)
_NO_TRADES: Final = int(UndefinedReason.NO_TRADES)

DAYS: Final = 1
"""Among wants: equity at midnights."""

NO_LEVELS: Final = np.empty((0, 0))
_DISTRIBUTION: Final = 2
_GROWTH: Final = 4
_TRADES: Final = 8

_LIST_BYTES: Final = 20 * 2**20
"""Changes listed at once."""

_ALWAYS: Final = (
    Metric.TOTAL_RETURN_RATIO,
    Metric.NET_PROFIT_QUOTE,
    Metric.FINAL_EQUITY_QUOTE,
    Metric.BAR_SHARPE_RATIO,
    Metric.MAX_DRAWDOWN_RATIO,
    Metric.TRADE_COUNT,
    Metric.WIN_RATE_RATIO,
    Metric.EXPOSURE_RATIO,
)
_GROUPS: Final = {
    DAYS: (
        Metric.SHARPE_RATIO,
        Metric.SORTINO_RATIO,
        Metric.OMEGA_RATIO,
        Metric.ANNUALIZED_VOLATILITY_RATIO,
        Metric.ULCER_INDEX_RATIO,
    ),
    DAYS | _DISTRIBUTION: (
        Metric.VALUE_AT_RISK_95_RATIO,
        Metric.CONDITIONAL_VALUE_AT_RISK_95_RATIO,
        Metric.TAIL_RATIO,
        Metric.SKEWNESS,
        Metric.EXCESS_KURTOSIS,
    ),
    _GROWTH: (Metric.CAGR_RATIO, Metric.CALMAR_RATIO),
}
_NEEDS: Final = dict.fromkeys(_ALWAYS, 0) | {
    metric: group for group, metrics in _GROUPS.items() for metric in metrics
}

NOT_COVERED: Final = frozenset(
    metric.name.lower()
    for metric in (
        Metric.MAX_DRAWDOWN_DURATION_BARS,
        Metric.MAX_DRAWDOWN_RECOVERED,
        Metric.TURNOVER_RATIO,
        Metric.AVERAGE_ADVERSE_EXCURSION_RATIO,
        Metric.AVERAGE_FAVORABLE_EXCURSION_RATIO,
    )
)
"""Names of the metrics that take every bar, which `run_plain` does not visit: left NaN."""


def wants_of(names: Iterable[str]) -> int:
    """Return what `run_plain` has to work out for metrics of these names."""
    wants = 0
    for name in names:
        if name not in NOT_COVERED:
            wants |= _NEEDS.get(Metric(METRIC_NAMES.index(name)), _TRADES)
    return wants


def run_plain(
    market: Market,
    ranges: Ranges,
    opens: Words,
    leaves: Words,
    firsts: Integers,
    terms: Terms,
    wants: int,
    values: Numbers,
    reasons: Bytes,
    finite: Bytes,
    daily: Numbers = NO_LEVELS,
) -> None:
    """Run sets that hold long at full equity or nothing.

    `opens` and `leaves` are planes of bits, shape (sets, words), bar 64 w + b as bit b of word w:
    the closes at which to enter, where not to leave at once, and those at which to leave. `firsts`,
    shape (sets,), tells the bar of each set's first decision, at least two bars before the window's
    end; negative ones are passed over. `values` and `reasons`, shape (sets, METRICS), NaN and 0
    before, get the metrics that `wants` stands for, and perhaps others; `finite`, shape (sets,),
    gets 0 where a number outgrew a double. `daily`, shape (sets, midnights), gets the equity at the
    span's midnights, which `wants` must hold; without rows they are not told.

    The interpreter lock is not held.
    """
    bars = len(ranges.prices)
    opens, leaves, firsts = (frozen(np.ascontiguousarray(one)) for one in (opens, leaves, firsts))

    def listed(own: slice, changes: Bars, counts: Integers) -> None:
        list_changes(opens[own], leaves[own], firsts[own], bars, changes, counts)

    run_changes(market, ranges, listed, firsts, terms, wants, values, reasons, finite, daily)


def run_changes(
    market: Market,
    ranges: Ranges,
    listed: Callable[[slice, Bars, Integers], None],
    firsts: Integers,
    terms: Terms,
    wants: int,
    values: Numbers,
    reasons: Bytes,
    finite: Bytes,
    daily: Numbers = NO_LEVELS,
) -> None:
    """Do as `run_plain` with sets whose changes are listed for some of them at a time.

    `listed` is asked to write those of a slice of sets: the bars whose closes decide an entry, an
    exit, an entry, ... of each, shape (sets, bars + ROOM), and how many they are, shape (sets,).
    """
    row = len(ranges.prices) + ROOM
    at_once = min(len(firsts), max(1, _LIST_BYTES // (4 * row)))
    changes, counts = np.empty((at_once, row), np.int32), np.empty(at_once, np.int64)
    for begin in range(0, len(firsts), max(1, at_once)):
        own = slice(begin, begin + at_once)
        some = frozen(firsts[own])
        listed(own, changes[: len(some)], counts[: len(some)])
        _run(
            market,
            ranges,
            frozen(changes),
            frozen(counts),
            frozen(np.argsort(counts[: len(some)], kind="stable")),
            some,
            terms,
            wants,
            values[own],
            reasons[own],
            finite[own],
            daily[own],
        )


@kernel
def _run(
    market: Market,
    ranges: Ranges,
    changes: Bars,
    counts: Integers,
    order: Integers,
    firsts: Integers,
    terms: Terms,
    wants: int,
    values: Numbers,
    reasons: Bytes,
    finite: Bytes,
    daily: Numbers,
) -> None:
    bars = len(ranges.prices)
    span = market.span
    days = len(span.midnights) if wants & DAYS else 0
    rows = bars // 2 + 1 if wants & _TRADES else 0
    notes = Notes(
        np.zeros((rows, TRADE_COLUMNS)),
        np.zeros(COUNTS, np.int64),
        span.midnights[:days],
        np.empty(days),
        market.bars.follows,
    )
    returns = np.empty(max(0, days - 1))
    noting = wants & _TRADES != 0
    at_once = not noting and days == 0
    prices, table, lists = unowned(ranges.prices), unowned(ranges.table), unowned(changes)
    places, states = np.zeros((PLACES, LANES), np.int64), np.empty((STATES, LANES))
    count = 0
    for turn in range(len(firsts)):
        lane, index = turn % LANES, order[turn]
        if lane == 0:
            # In the order of their counts the first has the least.
            count = counts[index] & -2 if at_once and turn + LANES <= len(firsts) else 0
            for other in range(min(LANES, len(firsts) - turn)):
                places[LISTS, other] = order[turn + other] * changes.shape[1]
            walk_four(prices, table, bars, lists, count, terms, unowned(places), unowned(states))
        if firsts[index] < 0:
            finite[index] = 1
            continue
        so_far = _so_far(count, places, states, lane)
        walked = walk(ranges, changes[index], counts[index], terms, so_far, notes, noting)
        own, why = values[index], reasons[index]
        _measure(walked, market, bars, terms, notes, returns, wants, own, why)
        if wants & DAYS and len(daily) > 0:
            daily[index] = notes.levels
        finite[index] = _is_finite(walked.final, own) if wants else walked.final < np.inf


@merged
def _so_far(count: int, places: Integers, states: Numbers, lane: int) -> SoFar:
    return SoFar(
        count,
        states[CASH, lane],
        states[PEAK, lane],
        states[LEAST, lane],
        states[SUM_OF_RETURNS, lane],
        states[SUM_OF_SQUARES, lane],
        int(states[WINS, lane]),
        places[HELD, lane],
    )


@merged
def _measure(
    walked: Walked,
    market: Market,
    bars: int,
    terms: Terms,
    notes: Notes,
    returns: Numbers,
    wants: int,
    values: Numbers,
    reasons: Bytes,
) -> None:
    span = market.span
    measure_final(walked.final, terms.capital, values)
    _measure_walk(walked, bars, span.bars_per_year, values, reasons)
    if wants & DAYS:
        whole = measure_days(notes.levels, returns, values, reasons)
        if whole and wants & _DISTRIBUTION:
            measure_distribution(returns, values, reasons)
    if wants & _GROWTH:
        measure_growth(terms.capital, span.days, values, reasons)
    if wants & _TRADES:
        measure_trades(notes.trades[: walked.closed], values, reasons)
        measure_activity(notes.trades[: walked.rows], notes.counts, bars, values)


@merged
def _measure_walk(
    walked: Walked, bars: int, bars_per_year: float, values: Numbers, reasons: Bytes
) -> None:
    values[Metric.MAX_DRAWDOWN_RATIO] = 1.0 - walked.least
    values[Metric.TRADE_COUNT] = walked.closed
    values[Metric.EXPOSURE_RATIO] = walked.held / bars
    none = walked.closed == 0
    rate = walked.wins / walked.closed
    put(values, reasons, Metric.WIN_RATE_RATIO, rate, none, _NO_TRADES)
    # The first bar holds nothing: returns are all the same only when all are zero.
    mean = walked.returns / bars
    variance = (walked.squares - bars * mean * mean) / (bars - 1)
    if variance > 0.0:
        ratio = mean / np.sqrt(variance) * np.sqrt(bars_per_year)
        put_value(values, reasons, Metric.BAR_SHARPE_RATIO, ratio)
    else:
        put_reason(values, reasons, Metric.BAR_SHARPE_RATIO, _NO_VARIANCE)


@merged
def _is_finite(final: float, values: Numbers) -> bool:
    """Tell whether no number has outgrown a double; undefined and unwanted metrics are NaN."""
    outgrown = 0
    for value in values:
        outgrown += abs(value) == np.inf
    return outgrown == 0 and final < np.inf
