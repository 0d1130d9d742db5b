"""Random markets and requests for tests, each a pure function of a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from services.backtest.core.execution import Direction, Execution, IntrabarPolicy, TargetFill
from services.backtest.core.frame import Frame
from services.backtest.core.parameters import Value
from services.backtest.core.sets import one_set
from services.backtest.core.strategies import Strategy
from services.common.frames import Candles
from services.common.intervals import Interval

START_MS = 1_704_067_200_000
"""2024-01-01, a Monday."""


def candles(
    seed: int,
    bars: int,
    *,
    interval: Interval = Interval.HOUR_1,
    decimals: int | None = 1,
    volatility: float = 0.02,
    gaps: bool = False,
    start_ms: int = START_MS,
) -> Candles:
    """Return a random walk around 100 on a grid of ticks; `decimals` None: no grid."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, volatility, bars)))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, volatility / 4, bars))
    spread = np.abs(rng.normal(0.0, volatility / 2, (2, bars)))
    high = np.maximum(opened, close) * (1 + spread[0])
    low = np.minimum(opened, close) / (1 + spread[1])
    columns = [opened, high, low, close]
    if decimals is not None:
        columns = [np.maximum(np.round(column, decimals), 10.0**-decimals) for column in columns]
    times = [start_ms]
    for jump in rng.random(bars - 1):
        following = interval.next_open_ms(times[-1])
        if gaps and jump < 0.1:
            following = interval.next_open_ms(interval.next_open_ms(following))
        times.append(following)
    return Candles.from_columns([times, *columns, rng.random(bars)])


def frame(
    market: Candles, window_start: int, lookback: int, interval: Interval = Interval.HOUR_1
) -> Frame:
    """Cut a frame with `lookback` bars before the window, as the data service would."""
    begin = max(0, window_start - lookback)
    return Frame(market.slice(begin, len(market)), min(window_start, lookback), interval, lookback)


def lookback(
    strategy: Strategy, values: Mapping[str, Value], interval: Interval = Interval.HOUR_1
) -> int:
    """Return the bars a strategy needs before its window."""
    return one_set.lookback(strategy, Direction.BOTH, values, Execution(), interval)


@dataclass(frozen=True)
class Request:
    """A strategy with parameters and terms."""

    strategy: str
    direction: Direction
    values: dict[str, Value]
    execution: Execution


def _optional(least: float, most: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(least, most)


executions = st.builds(
    Execution,
    initial_capital_quote=st.sampled_from([10_000.0, 1.0, 123.45]),
    taker_fee_bps=st.sampled_from([0.0, 5.5, 100.0]),
    take_profit_fee_bps=st.sampled_from([None, -2.0, 2.0]),
    slippage_bps=st.sampled_from([0.0, 3.0, 150.0]),
    position_fraction_ratio=st.sampled_from([1.0, 0.3]),
    stop_loss_ratio=_optional(0.001, 0.1),
    take_profit_ratio=_optional(0.001, 0.1),
    trailing_stop_ratio=st.just(0.02) | st.floats(0.001, 0.1),
    trailing_activation_ratio=_optional(0.0, 0.05),
    intrabar_policy=st.sampled_from(IntrabarPolicy),
    target_fill=st.sampled_from(TargetFill),
    close_at_end=st.booleans(),
) | st.builds(
    Execution,
    slippage_bps=st.sampled_from([0.0, 3.0]),
    stop_loss_ratio=_optional(0.001, 0.1),
    take_profit_ratio=_optional(0.001, 0.1),
    close_at_end=st.booleans(),
)

_periods = st.integers(1, 12)
_values: dict[str, st.SearchStrategy[dict[str, Value]]] = {
    "ma_crossover": st.fixed_dictionaries(
        {
            "fast_period": _periods,
            "slow_period": _periods,
            "average": st.sampled_from(["sma", "ema"]),
        }
    ),
    "rsi_reversion": st.fixed_dictionaries(
        {
            "period": st.integers(2, 8),
            "lower": st.sampled_from([10.0, 30.0, 45.5]),
            "upper": st.sampled_from([50.0, 70.0]),
        }
    ),
    "macd": st.fixed_dictionaries(
        {"fast_period": _periods, "slow_period": _periods, "signal_period": st.integers(1, 6)}
    ),
    "bollinger_reversion": st.fixed_dictionaries(
        {"period": st.integers(2, 12), "width": st.floats(0.1, 2.5)}
    ),
    "donchian_breakout": st.fixed_dictionaries({"entry_period": _periods, "exit_period": _periods}),
    "buy_and_hold": st.fixed_dictionaries({}),
}

requests = st.sampled_from(sorted(_values)).flatmap(
    lambda name: st.builds(
        Request,
        strategy=st.just(name),
        direction=st.sampled_from(Direction),
        values=_values[name],
        execution=executions,
    )
)
