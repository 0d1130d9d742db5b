"""Random markets, signals and execution models, each a pure function of a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.backtest.core.engine import Recorded, run_one
from services.backtest.core.execution import (
    Direction,
    Execution,
    IntrabarPolicy,
    RiskTier,
    TargetFill,
)
from services.backtest.core.frame import Detail, Frame, Funding
from services.backtest.core.market import Market, market_of
from services.backtest.core.terms import terms_matrix, tiers_of
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest.engine.engine_room import HOUR_MS, START_MS, lines_of, signals_of
from tests.unit.backtest.engine.reference_orders import Account
from tests.unit.backtest.engine.reference_signals import Wanted
from tests.unit.backtest.engine.reference_window import Beside

MINUTES_15_MS = HOUR_MS // 4
LINES = ("stop", "target", "trail", "fraction", "volatility")


@dataclass(frozen=True)
class Ground:
    """A market, as the engine and as the reference see it."""

    frame: Frame
    market: Market
    follows: list[bool]
    beside: Beside

    @property
    def bars(self) -> int:
        """Bars of the window."""
        return self.frame.bar_count


@dataclass(frozen=True)
class Case:
    """What is traded on a market, and how."""

    flags: list[int]
    first: int
    execution: Execution
    lines: Mapping[str, Sequence[float]]


def walk(rng: np.random.Generator, bars: int) -> list[np.ndarray[Any, Any]]:
    """Return open, high, low and close of a random walk with jumps and flat bars."""
    volatility = rng.choice([0.0, 0.003, 0.02, 0.1])
    jumps = rng.normal(0, 0.15, bars) * (rng.random(bars) < 0.04)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, volatility, bars) + jumps))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, volatility / 3, bars))
    still = rng.random(bars) < rng.choice([0.0, 0.3])
    spread = np.abs(rng.normal(0, volatility / 2 + 0.001, (2, bars))) * ~still
    high = np.maximum(opened, close) * (1 + spread[0])
    low = np.minimum(opened, close) / (1 + spread[1])
    places = rng.choice([0, 1, 4, 12])
    return [np.maximum(np.round(x, places), 10.0**-places) for x in (opened, high, low, close)]


def ground_of(seed: int) -> Ground:
    """Make a market: bars, some missing, and at times funding, mark prices, shorter candles."""
    rng = np.random.default_rng(seed)
    bars = int(
        rng.choice([1, 2, 3, 20, 45, 64, 65, 120], p=[0.01, 0.02, 0.02, 0.2, 0.35, 0.1, 0.1, 0.2])
    )
    steps = 1 + (rng.random(bars) < rng.choice([0.0, 0.1]))
    times = START_MS + HOUR_MS * (np.cumsum(steps) - steps[0] + int(rng.integers(0, 24)))
    columns = walk(rng, bars)
    candles = Candles.from_columns([times, *columns, np.zeros(bars)])
    funding = mark = detail = None
    if rng.random() < 0.5:
        stamps = np.unique(
            rng.integers(times[0] - HOUR_MS, times[-1] + 2 * HOUR_MS, bars // 3 + 1) // HOUR_MS
        ) * HOUR_MS + rng.choice([0, 0, 1_000, 1_001, HOUR_MS // 2])
        funding = Funding(stamps, rng.normal(0.0002, 0.002, len(stamps)))
    if rng.random() < 0.3:
        shifts = np.exp(rng.normal(0, 0.01, bars))
        mark = Candles.from_columns([times, *(x * shifts for x in columns), np.zeros(bars)])
    if rng.random() < 0.4:
        detail = shorter(rng, candles)
    frame = Frame(candles, 0, Interval.HOUR_1, 0, funding, mark, detail)
    settled = (
        []
        if funding is None
        else [(int(a), float(b)) for a, b in zip(funding.time_ms, funding.rate_ratio, strict=True)]
    )
    beside = Beside(settled, mark, None if detail is None else detail.candles)
    follows = [True, *(np.diff(times) == HOUR_MS).tolist()]
    return Ground(frame, market_of(frame), follows, beside)


def shorter(rng: np.random.Generator, candles: Candles) -> Detail:
    """Make quarter hours inside the bars' ranges, some missing."""
    times = (candles.open_time_ms[:, None] + MINUTES_15_MS * np.arange(4)).ravel()
    lows, highs = np.repeat(candles.low, 4), np.repeat(candles.high, 4)
    ends = np.sort(rng.random((2, len(times))), axis=0)
    wide = rng.random(len(times)) < 0.3
    low = np.where(wide, lows, lows + ends[0] * (highs - lows))
    high = np.where(wide, highs, lows + ends[1] * (highs - lows))
    kept = rng.random(len(times)) < 0.8
    rows = [x[kept] for x in (times, low, high, low, high, np.zeros(len(times)))]
    return Detail(Candles.from_columns(rows), Interval.MINUTE_15)


def size_of(rng: np.random.Generator, fields: Mapping[str, Any]) -> dict[str, float]:
    """Choose a way to size positions, or none, that goes with the other fields."""
    capital = fields["initial_capital_quote"]
    sizes = {
        "position_fraction_ratio": float(rng.uniform(0.05, 1.0)),
        "position_quote": float(rng.uniform(0.1, 1.5)) * capital,
        "position_quantity_base": float(rng.uniform(0.1, 1.5)) * capital / 100,
        "risk_per_trade_ratio": float(rng.uniform(0.005, 0.2)),
        "volatility_target_ratio": float(rng.uniform(0.05, 1.5)),
    }
    if fields["stop_loss_ratio"] is None:
        del sizes["risk_per_trade_ratio"]
    chosen = [*sizes, ""][int(rng.integers(0, len(sizes) + 1))]
    return {chosen: sizes[chosen]} if chosen else {}


def execution_of(rng: np.random.Generator) -> Execution:
    """Make an execution model with each feature on or off."""

    def maybe(chance: float, low: float, high: float) -> float | None:
        return float(rng.uniform(low, high)) if rng.random() < chance else None

    fields: dict[str, Any] = {
        "initial_capital_quote": float(rng.choice([10_000.0, 123.45])),
        "taker_fee_bps": float(rng.choice([0.0, 5.5, 100.0])),
        "take_profit_fee_bps": [None, -2.0, 2.0][int(rng.integers(0, 3))],
        "slippage_bps": float(rng.choice([0.0, 3.0, 150.0])),
        "stop_loss_ratio": maybe(0.5, 0.001, 0.1),
        "take_profit_ratio": maybe(0.5, 0.001, 0.15),
        "trailing_stop_ratio": maybe(0.4, 0.001, 0.1),
        "intrabar_policy": IntrabarPolicy(int(rng.integers(1, 4))),
        "target_fill": TargetFill(int(rng.integers(1, 3))),
        "close_at_end": bool(rng.random() < 0.4),
        "size_on_initial_capital": bool(rng.random() < 0.2),
        "max_entry_count": int(rng.choice([1, 1, 2, 4])),
    }
    if fields["trailing_stop_ratio"] is not None:
        fields["trailing_activation_ratio"] = maybe(0.5, 0.0, 0.05)
    if rng.random() < 0.5:
        fields["leverage"] = float(rng.choice([1.0, 2.0, 7.5, 25.0, 100.0]))
        fields["liquidation_fee_bps"] = float(rng.choice([0.0, 50.0]))
        if rng.random() < 0.5:
            fields["risk_tiers"] = (
                RiskTier(20_000.0, 0.01),
                RiskTier(60_000.0, 0.02, 200.0),
                RiskTier(None if rng.random() < 0.5 else 90_000.0, 0.05, 2_000.0),
            )
    fields |= size_of(rng, fields)
    if rng.random() < 0.4:
        fields["tick_size_quote"] = float(rng.choice([0.1, 0.05, 1.0, 0.0001, 2.5]))
        fields["slippage_ticks"] = float(rng.choice([0.0, 1.0, 2.5]))
    if rng.random() < 0.4:
        fields["quantity_step_base"] = float(rng.choice([0.001, 0.1, 1.0]))
        fields["minimum_quantity_base"] = maybe(0.5, 0.0, 2.0)
        fields["minimum_notional_quote"] = maybe(0.5, 0.0, fields["initial_capital_quote"] / 2)
    return Execution(**fields)


def case_of(seed: int, bars: int) -> Case:
    """Make signals and an execution model for a window."""
    rng = np.random.default_rng(seed)
    density = rng.choice([0.05, 0.2, 0.6])
    raised = rng.random((4, bars)) < density * rng.choice([0.0, 0.5, 1.0, 1.0], (4, 1))
    direction = Direction(int(rng.integers(1, 4)))
    if direction is not Direction.BOTH:
        raised[2 if direction is Direction.LONG else 0 :][:2] = False
    flags = (raised * np.array([[1], [2], [4], [8]])).sum(axis=0).tolist()
    execution = execution_of(rng)
    lines = {}
    for name, most in zip(LINES, (0.1, 0.2, 0.1, 1.0, 1.0), strict=True):
        needed = name == "volatility" and execution.volatility_target_ratio is not None
        if needed or (name not in {"fraction", "volatility"} and rng.random() < 0.1):
            row = rng.uniform(-0.1 * most, most, bars)
            row[rng.random(bars) < 0.1] = rng.choice([np.nan, 0.0, 200.0])
            lines[name] = row.tolist()
    return Case(flags, int(rng.integers(0, max(1, min(bars - 1, 5)))), execution, lines)


def engine_runs(ground: Ground, case: Case) -> Recorded:
    """Return what the engine makes of a case."""
    return run_one(
        ground.market,
        signals_of(case.flags, case.first),
        lines_of({LINES.index(name): row for name, row in case.lines.items()}, ground.bars),
        terms_matrix(case.execution, {}, 1),
        tiers_of(case.execution),
    )


def reference_runs(ground: Ground, case: Case) -> Account:
    """Return what the reference makes of it."""
    beside = Beside(ground.beside.funding, ground.beside.mark, ground.beside.detail, case.lines)
    account = Account(ground.frame.candles, ground.follows, case.execution, beside)
    wanted = [Wanted(*(bool(flag >> place & 1) for place in range(4))) for flag in case.flags]
    account.trade(wanted, case.first, Direction.BOTH)
    return account
