"""Volumes dominated by fronts."""

from __future__ import annotations

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from services.optimizer.adapters.analysis.hypervolume import hypervolume
from services.optimizer.core.analysis.fronts import distinct, on_front


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_a_single_row_dominates_a_box(axes: int) -> None:
    """From itself to the reference; nothing where they share a coordinate."""
    reference = np.array([5.0, 3.0, 2.0, 9.0][:axes])
    assert hypervolume(np.ones((1, axes)), reference) == np.prod(reference - 1)
    assert hypervolume(np.ones((1, axes)), np.ones(axes)) == 0.0


@pytest.mark.parametrize("axes", [2, 3, 4])
@pytest.mark.parametrize("whole", [True, False])
def test_volumes_are_those_of_optuna(axes: int, whole: bool) -> None:
    """Which computes them another way; with many equal coordinates and with none."""
    source = np.random.default_rng(axes)
    for count in (2, 3, 10, 60):
        costs = source.random((count, axes))
        costs = np.round(costs * 5) if whole else costs
        reference = costs.max(axis=0) + source.integers(0, 2, axes)
        front = distinct(costs)
        front = front[on_front(front)]
        wanted = compute_hypervolume(costs, reference)

        assert hypervolume(front, reference) == pytest.approx(wanted, rel=1e-12)
        assert hypervolume(front[::-1], reference) == pytest.approx(wanted, rel=1e-12)
