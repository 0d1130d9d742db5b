"""What resampling is asked, and what its answers say: with a bootstrap that draws nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.choosing import compared
from services.optimizer.core.analysis.luck.intervals import NAMES, intervals, statistics
from services.optimizer.core.analysis.luck.resampling import PValues, block_days
from services.optimizer.core.analysis.luck.returns import Numbers
from services.optimizer.core.analysis.luck.superior_ability import studentized, superior_ability


class Remembering:
    """A bootstrap that remembers what it was asked; its resamples are the days in turn.

    Attributes:
        asked: Differences and seed of each test.
        seeds: Seeds of the resamplings.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Numbers, int]] = []
        self.seeds: list[int] = []

    def p_values(self, differences: Numbers, seed: int) -> PValues:
        """Return made-up ones."""
        self.asked.append((differences, seed))
        return PValues(0.01, 0.02, 0.03)

    def resampled(
        self, returns: Numbers, statistics: Callable[[Numbers], Numbers], seed: int
    ) -> Numbers:
        """Return the statistics of the returns turned by 0, 1, 2... days."""
        self.seeds.append(seed)
        return np.array([statistics(np.roll(returns, turn)) for turn in range(21)])


def test_each_benchmark_is_tested_with_a_seed_of_its_own() -> None:
    """The same whoever asks; trials equal to buy-and-hold are not compared with it."""
    returns = np.random.default_rng(1).normal(0.0, 0.01, (4, 100))
    returns[3] = 0.0
    bootstrap = Remembering()
    found = superior_ability(returns, returns[2], bootstrap)
    again = superior_ability(returns, returns[2], bootstrap)
    assert found == again
    assert (found.trial_count, found.day_count) == (4, 100)
    assert (found.cash.compared_count, found.buy_and_hold.compared_count) == (3, 3)
    assert found.cash.p_values == PValues(0.01, 0.02, 0.03)
    seeds = [seed for _, seed in bootstrap.asked]
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize(
    ("days", "held", "reasons"),
    [
        (29, np.zeros(29), ("TOO_FEW_DAYS", "TOO_FEW_DAYS")),
        (30, None, ("NOTHING_DIFFERS", "RUINED")),
        (30, np.full(30, 0.25), ("NOTHING_DIFFERS", "NOTHING_DIFFERS")),
    ],
)
def test_nothing_is_tested_that_cannot_be(
    days: int, held: Numbers | None, reasons: tuple[str, str]
) -> None:
    """Too few days, trials that earn the same every day, a ruined benchmark."""
    bootstrap = Remembering()
    found = superior_ability(np.zeros((2, days)), held, bootstrap)
    assert (found.cash.undefined_reason, found.buy_and_hold.undefined_reason) == reasons
    assert found.cash.p_values is found.buy_and_hold.p_values is None
    assert not bootstrap.asked


def test_studentising_allows_for_dependence_between_days() -> None:
    """Against the sum over all pairs of days; what does not vary is left out."""
    days = 40
    returns = np.cumsum(np.random.default_rng(3).normal(0.0, 0.01, (3, days)), axis=1)
    returns[1] = 0.01
    restart = 1 / block_days(days)
    assert block_days(days) == 6
    expected = []
    for row in (returns[0], returns[2]):
        variance = 0.0
        for one in range(days):
            for other in range(days):
                lag = abs(one - other)
                weight = (1 - lag / days) * (1 - restart) ** lag
                weight += lag / days * (1 - restart) ** (days - lag)
                weight = 1.0 if lag == 0 else weight
                variance += weight * (row[one] - row.mean()) * (row[other] - row.mean()) / days
        expected.append(row / math.sqrt(variance))
    np.testing.assert_allclose(studentized(returns), expected, rtol=1e-9)


def test_statistics_are_those_of_the_metrics() -> None:
    """Sharpe ratio and mean a year, compounded return, fall from the highest equity so far."""
    returns = np.array([-0.5, 1.0, 0.5, -0.2, 0.1])
    mean = 0.9 / 5
    squares = sum((one - mean) ** 2 for one in returns)
    expected = [
        mean / math.sqrt(squares / 4) * math.sqrt(365),
        mean * 365,
        0.5 * 2.0 * 1.5 * 0.8 * 1.1 - 1.0,
        0.5,
    ]
    np.testing.assert_allclose(statistics(returns), expected, rtol=1e-12)
    np.testing.assert_allclose(statistics(np.array([0.1, -1.0]))[2:], [-1.0, 1.0])


def test_intervals_hold_the_middle_of_the_resamples() -> None:
    """Percentiles 5 and 95; a Sharpe ratio that is undefined is left out."""
    returns = np.random.default_rng(4).normal(0.001, 0.01, 21 * 2)
    bootstrap = Remembering()
    found = intervals(returns, 42, bootstrap)
    drawn = bootstrap.resampled(returns, statistics, 0)
    assert [one.name for one in found.intervals] == list(NAMES)
    for place, one in enumerate(found.intervals):
        ordered = np.sort(drawn[:, place])
        assert one.value == statistics(returns)[place]
        # Of 21 the second and the last but one.
        assert (one.lower, one.upper) == pytest.approx((ordered[1], ordered[-2]), rel=1e-12)
    flat = intervals(np.zeros(42), 42, bootstrap)
    assert [one.name for one in flat.intervals] == list(NAMES[1:])
    assert bootstrap.seeds[0] == bootstrap.seeds[2]


def test_too_few_days_and_ruin_have_no_intervals() -> None:
    """And say so."""
    bootstrap = Remembering()
    assert intervals(np.zeros(29), 29, bootstrap).undefined_reason == "TOO_FEW_DAYS"
    assert intervals(None, 30, bootstrap).undefined_reason == "RUINED"
    assert not bootstrap.seeds


@pytest.mark.parametrize(
    ("trials", "days", "kept"),
    [(2_000, 365, 500), (300, 365, 300), (2_000, 2_000, 125), (2_000, 9_000, 50), (60, 0, 60)],
)
def test_the_trials_compared_are_few_enough(trials: int, days: int, kept: int) -> None:
    """Evenly spaced, the best always among them."""
    numbers = np.arange(trials) * 3
    for best in (0, 3 * (trials // 2) + 0, numbers[-1]):
        places = compared(numbers, int(best), days)
        assert len(np.unique(places)) == kept
        assert best in numbers[places]
        assert np.diff(places).max() <= 2 * -(-trials // kept)
