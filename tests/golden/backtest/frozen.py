"""A market made of whole numbers and what the core makes of it, for freezing.

`python -m tests.golden.backtest.frozen` prints the results as JSON; with a path it writes them
there. Results change only together with `CODE_VERSION`.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from services.backtest.core.execution import Direction, Execution, IntrabarPolicy
from services.backtest.core.frame import Frame
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.single import run
from services.backtest.core.strategies import STRATEGIES
from services.common.frames import Candles
from services.common.intervals import Interval

LOOKBACK = 200
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
}


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
    for name, strategy in STRATEGIES.items():
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
    return out


if __name__ == "__main__":
    text = json.dumps(results(), indent=1) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
