"""One parameter set on one frame: the only path to a result, whether alone or in a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.backtest.core.engine import simulate
from services.backtest.core.execution import Direction
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.rows import Rows
from services.backtest.core.kernel import Bytes, Numbers
from services.backtest.core.ledger import COUNTS, TRADE_COLUMNS
from services.backtest.core.market import market_of
from services.backtest.core.measures.summary import measure_run
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, first_decision_row, raise_flags
from services.backtest.core.strategies import Strategy
from services.backtest.core.strategies.strategy import Values
from services.backtest.core.terms import Terms


class LookbackTooShort(Exception):  # noqa: N818 - says what happened
    """The frame holds less history than the set needs, though its dataset may hold more."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(f"needs {needed} bars before the window, the frame holds {available}")
        self.needed = needed
        self.available = available


class WindowTooShort(Exception):  # noqa: N818 - says what happened
    """The window leaves no bar for a decision and a fill.

    Attributes:
        needed: Bars the window would have to have.
        available: Bars it has.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"the window has {available} bars, but a first decision and its fill need {needed}"
        )
        self.needed = needed
        self.available = available


class Outcome(NamedTuple):
    """What a run left in the evaluator's arrays.

    Attributes:
        first_decision: Bar of the window at whose close the first decision could be taken.
        trade_count: Rows of the trade table in use, the last of which may be open.
    """

    first_decision: int
    trade_count: int


class Evaluator:
    """Runs sets on one frame, one after another; for one thread.

    Attributes:
        equity: Equity at every close of the window after a run, shape (bars,).
        trades: Trade table after a run, shape (bars, TRADE_COLUMNS).
    """

    def __init__(self, frame: Frame) -> None:
        """Take a frame; its rows are computed when first needed."""
        self._frame = frame
        self._bar_count = frame.bar_count
        self._market = market_of(frame)
        opens, highs, lows, closes, follows = self._market.bars
        self._bars = (opens, highs, lows, closes, follows)
        self._rows = Rows(frame)
        self._flags = np.empty(self._bar_count, np.uint8)
        days = max(0, len(self._market.span.midnights) - 1)
        self._scratch = np.empty(self._bar_count), np.empty(days)
        self._counts = np.empty(COUNTS, np.int64)
        self.equity: Numbers = np.empty(self._bar_count)
        self.trades: Numbers = np.empty((self._bar_count, TRADE_COLUMNS))

    def run(
        self,
        strategy: Strategy,
        direction: Direction,
        values: Values,
        terms: Terms,
        metrics: Numbers,
        reasons: Bytes,
    ) -> Outcome:
        """Run one set and write its metrics and their reasons, a place per `Metric`.

        `values` holds every parameter of the strategy, sound. `reasons` must be 0.

        Raises LookbackTooShort, WindowTooShort, and ArithmeticError where numbers overflow.
        """
        first = self._signal(strategy, direction, values)
        count = simulate(
            self._bars, self._flags, first, tuple(terms), self.equity, self.trades, self._counts
        )
        finite = measure_run(
            self.equity,
            terms.capital,
            self._market.span,
            self.trades[:count],
            self._counts,
            self._scratch,
            metrics,
            reasons,
        )
        if not finite:
            raise ArithmeticError("equity outgrew what a double can hold")
        return Outcome(first, count)

    def _signal(self, strategy: Strategy, direction: Direction, values: Values) -> int:
        """Set the flags of a set and return the bar of its first decision."""
        needed, start = strategy.lookback(values), self._frame.window_start
        if needed > start and not self._frame.begins_dataset:
            raise LookbackTooShort(needed, start)
        rules = strategy.rules(values, self._rows)
        first = first_decision_row(rules, start) - start
        if first + 2 > self._bar_count:
            raise WindowTooShort(first + 2, self._bar_count)
        raise_flags(rules, direction, self._flags)
        if not rules:
            self._flags[first] = ENTER_SHORT if direction is Direction.SHORT else ENTER_LONG
        return first
