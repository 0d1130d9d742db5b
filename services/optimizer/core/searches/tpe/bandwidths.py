"""How wide the kernels are that stand on observations: Optuna 5's rule, an axis at a time.

A kernel is as wide as the larger gap to its neighbours, but not narrower than a hundredth of the
axis ("magic clip"; more where there are few kernels) and not wider than the axis. The outermost
ones look to their inner neighbour only. One more kernel, the prior, stands in the middle and is as
wide as the axis. All are cut off at the ends of the axis.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.optimizer.core.searches.tpe.elementary import Floats, upper_tail

_MOST_PARTS: Final = 100.0


def bandwidths(places: Floats, widths: Floats) -> Floats:
    """Return the standard deviations of the kernels on observations.

    Args:
        places: Shape (axes, n), in order of the observations.
        widths: Widths of the axes, shape (axes,).
    """
    count = places.shape[1]
    order = np.argsort(places, axis=1, kind="stable")
    rows = np.arange(len(widths))[:, None]
    ends = np.zeros((len(widths), count + 2))
    ends[:, 1:-1] = places[rows, order]
    ends[:, -1] = widths
    gaps = ends[:, 1:] - ends[:, :-1]
    sorted_widths = np.maximum(gaps[:, :-1], gaps[:, 1:])
    if count > 1:
        sorted_widths[:, 0] = gaps[:, 1]
        sorted_widths[:, -1] = gaps[:, -2]
    found = np.empty_like(places)
    found[rows, order] = sorted_widths
    return _clipped(found, widths, count + 1)


def bandwidths_among(newcomers: Floats, places: Floats, widths: Floats) -> Floats:
    """Return how wide the kernel of each newcomer would be if it alone joined the observations.

    Args:
        newcomers: Shape (axes, m).
        places: The observations, shape (axes, n).
        widths: Widths of the axes, shape (axes,).
    """
    count = places.shape[1]
    found = np.empty_like(newcomers)
    for axis, neighbours in enumerate(np.sort(places, axis=1)):
        ends = np.concatenate([[0.0], neighbours, widths[axis : axis + 1]])
        right = np.searchsorted(neighbours, newcomers[axis]) + 1
        before, behind = newcomers[axis] - ends[right - 1], ends[right] - newcomers[axis]
        if count:
            before = np.where(right == 1, behind, before)
            behind = np.where(right == count + 1, before, behind)
        found[axis] = np.maximum(before, behind)
    return _clipped(found, widths, count + 2)


def inside(places: Floats, deviations: Floats, widths: Floats) -> Floats:
    """Return the part of kernels that lies on the axis; all shapes (axes, n) but (axes,)."""
    tails = upper_tail(np.stack([places, widths[:, None] - places]) / deviations)
    masses: Floats = 1.0 - tails[0] - tails[1]
    return masses


def _clipped(found: Floats, widths: Floats, kernel_count: int) -> Floats:
    least = widths / min(_MOST_PARTS, 1.0 + kernel_count)
    return np.minimum(np.maximum(found, least[:, None]), widths[:, None])
