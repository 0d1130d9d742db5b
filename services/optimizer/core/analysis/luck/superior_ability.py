"""Whether the best of many trials beats a benchmark: the test for superior predictive ability.

Source: Hansen, "A test for superior predictive ability", Journal of Business and Economic
Statistics 23(4), 2005; its upper bound is the reality check of White, Econometrica 68(5), 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.optimizer.core.analysis.luck.resampling import (
    FEWEST_DAYS,
    Bootstrap,
    PValues,
    block_days,
    seed_of,
)
from services.optimizer.core.analysis.luck.returns import Numbers

_NO_VARIANCE: Final = 1e-12
"""Share of the mean square below which what is left of it as variance is rounding."""


@dataclass(frozen=True, slots=True)
class BenchmarkTest:
    """The test against one benchmark.

    Attributes:
        p_values: What it found; None where it tells nothing.
        compared_count: Trials whose returns do not always differ from the benchmark's by the same.
        undefined_reason: Why it tells nothing; else empty.
    """

    p_values: PValues | None
    compared_count: int
    undefined_reason: str


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """The test against two benchmarks.

    Attributes:
        trial_count: Trials looked at.
        day_count: Their daily returns.
        cash: Against holding no position.
        buy_and_hold: Against holding one all the time.
    """

    trial_count: int
    day_count: int
    cash: BenchmarkTest
    buy_and_hold: BenchmarkTest


def superior_ability(
    returns: Numbers, held: Numbers | None, bootstrap: Bootstrap
) -> SuperiorAbility:
    """Test trials by their daily returns.

    Args:
        returns: Those of the trials, shape (trials, days).
        held: Those of buy-and-hold, shape (days,); None where it has none.
        bootstrap: Draws the days again.
    """
    trials, days = returns.shape

    def tested(name: str, benchmark: Numbers | None) -> BenchmarkTest:
        if days < FEWEST_DAYS:
            return BenchmarkTest(None, 0, "TOO_FEW_DAYS")
        if benchmark is None:
            return BenchmarkTest(None, 0, "RUINED")
        differences = studentized(returns - benchmark)
        if not len(differences):
            return BenchmarkTest(None, 0, "NOTHING_DIFFERS")
        seed = seed_of("superior ability", name)
        return BenchmarkTest(bootstrap.p_values(differences, seed), len(differences), "")

    cash = tested("cash", np.zeros(days))
    return SuperiorAbility(trials, days, cash, tested("buy and hold", held))


def against_cash(returns: Numbers, bootstrap: Bootstrap) -> SuperiorAbility:
    """Test one series of daily returns, shape (days,), that nothing holds a position against."""
    found = superior_ability(returns[None, :], None, bootstrap)
    return replace(found, buy_and_hold=BenchmarkTest(None, 0, "NO_BENCHMARK"))


def studentized(differences: Numbers) -> Numbers:
    """Return differences over the deviation of their mean times the root of the number of days.

    That deviation allows for dependence between days as the bootstrap's blocks do (Hansen 2005,
    section 3.2.2). Series that do not vary are left out.

    Args:
        differences: What each of several models earns above a benchmark, shape (models, days), with
            at least `FEWEST_DAYS` days.
    """
    days = differences.shape[1]
    distance = differences - differences.mean(axis=1, keepdims=True)
    restart = 1.0 / block_days(days)
    variance = (distance**2).sum(axis=1)
    for lag in range(1, days):
        share = lag / days
        weight = (1.0 - share) * (1.0 - restart) ** lag + share * (1.0 - restart) ** (days - lag)
        variance += 2.0 * weight * (distance[:, :-lag] * distance[:, lag:]).sum(axis=1)
    variance /= days
    varying = variance > _NO_VARIANCE * (differences**2).mean(axis=1)
    found: Numbers = differences[varying] / np.sqrt(variance[varying, None])
    return found
