"""Random placements of a run's trades: is their timing better than chance at equal exposure?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.core.kernel import Integers, Numbers
from services.backtest.core.ledger import (
    END,
    ENTRY_BAR,
    ENTRY_PRICE,
    EXIT_BAR,
    EXIT_REASON,
    QUANTITY,
    REVERSAL,
    SIDE,
    SIGNAL,
)
from services.backtest.core.market import Bars
from services.backtest.core.stress.trades import equity_before
from services.backtest.core.terms import Terms

_PURPOSE: Final = 3
"""Keeps the draws apart from those for other purposes."""

_AT_ONCE: Final = 1_000_000
"""Trades placed together."""

_TIE: Final = 1e-12
"""Accounts that close, relatively, are equal: the order of products shows in their last bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Trades as what can be placed anew, one entry per trade.

    Attributes:
        entries: Bars at whose open they began, rising.
        lengths: Bars held, at least 1; no trade begins before the one before it has ended.
        sides: 1 long, -1 short.
        shares: Notional over equity at the entry.
        first: First bar at whose open a trade can begin.
        bars: Bars of the window.
    """

    entries: Integers
    lengths: Integers
    sides: Numbers
    shares: Numbers
    first: int
    bars: int

    @property
    def free(self) -> int:
        """Bars without a trade."""
        return self.bars - self.first - int(self.lengths.sum())

    @property
    def movable(self) -> bool:
        """Whether there is more than one placement."""
        return len(self.entries) > 1 or self.free > 0


def holdings_of(trades: Numbers, capital: float, first_decision: int, bars: int) -> Holdings:
    """Return the trades of the engine's table.

    A trade closed by an order ends at the open of its exit bar; one closed inside a bar has held
    that bar too; one that is open, or closed at the end, lasts to the last close.

    Raises:
        NoAccountError: a trade began with nothing.
    """
    entries = trades[:, ENTRY_BAR].astype(np.int64)
    leaves = trades[:, EXIT_BAR].astype(np.int64)
    reasons = trades[:, EXIT_REASON]
    inside = (reasons != SIGNAL) & (reasons != REVERSAL)
    ends = np.where((leaves < 0) | (reasons == END), bars, leaves + inside)
    ends[:-1] = np.minimum(ends[:-1], entries[1:])
    notional = trades[:, QUANTITY] * trades[:, ENTRY_PRICE]
    return Holdings(
        entries=entries,
        lengths=ends - entries,
        sides=trades[:, SIDE],
        shares=notional / equity_before(trades, capital),
        first=first_decision + 1,
        bars=bars,
    )


class Placements:
    """Values placements of trades on a window's bars."""

    def __init__(self, holdings: Holdings, bars: Bars, terms: Terms) -> None:
        """Fill at opens, and at the last close where a trade lasts that long."""
        self._of = holdings
        self._prices = np.append(bars.open, bars.close[-1])
        self._terms = terms

    def actual(self) -> float:
        """Return the total return of the placement there was."""
        own = np.arange(len(self._of.entries))[:, np.newaxis]
        return float(self._account(self._of.entries[:, np.newaxis], own)[0]) - 1.0

    def random(self, count: int, seed: int) -> Numbers:
        """Return the total returns of random placements, shape (count,).

        The trades come in random order; each begins after a number of free bars drawn uniformly, in
        rising order.
        """
        draws = np.random.default_rng((seed, _PURPOSE))
        trades = len(self._of.entries)
        step = max(1, _AT_ONCE // trades)
        accounts = []
        for begin in range(0, count, step):
            shape = (trades, min(step, count - begin))
            order = np.argsort(draws.random(shape), axis=0, kind="stable")
            waits = np.sort(draws.integers(0, self._of.free + 1, shape), axis=0)
            lengths = self._of.lengths[order]
            held = np.cumsum(lengths, axis=0) - lengths
            accounts.append(self._account(self._of.first + waits + held, order))
        return np.concatenate(accounts) - 1.0

    def _account(self, begins: Integers, order: Integers) -> Numbers:
        """Return what becomes of 1, a column per placement; rows are trades in order of time."""
        terms, sides = self._terms, self._of.sides[order]
        opened = self._prices[begins]
        closed = self._prices[begins + self._of.lengths[order]]
        entry = opened * (1.0 + sides * terms.slippage) + sides * terms.slip
        leave = closed * (1.0 - sides * terms.slippage) - sides * terms.slip
        change = np.maximum(leave, 0.0) / entry
        gains = sides * (change - 1.0) - terms.fee * (1.0 + change)
        account = np.ones(begins.shape[1])
        for gain in np.maximum(0.0, 1.0 + self._of.shares[order] * gains):
            account *= gain
        return account


def p_value(actual: float, others: Numbers) -> float:
    """Return the one-sided p-value of a total return among those of random placements."""
    as_good = (1.0 + others) >= (1.0 + actual) * (1.0 - _TIE)
    return (1 + int(as_good.sum())) / (1 + len(others))
