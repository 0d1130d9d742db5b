"""A market made of whole numbers and what the core makes of it, for freezing.

`python -m tests.golden.backtest.frozen` prints the results as JSON; with a path it writes them
there. Results change only together with `CODE_VERSION`.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np

from services.backtest.core.batch import evaluate
from services.backtest.core.execution import Direction, Execution, IntrabarPolicy
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.single import run
from services.backtest.core.strategies import STRATEGIES, Definition, Strategy
from services.common.frames import Candles
from services.common.intervals import Interval

LOOKBACK = 400
BARS = 24 * 90

MODELS = {
    "plain": Execution(),
    "guarded": Execution(
        slippage_bps=1.5,
        take_profit_fee_bps=2.0,
        position_fraction_ratio=0.5,
        stop_loss_ratio=0.02,
        take_profit_ratio=0.03,
        trailing_stop_ratio=0.015,
        trailing_activation_ratio=0.01,
        intrabar_policy=IntrabarPolicy.NEAREST_EXTREME_FIRST,
        close_at_end=True,
    ),
    "margined": Execution(
        leverage=20.0,
        risk_per_trade_ratio=0.2,
        stop_loss_ratio=0.04,
        max_entry_count=3,
        slippage_ticks=2.0,
        tick_size_quote=0.1,
        quantity_step_base=0.001,
        minimum_notional_quote=5.0,
    ),
}

TEXT = Definition(
    parameters=(
        ParameterInfo("n", ParameterType.INT, "", "", 2.0, 100.0, default=20),
        ParameterInfo("k", ParameterType.DOUBLE, "", "", 0.5, 5.0, default=1.5),
    ),
    enter_long='close > bollinger_upper(close, n, k) and on("4h", rsi(close, 14)) > 50',
    exit_long="close < median(close, n) or adx(14) < 15 or crosses_below(zscore(close, n), 0)",
    enter_short="supertrend_direction(n, k) < 0 and hour >= 8",
    exit_short="not (supertrend_direction(n, k) < 0)",
    stop_loss="k * atr(14) / close",
    position_fraction="min(1, 0.01 / (atr(14) / close))",
)
"""A bit of everything: windows, recursions, longer bars, distances."""


def market(seed: int = 2024) -> Candles:
    """Return an hourly random walk in ticks of 0.1: the same on every machine."""
    draw = random.Random(seed)
    rows = []
    ticks = 400_000
    for hour in range(LOOKBACK + BARS):
        opened = ticks + draw.randint(-40, 40)
        ticks = opened + draw.randint(-2_500, 2_500)
        high = max(opened, ticks) + draw.randint(0, 900)
        low = min(opened, ticks) - draw.randint(0, 900)
        volume = draw.randint(0, 10_000) / 1_000
        prices = (tick / 10 for tick in (opened, high, low, ticks))
        rows.append((1_704_067_200_000 + 3_600_000 * hour, *prices, volume))
    return Candles.from_columns(zip(*rows, strict=True))


def results() -> dict[str, dict[str, str | int]]:
    """Return every metric of every strategy as hexadecimal floats, or the reason it has none."""
    frame = Frame(market(), LOOKBACK, Interval.HOUR_1, LOOKBACK)
    out: dict[str, dict[str, str | int]] = {}
    strategies = {**STRATEGIES, "text": Strategy.compiled(TEXT, INDICATORS)}
    for name, strategy in strategies.items():
        kinds = ("sma", "ema") if name == "ma_crossover" else ("",)
        for kind in kinds:
            for model, execution in MODELS.items():
                values = {"average": kind} if kind else {}
                result = run(frame, strategy, Direction.BOTH, values, execution)
                out[" ".join(filter(None, (name, kind, model)))] = {
                    metric: result.reasons[metric]
                    if metric in result.reasons
                    else result.metrics[metric].hex()
                    for metric in METRIC_NAMES
                }
    return out | {"a batch of plain crossovers": _batch(frame)}


def _batch(frame: Frame) -> dict[str, str | int]:
    """Return a few metrics of 600 sets, all their bits as one digest each."""
    fast, slow = np.meshgrid(np.arange(2, 22), np.arange(10, 40))
    sets = ParameterSets(fast.size, {"fast_period": fast.ravel(), "slow_period": slow.ravel()})
    told = evaluate(
        frame,
        STRATEGIES["ma_crossover"],
        Direction.LONG,
        sets,
        Execution(),
        ("bar_sharpe_ratio", "max_drawdown_ratio", "sharpe_ratio", "net_profit_quote"),
        lambda: False,
    )
    return {
        name: hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
        for name, values in told.values.items()
    }


if __name__ == "__main__":
    text = json.dumps(results(), indent=1) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
