"""Drawing the curve over a held stretch, eight closes at a time, across settlements of funding."""

from __future__ import annotations

from services.backtest.core.curve import Curve
from services.backtest.core.engine.fills import pay
from services.backtest.core.engine.octets import (
    LANES,
    Octet,
    added,
    changes,
    counted,
    eight,
    equities,
    is_within,
    lower,
    lowest,
    parted,
    repeated,
    squared,
)
from services.backtest.core.kernel import Numbers, merged
from services.backtest.core.market import Charges


@merged
def _settled(
    closes: Numbers,
    charges: Charges,
    at: int,
    charged: int,
    pays: bool,
    held: tuple[float, float, float],
    cashes: Octet,
) -> Octet:
    """Return equity at eight closes; funding settled at one of them is paid from there on."""
    cash, quantity, entry = held
    if pays:
        late = cash - quantity * charges.at_open[charged]
        late -= quantity * charges.inside[charged]
        cashes = parted(cash, late, charged - at)
    return equities(closes, at, cashes, quantity, entry)


@merged
def drawn(
    closes: Numbers,
    charges: Charges,
    at: int,
    until: int,
    bars: int,
    charged: int,
    held: tuple[float, float, float],
    curve: Curve,
    trade: Numbers,
    whole: bool,
) -> tuple[int, float, int, Curve]:
    """Draw the curve up to a bar, or as far as there are eight closes of which none is at its peak.

    Nor may one ruin the account. Funding settled on the way is paid; where several bars of eight
    settle, fewer are drawn at once. Returns the bar stopped before, cash, the next charge after it
    and the curve, whose sum of equity is told if `whole`. `held` are cash, signed
    quantity and entry price.
    """
    cash, quantity, entry = held
    previous, total, returns, squares, peak, least, trough, peak_bar, longest = curve
    before, lows, cashes = eight(previous), eight(trough), eight(cash)
    begin = at
    while at < until and at + LANES <= bars:
        count = min(until - at, LANES)
        pays = charged < at + count
        if pays:
            following = charges.following[charged + 1]
            count = min(count, following - at)
        values = _settled(closes, charges, at, charged, pays, (cash, quantity, entry), cashes)
        moved = changes(values, before)
        squares_moved = squared(moved)
        before = values
        if count < LANES:
            values = repeated(values, count)
        if not is_within(values, peak):
            break
        lows = lower(lows, values)
        if count < LANES:
            moved, squares_moved = counted(moved, count), counted(squares_moved, count)
            values = counted(values, count)
        if whole:
            total = added(total, values)
        returns, squares = added(returns, moved), added(squares, squares_moved)
        at += count
        if pays:
            cash -= pay(trade, charges.at_open[charged])
            cash -= pay(trade, charges.inside[charged])
            cashes, charged = eight(cash), following
        if count < LANES:
            before = eight(cash + quantity * (closes[at - 1] - entry))
    if at > begin:
        previous = cash + quantity * (closes[at - 1] - entry)
        trough = lowest(lows)
    curve = Curve(previous, total, returns, squares, peak, least, trough, peak_bar, longest)
    return at, cash, charged, curve
