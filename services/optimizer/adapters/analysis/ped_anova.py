"""PED-ANOVA over columns of trials: Optuna's numbers without Optuna's trial objects.

Watanabe, Bansal, Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
subspaces" (2023). A parameter matters by how much the values of the best tenth of the trials differ
from those of all, as the Pearson divergence of two densities on a grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

BEST_SHARE = 0.1
"""Part of the trials that counts as the best."""

_MOST_STEPS = 50
"""Grid points along a range."""

_PRIOR_WEIGHT = 1.0
_SMALLEST_DENSITY = 1e-12

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class PedAnova:
    """Judges parameters by which of the same trials are the best, as often as wanted."""

    def __init__(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        self._grids = [_Grid(columns[name], one) for name, one in distributions.items()]

    def importances(self, best: Mask) -> Floats:
        """Return how much each parameter matters, unnormalised, in the order of distributions.

        Args:
            best: Which trials are the best.
        """
        quantile = int(best.sum()) / len(best)
        found = [grid.divergence(best) for grid in self._grids]
        return np.array([one * quantile**2 for one in found])


def best_tenth(values: Floats, *, maximize: bool) -> Mask:
    """Return the best tenth, with all equal to its last."""
    costs = -values if maximize else values
    last = math.ceil(BEST_SHARE * len(costs)) - 1
    return np.asarray(costs <= np.partition(costs, last)[last])


class _Grid:
    """One parameter's values on a grid, and the density of all trials on it."""

    def __init__(self, column: npt.NDArray[Any], distribution: BaseDistribution) -> None:
        self._domain: IntDistribution | CategoricalDistribution
        if isinstance(distribution, CategoricalDistribution):
            self._places = column.astype(np.int64)
            self._domain, self._size = distribution, len(distribution.choices)
        else:
            self._places, self._size = _on_grid(column, distribution)
            self._domain = IntDistribution(0, self._size - 1)
        self._all = self._density(self._places)

    def divergence(self, best: Mask) -> float:
        """Return the Pearson divergence of the best trials' density from that of all."""
        ratio = self._density(self._places[best]) / self._all - 1
        return float(self._all @ (ratio**2))

    def _density(self, places: npt.NDArray[np.int64]) -> Floats:
        counts = np.bincount(places, minlength=self._size)
        observed = np.flatnonzero(counts)
        # Loading it takes seconds that starting up need not wait for.
        from optuna.importance._ped_anova.scott_parzen_estimator import (  # noqa: PLC0415
            ScottParzenEstimator,
        )

        estimator = ScottParzenEstimator(observed, self._domain, counts[observed], _PRIOR_WEIGHT)
        return np.asarray(estimator.pdf(np.arange(self._size)) + _SMALLEST_DENSITY)


def _on_grid(
    column: npt.NDArray[Any], distribution: BaseDistribution
) -> tuple[npt.NDArray[np.int64], int]:
    """Return each value's place on the range's grid, and the grid's size."""
    if not isinstance(distribution, (IntDistribution, FloatDistribution)):
        raise TypeError("a grid is laid over ranges and words only")
    low, high, steps = distribution.low, distribution.high, _MOST_STEPS
    if isinstance(distribution, IntDistribution) and distribution.log:
        steps = min(int(np.ceil(np.log(high - low + 1) / np.log(2))) + 1, steps)
    elif distribution.step is not None:
        steps = min(round((high - low) / distribution.step) + 1, steps)
    values = column
    if distribution.log:
        low, high, values = math.log(low), math.log(high), np.log(column)
    width = (high - low) / (steps - 1)
    places = np.ceil((values - low) / width - 0.5).astype(np.int64)
    return np.clip(places, 0, steps - 1), steps
