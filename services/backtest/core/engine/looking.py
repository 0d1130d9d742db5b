"""Looking closely at the bar that touches a level of a position."""

from __future__ import annotations

from services.backtest.core.engine.orders import (
    AMBIGUOUS,
    FALLS,
    LIQUIDATES,
    STAYS,
    Guard,
    Prices,
    bar_does,
    by_policy,
    resolved,
)
from services.backtest.core.engine.walking import Facts
from services.backtest.core.kernel import Integers, merged
from services.backtest.core.ledger import AMBIGUOUS_BARS, RESOLVED_BARS
from services.backtest.core.market import Market
from services.backtest.core.terms import Terms


@merged
def look(
    market: Market,
    facts: Facts,
    bar: int,
    side: float,
    guard: Guard,
    terms: Terms,
    counts: Integers,
) -> int:
    """Say what a bar does to a position, by its shorter candles where it is ambiguous."""
    bars, marks, ranges = market.bars, market.marks, market.ranges
    prices = Prices(
        bars.open[bar],
        bars.high[bar],
        bars.low[bar],
        marks.open[bar],
        marks.high[bar],
        marks.low[bar],
    )
    does = bar_does(prices, side, guard)
    if does & AMBIGUOUS != 0:
        counts[AMBIGUOUS_BARS] += 1
        falls, told = does & FALLS, STAYS
        level = guard.liquidation if falls == LIQUIDATES else max(guard.stop, guard.trailing)
        # Shorter candles tell nothing of a mark price.
        if facts.detailed and not (facts.separate and falls == LIQUIDATES):
            told = resolved(ranges, bar, side, level, guard.target, falls)
        counts[RESOLVED_BARS] += told != STAYS
        does = told if told != STAYS else by_policy(prices, side, does, terms.policy)
    return does
