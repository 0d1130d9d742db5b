"""The order engine: one set over a window, from planes of bits to fills, trades and the curve.

Flat stretches are jumped over; a held stretch is walked from event to event, an event being a bar
at whose open something is filled or paid, or a midnight.
"""

from __future__ import annotations

from typing import Final

from services.backtest.core.curve import Curve, after_close, after_stretch, new_curve
from services.backtest.core.engine.fills import (
    pay,
    write_added_entry,
    write_entry,
    write_excursions,
    write_exit,
    write_liquidation,
    write_open_end,
)
from services.backtest.core.engine.looking import look
from services.backtest.core.engine.orders import (
    AT_OPEN,
    LIQUIDATES,
    STAYS,
    bankruptcy_fill,
    forced_fill,
    guard_of,
    market_fill,
    with_liquidation,
)
from services.backtest.core.engine.scanning import (
    NEVER,
    Wishes,
    count_conflicts,
    is_left,
    next_adding,
    next_leaving,
    next_opening,
    turned,
    wanted_side,
)
from services.backtest.core.engine.sizing import Drawn, distances_at, quantity_at
from services.backtest.core.engine.touching import Course, Ground
from services.backtest.core.engine.walking import (
    Facts,
    Sheet,
    extremes,
    mark_days,
    record,
    walk,
)
from services.backtest.core.kernel import Numbers, merged
from services.backtest.core.ledger import (
    ADDED_ENTRIES,
    BUST,
    BUSTS,
    CONFLICTING_ENTRIES,
    END,
    ENTRY_PRICE,
    GAP_FILLS,
    HELD_BARS,
    LIQUIDATION,
    LIQUIDATIONS,
    OPEN,
    QUANTITY,
    REJECTED_ORDERS,
    REVERSAL,
    SIGNAL,
    TRADE_COLUMNS,
)
from services.backtest.core.market import Bars, Market
from services.backtest.core.terms import Terms
from services.backtest.core.unowned import beyond, fetch

_LINE_BARS: Final = 8
"""Prices in a line of cache."""
_LINES: Final = 6
"""Lines asked for before they are read; the processor foresees the others."""


@merged
def _ask_for(bars: Bars, at: int) -> None:
    """Ask for the prices of a bar and some that follow, which are read later."""
    fetch(bars.open, at)
    fetch(bars.follows, at)
    for line in range(0, _LINES * _LINE_BARS, _LINE_BARS):
        fetch(bars.high, at + line)
        fetch(bars.low, at + line)
        fetch(bars.close, at + line)


@merged
def trade_set(  # noqa: C901, PLR0912, PLR0915 - state kept in registers; calls on the way cost
    market: Market,
    facts: Facts,
    wishes: Wishes,
    first: int,
    lines: Drawn,
    index: int,
    terms: Terms,
    tiers: Numbers,
    sheet: Sheet,
) -> tuple[int, Curve, int]:
    """Trade a window; return the number of trades, the curve, and the bar of the ruin.

    The last trade may be open. Without ruin its bar is the last. Decisions are taken at closes from
    bar `first` on and filled at the next open. `wishes` are the set's as a long sees them; `index`
    is its row of Lines.of, -1 without lines. All arrays are unowned.
    """
    opens, highs, lows, closes, follows = market.bars
    mark_opens, mark_highs, mark_lows, _ = market.marks
    at_open, inside, following = market.charges
    midnights = market.span.midnights
    trades, counts, levels = sheet.trades, sheet.counts, sheet.levels
    days, words = sheet.days, facts.words
    last = facts.bars - 1
    limit = last if terms.close_at_end > 0.0 else last + 1
    margined = terms.margined > 0.0
    separate = margined and facts.separate
    cash = terms.capital
    curve = new_curve(cash)
    count = flat_from = 0
    day = mark_days(levels, midnights, days, 0, 0, cash)
    decision, ruin = first, last
    while True:
        decision = next_opening(wishes, words, decision)
        if decision >= last:
            break
        at = decision + 1
        _ask_for(market.bars, at)
        wanted = wanted_side(wishes, decision)
        reason = OPEN
        while wanted != 0:
            side = float(wanted)
            price = market_fill(opens[at], side, terms)
            sound, far = distances_at(lines, index, decision, terms)
            quantity = 0.0
            if sound:
                quantity = quantity_at(lines, index, decision, far.stop, price, cash, terms)
            if quantity == 0.0:
                counts[REJECTED_ORDERS] += 1
                break
            if flat_from < at:
                curve = after_stretch(curve, flat_from, at, cash)
                day = mark_days(levels, midnights, days, day, at, cash)
                if sheet.recording:
                    record(sheet, closes, flat_from, at, cash, 0.0, 0.0)
            trade = beyond(trades, count * TRADE_COLUMNS)
            count += 1
            counts[GAP_FILLS] += follows[at] == 0
            cash -= write_entry(trade, at, side, price, quantity, terms.fee)
            entry = lowest = highest = price
            guard = guard_of(side, entry, quantity, side * entry, far, terms)
            if margined:
                guard = with_liquidation(guard, side, entry, quantity, tiers, facts.tiers)
            start, ruined = at, False
            own = wishes if wanted > 0 else turned(wishes)
            wanted, reason, entries = 0, OPEN, 1.0
            leave, added, charged = next_leaving(own, words, at), NEVER, NEVER
            if wishes.seldom and leave < last:
                # While this position is held, the prices of the next one are on their way.
                soon = next_opening(wishes, words, leave)
                if soon < last:
                    _ask_for(market.bars, soon + 1)
            if terms.entries > 1.0:
                added = next_adding(own, words, at)
            if facts.funded:
                cash -= pay(trade, inside[at])
                charged = following[at + 1]
            while True:
                begin, end = at, min(limit, leave + 1, added + 1)
                if sheet.recording:
                    end = min(end, charged)
                if at < end:
                    at, ruined, cash, charged, day, guard, curve = walk(
                        Ground(
                            opens,
                            highs,
                            lows,
                            closes,
                            follows,
                            mark_lows if side > 0.0 else mark_highs,
                            midnights,
                            market.charges,
                            facts.bars,
                        ),
                        Course(at, end, charged, day, days, separate),
                        (side, cash, side * quantity, entry),
                        far.trail,
                        guard,
                        curve,
                        trade,
                        levels,
                        sheet.whole,
                    )
                    if sheet.excursions:
                        lowest, highest = extremes(highs, lows, begin, at, lowest, highest)
                    if sheet.recording:
                        record(sheet, closes, begin, at, cash, side * quantity, entry)
                if at > last:
                    break
                if at == end and (at == charged or at == leave + 1 or at == added + 1):
                    # The bar opens: what was carried in pays, then orders are filled.
                    if at == charged:
                        cash -= pay(trade, at_open[at])
                    opened = opens[at]
                    broken = margined and side * mark_opens[at] <= guard.liquidation
                    if at == leave + 1:
                        decision, leave = leave, NEVER
                        wanted = int(side) * wanted_side(own, decision)
                        if not broken:
                            counts[GAP_FILLS] += follows[at] == 0
                            reason = SIGNAL if is_left(own, decision) else REVERSAL
                            price, fee_ratio = market_fill(opened, -side, terms), terms.fee
                            counts[HELD_BARS] += at - start
                            break
                    elif at == added + 1:
                        if not broken:
                            price = market_fill(opened, side, terms)
                            value = cash + side * quantity * (opened - entry)
                            more = quantity_at(lines, index, added, far.stop, price, value, terms)
                            if more == 0.0:
                                counts[REJECTED_ORDERS] += 1
                            else:
                                counts[GAP_FILLS] += follows[at] == 0
                                counts[ADDED_ENTRIES] += 1
                                entries += 1.0
                                cash -= write_added_entry(trade, price, more, terms.fee)
                                entry, quantity = trade[ENTRY_PRICE], trade[QUANTITY]
                                lowest, highest = min(lowest, price), max(highest, price)
                                best = max(guard.best, side * price)
                                guard = guard_of(side, entry, quantity, best, far, terms)
                                if margined:
                                    guard = with_liquidation(
                                        guard, side, entry, quantity, tiers, facts.tiers
                                    )
                        added = next_adding(own, words, at) if entries < terms.entries else NEVER
                    if at == charged:
                        cash -= pay(trade, inside[at])
                        charged = following[at + 1]
                    continue
                # A level, ruin, or the last close ends the position.
                does = STAYS
                if not ruined:
                    does = look(market, facts, at, side, guard, terms, counts)
                if does != STAYS:
                    counts[HELD_BARS] += at - start + int(does & AT_OPEN == 0)
                    if does & LIQUIDATES != 0:
                        reason = LIQUIDATION
                    else:
                        reason, price, fee_ratio = forced_fill(does, opens[at], side, guard, terms)
                    break
                ruined = cash + side * quantity * (closes[at] - entry) <= 0.0
                counts[HELD_BARS] += at - start + 1
                reason = BUST if ruined else END
                price, fee_ratio = market_fill(closes[at], -side, terms), terms.fee
                break
            if reason == OPEN:
                counts[HELD_BARS] += at - start
                write_open_end(trade, closes[last])
            elif reason == LIQUIDATION:
                price, loss = bankruptcy_fill(side, entry, quantity, guard, terms)
                cash += write_liquidation(trade, at, price, loss, reason)
                counts[LIQUIDATIONS] += 1
            else:
                cash += write_exit(trade, at, price, fee_ratio, reason)
            if sheet.excursions:
                if reason != OPEN:
                    lowest = min(lowest, opens[at], price)
                    highest = max(highest, opens[at], price)
                write_excursions(trade, lowest, highest)
            flat_from = at
        if reason != OPEN:
            # The bar of an exit after which nothing was entered.
            ruined = reason == BUST or cash <= 0.0
            if ruined:
                counts[BUSTS] = 1
                cash, ruin = 0.0, at
            curve = after_close(curve, at, cash)
            day = mark_days(levels, midnights, days, day, at + 1, cash)
            if sheet.recording:
                record(sheet, closes, at, at + 1, cash, 0.0, 0.0)
            flat_from = at + 1
            if ruined:
                break
        decision = at
    if flat_from <= last:
        if cash > 0.0:
            curve = after_stretch(curve, flat_from, last + 1, cash)
        mark_days(levels, midnights, days, day, last + 1, cash)
        if sheet.recording:
            record(sheet, closes, flat_from, last + 1, cash, 0.0, 0.0)
    if sheet.conflicts:
        counts[CONFLICTING_ENTRIES] = count_conflicts(wishes, first, ruin)
    return count, curve, ruin
