"""Which trials are looked at: each point once, spread over the study, the best among them."""

from __future__ import annotations

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.choosing import (
    FEWEST_OF_WINDOW,
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


def test_a_windows_trials_are_looked_at_alone() -> None:
    """The same parameters in another window are another point."""
    table = table_of(
        np.array([[1.0], [2.0], [1.0], [2.0], [3.0], [4.0], [3.0], [np.nan]]),
        states=[1, 1, 1, 1, 1, 1, 1, 3],
        feasible=[True] * 7 + [False],
        parameters={"a": np.array([1, 1, 1, 2, 3, 2, 4, 5])},
    )
    assert complete_numbers(table, slice(0, None, 2)).tolist() == [0, 4, 6]
    assert complete_numbers(table, slice(1, None, 2)).tolist() == [1, 3]


@pytest.mark.parametrize(("windows", "most"), [(1, 2_000), (4, 500), (200, 10), (500, 10)])
def test_windows_share_what_is_looked_at(windows: int, most: int) -> None:
    """As many in all as in a study without windows, and a few in each."""
    found = covering(np.arange(7, 700_000, 70), 7 + 70 * 123, 2_880, windows)
    assert len(found) == max(most, FEWEST_OF_WINDOW)
    assert 7 + 70 * 123 in found


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
