"""Compiling every kernel before the first request."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from services.backtest.core.batch import ParameterSets, evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.strategies import DEFINITIONS, STRATEGIES
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval

_BARS: Final = 64
_LOOKBACK: Final = 24
_PERIODS: Final = {
    "fast_period": 2,
    "slow_period": 3,
    "signal_period": 2,
    "period": 3,
    "entry_period": 2,
    "exit_period": 2,
}


def warm_up() -> None:
    """Compile every kernel, or load it from the cache on disk, on a tiny market.

    Those of plug-ins are compiled where they are installed. Raises RuntimeError when a strategy
    does not run.
    """
    # Thirds are no decimals, so that means of both kinds are taken.
    for step in (0.25, 1.0 / 3.0):
        frame = _frame(step)
        for strategy in (STRATEGIES[definition.name] for definition in DEFINITIONS):
            values: dict[str, list[Any]] = {
                info.name: [_PERIODS.get(info.name, info.default)] * 2
                for info in strategy.parameters
            }
            if "average" in values:
                values["average"] = ["sma", "ema"]
            sets = ParameterSets(2, values)
            result = evaluate(
                frame, strategy, Direction.BOTH, sets, Execution(), METRIC_NAMES, lambda: False
            )
            if result.failures:
                raise RuntimeError(f"{strategy.name} does not run: {result.failures[0].message}")


def _frame(step: float) -> Frame:
    rows = np.arange(_BARS, dtype=np.float64)
    close = 100.0 + step * (rows % 7.0 - rows % 4.0)
    columns = (rows * DAY_MS, close, close + 1.0, close - 1.0, close, rows)
    return Frame(Candles.from_columns(columns), _LOOKBACK, Interval.DAY_1, _LOOKBACK)
