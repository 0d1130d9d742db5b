"""Compiling kernels before the first request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from services.backtest.core.batch import evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.planes.row_table import LONGEST_WHOLE
from services.backtest.core.sets.one_set import as_sets
from services.backtest.core.strategies import DEFINITIONS, STRATEGIES, Definition, Strategy
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval

_BARS: Final = 64
_LOOKBACK: Final = 64
_PERIODS: Final = {
    "fast_period": 2,
    "slow_period": 3,
    "signal_period": 2,
    "period": 3,
    "entry_period": 2,
    "exit_period": 2,
}
_GUARDED: Final = Execution(leverage=2.0, stop_loss_ratio=0.02, max_entry_count=2)
_FEW: Final = ("total_return_ratio",)
_COMPARISONS: Final = (
    "close < open or close <= open or close == open or close != open and not (close >= 3)",
    "crosses_above(close, 3) or crosses_below(close, 3) or close < 3 or close <= 3 or close == 3",
)


def warm_up(*, indicators: bool = False) -> None:
    """Compile the kernels of engines and built-in strategies, or load them from disk.

    With `indicators` those of every function of the language as well; else each is compiled when
    first asked for, and kept on disk. Those of plug-ins are compiled where they are installed.

    Raises:
        RuntimeError: A strategy does not run.
    """
    # Thirds are no decimals, so that means of both kinds are taken.
    for step in (0.25, 1.0 / 3.0):
        frame = _frame(step)
        for definition in DEFINITIONS:
            strategy = STRATEGIES[definition.name]
            for values in _values(strategy):
                _run(frame, strategy, values, Direction.LONG, Execution(), METRIC_NAMES)
                _run(frame, strategy, values, Direction.LONG, Execution(), _FEW)
                _run(frame, strategy, values, Direction.BOTH, _GUARDED, METRIC_NAMES)
        for text in _COMPARISONS:
            _run_text(frame, text)
    crossover = STRATEGIES["ma_crossover"]
    for values in _values(crossover):
        _run(_frame(0.25, LONGEST_WHOLE + 1), crossover, values, Direction.LONG, Execution(), _FEW)
    if indicators:
        for operation in INDICATORS.values():
            arguments = (*("close" for _ in operation.series), *("2" for _ in operation.statics))
            _run_text(frame, f"{operation.name}({', '.join(arguments)}) > 1")


def _values(strategy: Strategy) -> Iterator[dict[str, Value]]:
    values: dict[str, Value] = {
        info.name: _PERIODS.get(info.name, info.default or 0) for info in strategy.parameters
    }
    if "average" not in values:
        yield values
        return
    for word in ("sma", "ema"):
        yield {**values, "average": word}


def _run_text(frame: Frame, text: str) -> None:
    strategy = Strategy.compiled(Definition(enter_long=text), INDICATORS)
    _run(frame, strategy, {}, Direction.LONG, Execution(), _FEW)


def _run(
    frame: Frame,
    strategy: Strategy,
    values: dict[str, Value],
    direction: Direction,
    execution: Execution,
    metrics: Sequence[str],
) -> None:
    sets = as_sets(values)
    result = evaluate(frame, strategy, direction, sets, execution, metrics, lambda: False)
    if result.failures:
        name = strategy.name or strategy.definition.enter_long
        raise RuntimeError(f"{name} does not run: {result.failures[0].message}")


def _frame(step: float, bars: int = _BARS) -> Frame:
    rows = np.arange(bars + _LOOKBACK, dtype=np.float64)
    close = 100.0 + step * (rows % 7.0 - rows % 4.0)
    columns = (rows * DAY_MS, close, close + 1.0, close - 1.0, close, rows)
    return Frame(Candles.from_columns(columns), _LOOKBACK, Interval.DAY_1, _LOOKBACK)
