"""One parameter set on one frame: the only path to a result, whether alone or in a batch."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.backtest.core.engine import simulate
from services.backtest.core.execution import Direction
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.rows import Rows
from services.backtest.core.kernel import Bytes, Numbers
from services.backtest.core.ledger import COUNTS, EXIT_BAR, TRADE_COLUMNS
from services.backtest.core.market import market_of
from services.backtest.core.measures.curve import measure_bars, measure_days
from services.backtest.core.measures.distribution import measure_distribution
from services.backtest.core.measures.powers import power_less_one
from services.backtest.core.measures.trades import measure_activity, measure_trades
from services.backtest.core.metrics import Metric, UndefinedReason
from services.backtest.core.signals import ENTER_LONG, ENTER_SHORT, first_decision_row, raise_flags
from services.backtest.core.strategies import Strategy
from services.backtest.core.strategies.strategy import Values
from services.backtest.core.terms import Terms

_CAGR: Final = int(Metric.CAGR_RATIO)
_CALMAR: Final = int(Metric.CALMAR_RATIO)
_FINAL: Final = int(Metric.FINAL_EQUITY_QUOTE)
_DRAWDOWN: Final = int(Metric.MAX_DRAWDOWN_RATIO)
_FEWEST_DAYS: Final = 30.0
_CALENDAR_YEAR_DAYS: Final = 365.25


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
        self._rows = Rows(frame)
        self._flags = np.empty(self._bar_count, np.uint8)
        self._scratch = np.empty(self._bar_count)
        self._returns = np.empty(max(0, len(self._market.midnights) - 1))
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
            self._market.bars, self._flags, first, terms, self.equity, self.trades, self._counts
        )
        self._measure(count, terms.capital, metrics, reasons)
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

    def _measure(self, count: int, capital: float, metrics: Numbers, reasons: Bytes) -> None:
        market, equity = self._market, self.equity
        mean = measure_bars(equity, capital, market.bars_per_year, self._scratch, metrics, reasons)
        if measure_days(equity, capital, market.midnights, self._returns, metrics, reasons):
            measure_distribution(self._returns, metrics, reasons)
        self._measure_growth(capital, metrics, reasons)
        still_open = count > 0 and self.trades[count - 1, EXIT_BAR] < 0.0
        measure_trades(self.trades[: count - still_open], metrics, reasons)
        finite = measure_activity(
            self.trades[:count], self._counts, self._bar_count, mean, metrics, reasons
        )
        if not finite:
            raise ArithmeticError("equity outgrew what a double can hold")

    def _measure_growth(self, capital: float, metrics: Numbers, reasons: Bytes) -> None:
        """Measure growth a year of 365.25 days, and growth over drawdown."""
        days = self._market.days
        if days < _FEWEST_DAYS:
            metrics[_CAGR] = metrics[_CALMAR] = np.nan
            reasons[_CAGR] = reasons[_CALMAR] = UndefinedReason.TOO_FEW_OBSERVATIONS
            return
        growth = float(metrics[_FINAL]) / capital
        cagr = power_less_one(growth, _CALENDAR_YEAR_DAYS / days) if growth > 0.0 else -1.0
        drawdown = float(metrics[_DRAWDOWN])
        metrics[_CAGR] = cagr
        if drawdown > 0.0:
            metrics[_CALMAR] = cagr / drawdown
        else:
            metrics[_CALMAR] = np.nan
            reasons[_CALMAR] = UndefinedReason.NO_DRAWDOWN
