"""Which trials are looked at: each point once, spread over the study, the best among them."""

from __future__ import annotations

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.choosing import (
    FEWEST_TRIALS,
    MOST_BARS,
    MOST_TRIALS,
    complete_numbers,
    covering,
)
from tests.unit.optimizer.tables import table_of


def test_each_complete_point_comes_once() -> None:
    """Failed and pruned trials are left out, and those with the parameters of an earlier one."""
    table = table_of(
        np.array([[1.0], [np.nan], [1.0], [2.0], [np.nan], [2.0]]),
        feasible=[True, False, True, True, False, True],
        states=[1, 2, 1, 1, 3, 1],
        parameters={"a": np.array([1, 1, 1, 2, 3, 1]), "word": np.array([0, 0, 0, 0, 0, 1])},
    )
    assert complete_numbers(table).tolist() == [0, 3, 5]


def test_few_trials_are_all_looked_at() -> None:
    """Whatever their numbers."""
    numbers = np.array([3, 9, 27])
    assert covering(numbers, 9, 8_760).tolist() == [3, 9, 27]


@pytest.mark.parametrize("best", [0, 1, 13, 49_999, 99_998, 99_999])
@pytest.mark.parametrize("bars", [8_760, 500_000, 10**9])
def test_many_are_spaced_evenly_with_the_best_among_them(best: int, bars: int) -> None:
    """No more than the limits allow, each once, in order."""
    found = covering(np.arange(100_000), best, bars)
    most = max(FEWEST_TRIALS, min(MOST_TRIALS, MOST_BARS // bars))
    assert len(found) == len(set(found.tolist())) == most
    assert best in found
    assert (np.diff(found) > 0).all()
    assert np.diff(found).max() <= 2 * 100_000 // most + 1
