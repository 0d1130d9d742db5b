"""Volumes dominated by fronts, by Optuna's exact computation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from optuna._hypervolume import compute_hypervolume


def hypervolume(costs: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> float:
    """Return the volume between costs and a point; exact but for rounding. Blocks.

    Args:
        costs: Smaller is better, shape (n, m); rows that others dominate add nothing.
        reference: Nowhere smaller than any row, shape (m,).
    """
    return float(compute_hypervolume(costs, reference))
