"""A stress test as a whole: what is wanted, what comes of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.backtest.core.batch import Cancelled
from services.backtest.core.evaluation.workbench import Workbench, workbench_of
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Bytes, Numbers
from services.backtest.core.metrics import UndefinedReason
from services.backtest.core.plugins.calls import PlugInFailed
from services.backtest.core.stress.costs import with_costs
from services.backtest.core.stress.entry_permutation import Placements, holdings_of, p_value
from services.backtest.core.stress.noise import noisy
from services.backtest.core.stress.subject import Measured, Subject, measured
from services.backtest.core.stress.trade_drops import dropped_returns
from services.backtest.core.stress.trades import NoAccountError, variants_for
from services.backtest.core.terms import terms_of
from services.common.distribution import Distribution, distribution_of

USUAL_NOISE: Final = 100
FEWEST_NOISE: Final = 10
MOST_NOISE_BARS: Final = 10_000_000
"""Markets with noise where no number is given: fewer over long windows."""

_NOTHING: Final = Distribution(0)


class Gap(enum.IntEnum):
    """Why a part tells nothing; numbers of `StressUndefinedReason` in the contract."""

    NONE = 0
    NO_TRADES = 1
    ONE_PLACEMENT = 2
    WINDOW_TOO_SHORT = 3
    COST_BEYOND_LIMIT = 4
    NOT_COMPUTED = 5
    RUINED = 6


@dataclass(frozen=True, slots=True)
class StressPlan:
    """What is done; fields of `StressParts`, parts with 0 are left out.

    Attributes:
        cost_factors: Factors on costs.
        delay_bars: Bars by which decisions are late.
        noise_ratio: Largest relative change of a price.
        noise_count: Markets with noise; None: as many as the window's length allows.
        drop_probability: Probability that a trade is left out.
        drop_count: Choices of trades.
        entry_permutation_count: Random placements.
        seed: Of all randomness.
        metrics: Told of every market with noise.
    """

    cost_factors: tuple[float, ...] = (1.0, 2.0, 3.0)
    delay_bars: int = 1
    noise_ratio: float = 0.001
    noise_count: int | None = None
    drop_probability: float = 0.1
    drop_count: int = 1_000
    entry_permutation_count: int = 1_000
    seed: int = 0
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A run under stress; None with the reason where there is none."""

    run: Measured | None
    gap: Gap


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Runs on markets with noise: total returns, and by metric values and reasons, NaN and 0."""

    count: int
    total_returns: Distribution
    values: dict[str, Numbers]
    reasons: dict[str, Bytes]


@dataclass(frozen=True, slots=True)
class Drops:
    """Choices of trades, and their total returns or why there are none."""

    count: int
    total_returns: Distribution
    gap: Gap


@dataclass(frozen=True, slots=True)
class Permutation:
    """Random placements, the actual one's total return among theirs, or why there is none."""

    count: int
    actual: float | None
    total_returns: Distribution
    p_value: float | None
    gap: Gap


@dataclass(frozen=True, slots=True, eq=False)
class StressResult:
    """What a stress test found; None for what was left out."""

    base: Measured
    trade_count: int
    costs: tuple[Outcome, ...]
    delay: Outcome | None
    noise: Noise | None
    drops: Drops | None
    permutation: Permutation | None


def stress(
    frame: Frame, subject: Subject, plan: StressPlan, cancelled: Callable[[], bool]
) -> StressResult:
    """Put a parameter set under stress; `cancelled` is asked before every run.

    Raises:
        Cancelled: `cancelled` said so.
        AssayError: As `single.run`, of the run without stress.
        ArithmeticError: That run's equity outgrew what a double can hold.
    """
    bench = workbench_of(frame)
    base = measured(bench, subject)
    if base is None:
        raise AssertionError("without a delay there is a run")
    test = _Test(frame, bench, subject, plan, base, cancelled)
    return StressResult(
        base=base,
        trade_count=len(base.recorded.trades),
        costs=tuple(map(test.with_factor, plan.cost_factors)),
        delay=test.delayed() if plan.delay_bars else None,
        noise=test.with_noise() if plan.noise_count != 0 else None,
        drops=test.with_drops() if plan.drop_count else None,
        permutation=test.placed_anew() if plan.entry_permutation_count else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """The parts of one stress test."""

    frame: Frame
    bench: Workbench
    subject: Subject
    plan: StressPlan
    base: Measured
    cancelled: Callable[[], bool]

    def with_factor(self, factor: float) -> Outcome:
        """Return the run with multiplied costs."""
        stop_defined = "stop_loss" in self.subject.strategy.program.distances
        execution = with_costs(self.subject.execution, factor, stop_defined=stop_defined)
        if execution is None:
            return Outcome(None, Gap.COST_BEYOND_LIMIT)
        return self._run(self.bench, replace(self.subject, execution=execution))

    def delayed(self) -> Outcome:
        """Return the run with late decisions."""
        return self._run(self.bench, self.subject, self.plan.delay_bars)

    def with_noise(self) -> Noise:
        """Return the runs on markets with noise."""
        plan, subject = self.plan, self.subject
        count = plan.noise_count
        if count is None:
            few = max(FEWEST_NOISE, MOST_NOISE_BARS // self.bench.bar_count)
            count = min(USUAL_NOISE, few)
        returns = np.full(count, np.nan)
        values = {name: np.full(count, np.nan) for name in plan.metrics}
        reasons = {name: np.zeros(count, np.uint8) for name in plan.metrics}
        for number in range(count):
            market = noisy(self.frame, plan.noise_ratio, subject.execution, plan.seed, number)
            # A workbench of its own: those of frames used again are not pushed out.
            run = self._run(Workbench(market), subject).run
            if run is not None:
                returns[number] = run.metrics["total_return_ratio"]
            for name in plan.metrics:
                known = {} if run is None else run.metrics
                why = UndefinedReason.SET_FAILED if run is None else run.reasons.get(name, 0)
                values[name][number] = known.get(name, np.nan)
                reasons[name][number] = why
        return Noise(count, distribution_of(returns), values, reasons)

    def with_drops(self) -> Drops:
        """Return what becomes of the account with trades left out."""
        trades, plan = self.base.recorded.trades, self.plan
        if not len(trades):
            return Drops(0, _NOTHING, Gap.NO_TRADES)
        count = variants_for(plan.drop_count, len(trades))
        capital = self.subject.execution.initial_capital_quote
        try:
            found = dropped_returns(trades, capital, plan.drop_probability, count, plan.seed)
        except NoAccountError:
            return Drops(0, _NOTHING, Gap.RUINED)
        return Drops(count, distribution_of(found), Gap.NONE)

    def placed_anew(self) -> Permutation:
        """Return what becomes of the account with random entries."""
        trades, bars = self.base.recorded.trades, self.bench.market.bars
        capital = self.subject.execution.initial_capital_quote
        gap = Gap.NONE if len(trades) else Gap.NO_TRADES
        try:
            holdings = holdings_of(trades, capital, self.base.first, len(bars.close))
        except NoAccountError:
            gap = Gap.RUINED
        else:
            if not gap and not holdings.movable:
                gap = Gap.ONE_PLACEMENT
        if gap:
            return Permutation(0, None, _NOTHING, None, gap)
        placements = Placements(holdings, bars, terms_of(self.subject.execution))
        count = variants_for(self.plan.entry_permutation_count, len(trades))
        actual, others = placements.actual(), placements.random(count, self.plan.seed)
        found = distribution_of(others)
        return Permutation(count, actual, found, p_value(actual, others), Gap.NONE)

    def _run(self, bench: Workbench, subject: Subject, delay_bars: int = 0) -> Outcome:
        if self.cancelled():
            raise Cancelled
        try:
            run = measured(bench, subject, delay_bars)
        except (ArithmeticError, PlugInFailed):
            return Outcome(None, Gap.NOT_COMPUTED)
        return Outcome(run, Gap.WINDOW_TOO_SHORT if run is None else Gap.NONE)
