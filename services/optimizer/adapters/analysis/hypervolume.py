"""Volumes dominated by fronts: by Optuna for up to two objectives, by sweeping for more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from optuna._hypervolume import compute_hypervolume

Floats = npt.NDArray[np.float64]


def hypervolume(costs: Floats, reference: Floats) -> float:
    """Return the volume between costs and a point; exact but for rounding. Blocks.

    Args:
        costs: Smaller is better, shape (n, m) with m up to 4; distinct rows, none of which
            dominates another.
        reference: Nowhere smaller than any row, shape (m,).
    """
    axes = costs.shape[1]
    if axes < 3:
        return float(compute_hypervolume(costs, reference, assume_pareto=True))
    if axes == 3:
        # Another axis along which all is one unit long changes no volume.
        costs, reference = np.insert(costs, 1, 0.0, axis=1), np.insert(reference, 1, 1.0)
    return _swept(costs, reference)


def _swept(costs: Floats, reference: Floats) -> float:
    """Return a volume in four dimensions in time n^3, with one cell along the second axis n^2.

    Optuna's computation needs n^2 cells of memory for three objectives, and far more time for four.

    Going up the last axis row by row, the volume beneath in the other three is kept: as a map of
    the least third coordinate over all pairs of the first two, which each row lowers in one corner.
    """
    rows = costs[np.argsort(costs[:, 3], kind="stable")]
    edges = [np.append(np.unique(rows[:, axis]), reference[axis]) for axis in (0, 1)]
    places = [np.searchsorted(edges[axis], rows[:, axis]) for axis in (0, 1)]
    widths, depths = np.diff(edges[0]), np.diff(edges[1])
    lowest = np.full((len(widths), len(depths)), reference[2])
    steps = np.diff(np.append(rows[:, 3], reference[3]))
    total = beneath = 0.0
    for x, y, z, step in zip(*places, rows[:, 2], steps, strict=True):
        corner = lowest[x:, y:]
        fallen = np.maximum(corner - z, 0.0)
        corner -= fallen
        beneath += float(widths[x:] @ fallen @ depths[y:])
        total += beneath * float(step)
    return total
