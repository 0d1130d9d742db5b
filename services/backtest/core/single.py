"""One backtest, told in full."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from services.backtest.core import ledger
from services.backtest.core.evaluation.workbench import workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, Numbers
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.sets.one_set import one_set
from services.backtest.core.sets.runs import Runner
from services.backtest.core.strategies.strategy import Strategy


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
    LIQUIDATION = ledger.LIQUIDATION


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
        funding_quote: Funding paid, negative when received.
        entry_count: Entries of the position.
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
    funding_quote: float
    entry_count: int


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
            funding_quote=float(row[ledger.FUNDING]),
            entry_count=int(row[ledger.ENTRY_COUNT]),
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

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID where values are unsound, the frame holds too
            little history or the strategy asks for bars it does not make up;
            FAILED_PRECONDITION/WINDOW_TOO_SHORT where no decision could be filled.
        ArithmeticError: Equity outgrew what a double can hold.
    """
    bench = workbench_of(frame)
    chosen = one_set(bench, strategy, direction, values, execution)
    runner = Runner(bench, strategy, direction, execution, METRIC_NAMES)
    recorded = runner.record(chosen.code, chosen.signals, chosen.chunk)
    if not recorded.finite:
        raise ArithmeticError("equity outgrew what a double can hold")
    times = frame.candles.open_time_ms[frame.window_start :]
    named = list(
        zip(METRIC_NAMES, recorded.values.tolist(), recorded.reasons.tolist(), strict=True)
    )
    peaks = np.maximum.accumulate(np.maximum(recorded.equity, execution.initial_capital_quote))
    return SingleResult(
        metrics={name: value for name, value, reason in named if not reason},
        reasons={name: reason for name, _, reason in named if reason},
        trades=Trades(recorded.trades, times),
        open_time_ms=times,
        equity=recorded.equity,
        position=recorded.position,
        drawdown=1.0 - recorded.equity / peaks,
        first_decision_index=int(chosen.chunk.firsts[0]),
    )
