"""One backtest, told in full."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from services.backtest.core import ledger
from services.backtest.core.evaluation import Evaluator, LookbackTooShort, WindowTooShort
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, Numbers
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameter_sets import problems_with_values
from services.backtest.core.parameters import Value
from services.backtest.core.strategies import Strategy
from services.backtest.core.terms import terms_of
from services.common.errors import AssayError, Code, Violation, fields_invalid, refuse


class ExitReason(enum.IntEnum):
    """Why a position was closed; numbers of `Trade.ExitReason` in the contract."""

    OPEN = ledger.OPEN
    SIGNAL = ledger.SIGNAL
    REVERSAL = ledger.REVERSAL
    STOP_LOSS = ledger.STOP_LOSS
    TAKE_PROFIT = ledger.TAKE_PROFIT
    TRAILING_STOP = ledger.TRAILING_STOP
    END = ledger.END
    BUST = ledger.BUST


@dataclass(frozen=True, slots=True)
class Trade:
    """One position from its entry to its exit, or to the last close while open.

    Attributes:
        side: LONG or SHORT.
        entry_time_ms: Open time of the bar of the entry.
        exit_time_ms: Open time of the bar of the exit; None while open.
        entry_price_quote: Entry fill.
        exit_price_quote: Exit fill; the last close while open.
        quantity_base: Quantity.
        fees_quote: Fees of both fills.
        net_profit_quote: Profit net of fees; unrealised while open.
        bars_held: Bars from entry to exit, or to the last bar.
        exit_reason: Why it was closed; OPEN while open.
        adverse_excursion_ratio: Largest unfavourable move from the entry fill, as a fraction of it.
        favorable_excursion_ratio: Largest favourable one.
    """

    side: Direction
    entry_time_ms: int
    exit_time_ms: int | None
    entry_price_quote: float
    exit_price_quote: float
    quantity_base: float
    fees_quote: float
    net_profit_quote: float
    bars_held: int
    exit_reason: ExitReason
    adverse_excursion_ratio: float
    favorable_excursion_ratio: float


class Trades(Sequence[Trade]):
    """The trades of a run in order; each is made when asked for."""

    def __init__(self, table: Numbers, open_time_ms: Integers) -> None:
        """Take the engine's rows in use and the open times of the window's bars."""
        self._table = table
        self._times = open_time_ms

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Trade: ...

    @overload
    def __getitem__(self, index: slice) -> list[Trade]: ...

    def __getitem__(self, index: int | slice) -> Trade | list[Trade]:
        if isinstance(index, slice):
            return [self._trade(row) for row in self._table[index]]
        return self._trade(self._table[index])

    def _trade(self, row: Numbers) -> Trade:
        entry, leave = int(row[ledger.ENTRY_BAR]), int(row[ledger.EXIT_BAR])
        is_open = leave < 0
        return Trade(
            side=Direction.LONG if row[ledger.SIDE] > 0 else Direction.SHORT,
            entry_time_ms=int(self._times[entry]),
            exit_time_ms=None if is_open else int(self._times[leave]),
            entry_price_quote=float(row[ledger.ENTRY_PRICE]),
            exit_price_quote=float(row[ledger.EXIT_PRICE]),
            quantity_base=float(row[ledger.QUANTITY]),
            fees_quote=float(row[ledger.FEES]),
            net_profit_quote=float(row[ledger.NET_PROFIT]),
            bars_held=(len(self._times) - 1 if is_open else leave) - entry,
            exit_reason=ExitReason(int(row[ledger.EXIT_REASON])),
            adverse_excursion_ratio=float(row[ledger.ADVERSE]),
            favorable_excursion_ratio=float(row[ledger.FAVORABLE]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SingleResult:
    """A backtest in full.

    Attributes:
        metrics: By name the metrics that have a value.
        reasons: By name why the others have none, numbers of UndefinedReason.
        trades: The closed trades in order, then the open one if any.
        open_time_ms: Open time of every bar of the window, shape (bars,).
        equity: Equity at every close, quote currency.
        position: Signed quantity held at every close, base currency.
        drawdown: Fall from the highest equity so far as a fraction of it, at every close.
        first_decision_index: Bar at whose close the first decision could be taken.
    """

    metrics: Mapping[str, float]
    reasons: Mapping[str, int]
    trades: Trades
    open_time_ms: Integers
    equity: Numbers
    position: Numbers
    drawdown: Numbers
    first_decision_index: int


def run(
    frame: Frame,
    strategy: Strategy,
    direction: Direction,
    values: Mapping[str, Value],
    execution: Execution,
) -> SingleResult:
    """Run one set; parameters not in `values` take their defaults.

    Raises AssayError INVALID_ARGUMENT/FIELD_INVALID where values are unsound or the frame holds too
    little history, FAILED_PRECONDITION/WINDOW_TOO_SHORT where no decision could be filled.
    """
    used = {info.name: values.get(info.name, info.default) for info in strategy.parameters}
    complete = {name: value for name, value in used.items() if value is not None}
    refuse(
        Violation(f"parameters.{name}", problem)
        for name, problem in problems_with_values(strategy, complete)
    )
    metrics, reasons = np.full(len(METRIC_NAMES), np.nan), np.zeros(len(METRIC_NAMES), np.uint8)
    evaluator = Evaluator(frame)
    terms = terms_of(execution)
    try:
        outcome = evaluator.run(strategy, direction, complete, terms, metrics, reasons)
    except (LookbackTooShort, WindowTooShort) as error:
        raise _refusal(error) from error
    table = evaluator.trades[: outcome.trade_count].copy()
    times = frame.candles.open_time_ms[frame.window_start :]
    named = list(zip(METRIC_NAMES, metrics.tolist(), reasons.tolist(), strict=True))
    peaks = np.maximum.accumulate(np.maximum(evaluator.equity, terms.capital))
    return SingleResult(
        metrics={name: value for name, value, reason in named if not reason},
        reasons={name: reason for name, _, reason in named if reason},
        trades=Trades(table, times),
        open_time_ms=times,
        equity=evaluator.equity,
        position=_position(table, len(times)),
        drawdown=1.0 - evaluator.equity / peaks,
        first_decision_index=outcome.first_decision,
    )


def _refusal(error: LookbackTooShort | WindowTooShort) -> AssayError:
    if isinstance(error, LookbackTooShort):
        return fields_invalid([Violation("snapshot.lookback_bar_count", str(error))])
    counts = {
        "needed_bar_count": str(error.needed),
        "available_bar_count": str(error.available),
    }
    return AssayError(Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT", str(error), metadata=counts)


def _position(table: Numbers, bar_count: int) -> Numbers:
    """Return the quantity held at every close: none at the close of the bar of an exit."""
    position = np.zeros(bar_count)
    for row in table:
        leave = int(row[ledger.EXIT_BAR])
        held = slice(int(row[ledger.ENTRY_BAR]), bar_count if leave < 0 else leave)
        position[held] = row[ledger.SIDE] * row[ledger.QUANTITY]
    return position
