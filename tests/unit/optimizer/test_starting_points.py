"""Points of the caller's, tried before what a search proposes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.searches.starting_points import StartingPoints
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.trial import Point, Trial
from tests.unit.optimizer.plans import CROSSOVER, plan_of, trial_of

GIVEN: list[Point] = [{"fast_period": 5, "slow_period": 20 * place} for place in range(1, 7)]


class Counting:
    """A search whose points say which generation they are of and which place they have there."""

    def __init__(self) -> None:
        self.told: list[Trial] = []

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return points that tell where they come from."""
        return [{"fast_period": generation_number, "slow_period": place} for place in range(count)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was told."""
        self.told += trials


def test_given_points_are_the_first_trials() -> None:
    """A search that learns proposes the rest of their generation, from its first point on."""
    search = StartingPoints(Counting(), GIVEN, 4, by_number=False)

    assert search.ask(0, 4) == GIVEN[:4]
    assert search.ask(1, 4) == [*GIVEN[4:], *Counting().ask(1, 2)]
    assert search.ask(2, 4) == Counting().ask(2, 4)


def test_a_trial_that_depends_on_its_number_stays_what_it_is() -> None:
    """Random trial 6 is random trial 6 with six given points before it."""
    free = RandomSearch(CROSSOVER, (), 3, 4)
    search = StartingPoints(free, GIVEN, 4, by_number=True)

    assert [point for number in range(3) for point in search.ask(number, 4)] == [
        *GIVEN,
        *(free.point(number) for number in range(6, 12)),
    ]


@pytest.mark.parametrize("by_number", [True, False])
def test_a_generation_cut_short_begins_like_the_whole_one(by_number: bool) -> None:
    """For every count."""
    search = StartingPoints(Counting(), GIVEN, 4, by_number=by_number)

    for generation in range(3):
        whole = search.ask(generation, 4)
        for count in range(5):
            assert search.ask(generation, count) == whole[:count]


def test_all_trials_are_told() -> None:
    """Those of given points too."""
    plan = plan_of(SearchKind.BAYESIAN, CROSSOVER, generation_size=4)
    inner = Counting()
    search = StartingPoints(inner, GIVEN, 4, by_number=False)
    trials = [
        trial_of(plan, number, point, lambda point: {"sharpe_ratio": 0.0})
        for number, point in enumerate(GIVEN[:4])
    ]
    search.tell(trials)

    assert inner.told == trials
