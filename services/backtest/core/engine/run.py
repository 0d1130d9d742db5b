"""Running sets: many for their metrics, or one in full. Both are the same kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.core.engine.inputs import (
    ENTER_LONG,
    ENTER_SHORT,
    EXIT_LONG,
    EXIT_SHORT,
    Lines,
    Planes,
    Signals,
    frozen_signals,
)
from services.backtest.core.engine.loop import trade_set
from services.backtest.core.engine.scanning import Wishes
from services.backtest.core.engine.sizing import Drawn
from services.backtest.core.engine.walking import Facts, Sheet
from services.backtest.core.kernel import Bytes, Integers, Numbers, frozen, kernel, merged
from services.backtest.core.ledger import COUNTS, TRADE_COLUMNS
from services.backtest.core.market import Bars, Charges, Market, Marks, Ranges, Span
from services.backtest.core.measures.summary import measure_run
from services.backtest.core.measures.wants import ALL_WANTS, CONFLICTS, DAYS, EXCURSIONS, TURNOVER
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.terms import Records, records_of
from services.backtest.core.unowned import beyond, unowned

METRICS: Final = len(METRIC_NAMES)

NO_LEVELS: Final = np.empty((0, 0))
"""Stands for levels nobody asks for."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """All that one set did.

    Attributes:
        trades: Rows of the trade table in use, the last of which may be open.
        equity: Equity at every close, shape (bars,).
        position: Signed quantity held at every close.
        counts: What was counted, shape (COUNTS,).
        values: Metrics, shape (METRICS,).
        reasons: Why those without a value have none, an UndefinedReason each; 0 with one.
        finite: False where a number outgrew what a double can hold; metrics mean nothing then.
    """

    trades: Numbers
    equity: Numbers
    position: Numbers
    counts: Integers
    values: Numbers
    reasons: Bytes
    finite: bool


@merged
def _unowned_market(market: Market) -> Market:
    bars, span, marks, charges, ranges = market
    return Market(
        Bars(
            unowned(bars.open),
            unowned(bars.high),
            unowned(bars.low),
            unowned(bars.close),
            unowned(bars.follows),
        ),
        Span(unowned(span.midnights), span.days, span.bars_per_year),
        Marks(unowned(marks.open), unowned(marks.high), unowned(marks.low), marks.separate),
        Charges(unowned(charges.at_open), unowned(charges.inside), unowned(charges.following)),
        Ranges(unowned(ranges.first), unowned(ranges.high), unowned(ranges.low)),
    )


@merged
def _wishes(signals: Signals, index: int, nothing: Planes, busy: Planes, seldom: bool) -> Wishes:
    """Return the planes of a set as a long sees them; `nothing` is a plane of zeros."""
    sets, words = signals.planes.shape[1:]
    planes = beyond(unowned(signals.planes), index * words)
    of = unowned(signals.of)
    never = unowned(nothing)
    each = sets * words
    return Wishes(
        beyond(planes, of[ENTER_LONG] * each) if of[ENTER_LONG] >= 0 else never,
        beyond(planes, of[EXIT_LONG] * each) if of[EXIT_LONG] >= 0 else never,
        beyond(planes, of[ENTER_SHORT] * each) if of[ENTER_SHORT] >= 0 else never,
        beyond(planes, of[EXIT_SHORT] * each) if of[EXIT_SHORT] >= 0 else never,
        unowned(busy),
        seldom,
    )


@merged
def _lay_out(signals: Signals, index: int, busy: Planes) -> None:
    """Write the words of a set into the planes."""
    enters, room = unowned(signals.planes), signals.places.shape[1]
    leaves = beyond(enters, signals.planes.shape[2])
    places = beyond(unowned(signals.places), index * room)
    bits = beyond(unowned(signals.bits), 2 * index * room)
    marks = unowned(busy)
    for number in range(signals.counts[index]):
        word = np.int64(places[number])
        enters[word], leaves[word] = bits[2 * number], bits[2 * number + 1]
        marks[word >> 6] |= np.uint64(1) << np.uint64(word & 63)


@merged
def _clear(signals: Signals, index: int, busy: Planes) -> None:
    """Clear the words of a set again."""
    enters, room = unowned(signals.planes), signals.places.shape[1]
    leaves = beyond(enters, signals.planes.shape[2])
    places = beyond(unowned(signals.places), index * room)
    for number in range(signals.counts[index]):
        enters[places[number]] = leaves[places[number]] = np.uint64(0)
    busy[:] = 0


@kernel
def _run(
    market: Market,
    signals: Signals,
    lines: Lines,
    terms: Records,
    tiers: Numbers,
    wants: int,
    begin: int,
    end: int,
    trades: Numbers,
    counts: Integers,
    equity: Numbers,
    position: Numbers,
    values: Numbers,
    reasons: Bytes,
    finite: Bytes,
    daily: Numbers,
) -> int:
    """Run the sets from begin to end, half-open; return the trades of the last one.

    `daily` gets the levels of each set where it has rows; `wants` must hold DAYS then.
    """
    bars, words = len(market.bars.close), signals.planes.shape[2]
    midnights = len(market.span.midnights) if wants & DAYS else 0
    levels, returns = np.empty(midnights), np.empty(max(0, midnights - 1))
    nothing, busy = np.zeros(words, np.uint64), np.zeros(-(-words // 64), np.uint64)
    facts = Facts(
        bars,
        words,
        len(tiers),
        market.marks.separate,
        len(market.charges.following) > 0,
        len(market.ranges.first) > 0,
    )
    sheet = Sheet(
        unowned(trades),
        unowned(counts),
        unowned(levels),
        midnights,
        unowned(equity),
        unowned(position),
        len(equity) > 0,
        wants & TURNOVER != 0,
        wants & EXCURSIONS != 0,
        wants & CONFLICTS != 0,
    )
    ground = _unowned_market(market)
    drawn = Drawn(unowned(lines.rows), lines.rows.shape[1], unowned(lines.of))
    listed = len(signals.counts) > 0
    count = 0
    for index in range(begin, end):
        values[index] = 0.0
        reasons[index] = 0
        finite[index] = 1
        if signals.firsts[index] < 0:
            continue
        counts[:] = 0
        own = terms[index if len(terms) > 1 else 0]
        if listed:
            _lay_out(signals, index, busy)
        count, curve, ruin = trade_set(
            ground,
            facts,
            _wishes(signals, 0 if listed else index, nothing, busy, listed),
            signals.firsts[index],
            drawn,
            index if len(lines.of) > 0 else -1,
            own,
            unowned(tiers),
            sheet,
        )
        if listed:
            _clear(signals, index, busy)
        sound = measure_run(
            curve,
            bars,
            ruin,
            own.capital,
            market.span,
            levels,
            returns,
            trades[:count],
            counts,
            wants,
            values[index],
            reasons[index],
        )
        finite[index] = 1 if sound else 0
        if len(daily) > 0:
            daily[index] = levels
    return count


def run_many(
    market: Market,
    signals: Signals,
    lines: Lines,
    terms: Numbers,
    tiers: Numbers,
    wants: int,
    begin: int,
    end: int,
    values: Numbers,
    reasons: Bytes,
    finite: Bytes,
    daily: Numbers = NO_LEVELS,
) -> None:
    """Run the sets from begin to end, half-open, in one call without the interpreter lock.

    `terms` and `tiers` are those of terms_matrix and tiers_of. Row by row, `values` and `reasons`,
    shape (sets, METRICS), get the metrics of the groups in `wants` and those of none; other places
    mean nothing. `finite`, shape (sets,), gets 0 where a number outgrew what a double can hold.
    `daily`, shape (sets, midnights), gets the equity at the span's midnights, which `wants` must
    hold; without rows they are not told.
    """
    nothing = np.empty(0)
    _run(
        market,
        frozen_signals(signals),
        Lines(*map(frozen, lines)),
        records_of(terms),
        frozen(tiers),
        wants,
        begin,
        end,
        np.empty((len(market.bars.close), TRADE_COLUMNS)),
        np.empty(COUNTS, np.int64),
        nothing,
        nothing,
        values,
        reasons,
        finite,
        daily,
    )


def run_one(
    market: Market, signals: Signals, lines: Lines, terms: Numbers, tiers: Numbers, index: int = 0
) -> Recorded:
    """Run one of the sets and write down everything; arguments as those of `run_many`."""
    bars, sets = len(market.bars.close), len(signals.firsts)
    trades, counts = np.empty((bars, TRADE_COLUMNS)), np.empty(COUNTS, np.int64)
    equity, position = np.empty(bars), np.empty(bars)
    values, reasons = np.empty((sets, METRICS)), np.empty((sets, METRICS), np.uint8)
    finite = np.empty(sets, np.uint8)
    count = _run(
        market,
        frozen_signals(signals),
        Lines(*map(frozen, lines)),
        records_of(terms),
        frozen(tiers),
        ALL_WANTS,
        index,
        index + 1,
        trades,
        counts,
        equity,
        position,
        values,
        reasons,
        finite,
        NO_LEVELS,
    )
    return Recorded(
        trades[:count].copy(),
        equity,
        position,
        counts,
        values[index],
        reasons[index],
        bool(finite[index]),
    )
