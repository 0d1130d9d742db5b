"""f-ANOVA over columns of trials: the variance each parameter explains in a random forest.

Hutter, Hoos, Leyton-Brown, "An efficient approach for assessing hyperparameter importance" (2014).
The forest is that of Optuna's evaluator, and so are the numbers where all parameters are numbers.
Optuna compares all leaves of a tree with each other, which takes minutes for 2,000 trials, and
with all corners of the cube of a parameter's words; here leaves are summed along each parameter,
and a word is one value of one parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

TREES = 64
"""Trees of a forest, as many as Optuna grows."""

_MOST_DEPTH = 64

Floats = npt.NDArray[np.float64]


class Fanova:
    """Judges parameters by the objective of the same trials, as often as wanted."""

    def __init__(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        distributions: Mapping[str, BaseDistribution],
        seed: int,
    ) -> None:
        self._axes: list[_Axis] = []
        encoded: list[Floats] = []
        for name, distribution in distributions.items():
            axis = _axis(distribution, len(encoded))
            self._axes.append(axis)
            encoded += axis.encoded(columns[name])
        self._features = np.column_stack(encoded)
        self._seed = seed

    def importances(self, values: Floats, trees: int = TREES) -> Floats:
        """Return the part of the variance each parameter explains alone, mean over the trees.

        In the order of the distributions; zeros where no tree has any variance.

        Args:
            values: The objective of the trials.
            trees: Trees to grow.
        """
        # Loading it takes seconds that starting up need not wait for.
        from sklearn.ensemble import (  # type: ignore[import-untyped]  # noqa: PLC0415
            RandomForestRegressor,
        )

        forest = RandomForestRegressor(
            n_estimators=trees, max_depth=_MOST_DEPTH, random_state=self._seed
        )
        forest.fit(self._features, values)
        parts = [self._parts(_leaves(one.tree_, self._axes)) for one in forest.estimators_]
        told = [one for one in parts if one is not None]
        return np.mean(told, axis=0) if told else np.zeros(len(self._axes))

    def _parts(self, leaves: _Leaves) -> Floats | None:
        shares = np.column_stack([axis.shares(leaves) for axis in self._axes])
        ones = np.ones((len(shares), 1))
        before = np.cumprod(np.hstack((ones, shares)), axis=1)
        after = np.cumprod(np.hstack((ones, shares[:, ::-1])), axis=1)[:, ::-1]
        volumes = after[:, 0]
        centred = leaves.values - leaves.values @ volumes
        variance = centred**2 @ volumes
        if not variance > 0:
            return None
        # Of each leaf the volume in all other parameters, without dividing: shares may be zero.
        rests = centred[:, None] * before[:, :-1] * after[:, 1:]
        found = [
            axis.variance(leaves, rest) for axis, rest in zip(self._axes, rests.T, strict=True)
        ]
        return np.array(found) / variance


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The leaves of a tree: boxes, shape (leaves, features), with a value each."""

    low: Floats
    high: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class _Range:
    """A parameter that is a number: one feature."""

    feature: int
    low: float
    high: float

    @property
    def bounds(self) -> list[tuple[float, float]]:
        return [(self.low, self.high)]

    def encoded(self, column: npt.NDArray[Any]) -> list[Floats]:
        return [column.astype(np.float64)]

    def shares(self, leaves: _Leaves) -> Floats:
        """Return the part of the range each leaf spans."""
        spans: Floats = leaves.high[:, self.feature] - leaves.low[:, self.feature]
        return spans / (self.high - self.low)

    def variance(self, leaves: _Leaves, weighted: Floats) -> float:
        """Return the variance along the range of the sum of what leaves weigh there."""
        ends = np.concatenate((leaves.low[:, self.feature], leaves.high[:, self.feature]))
        edges, places = np.unique(ends, return_inverse=True)
        changes = np.bincount(places, np.concatenate((weighted, -weighted)))
        widths = np.diff(edges) / (self.high - self.low)
        return float(np.cumsum(changes)[:-1] ** 2 @ widths)


@dataclass(frozen=True, slots=True)
class _Words:
    """A parameter that is a word: one feature per word, 1 for the trial's own."""

    feature: int
    count: int

    @property
    def bounds(self) -> list[tuple[float, float]]:
        return [(0.0, 1.0)] * self.count

    def encoded(self, column: npt.NDArray[Any]) -> list[Floats]:
        return [(column == place).astype(np.float64) for place in range(self.count)]

    def shares(self, leaves: _Leaves) -> Floats:
        """Return the part of the words in each leaf."""
        return np.asarray(self._held(leaves).mean(axis=1))

    def variance(self, leaves: _Leaves, weighted: Floats) -> float:
        """Return the variance over the words of the sum of what leaves weigh there."""
        return float(np.mean((weighted @ self._held(leaves)) ** 2))

    def _held(self, leaves: _Leaves) -> npt.NDArray[np.bool_]:
        """Tell which words are in which leaf: all, but those refused, or the one demanded."""
        mine = slice(self.feature, self.feature + self.count)
        demanded = leaves.low[:, mine] > 0
        refused = leaves.high[:, mine] < 1
        free = ~demanded.any(axis=1, keepdims=True)
        return np.asarray(~refused & (demanded | free))


_Axis = _Range | _Words


def _axis(distribution: BaseDistribution, feature: int) -> _Axis:
    if isinstance(distribution, CategoricalDistribution):
        return _Words(feature, len(distribution.choices))
    if isinstance(distribution, (IntDistribution, FloatDistribution)):
        return _Range(feature, distribution.low, distribution.high)
    raise TypeError("only ranges and words are judged")


def _leaves(tree: Any, axes: list[_Axis]) -> _Leaves:
    """Return the leaves of a tree of scikit-learn, going down all branches level by level."""
    bounds = np.array([bound for axis in axes for bound in axis.bounds])
    low = np.tile(bounds[:, 0], (tree.node_count, 1))
    high = np.tile(bounds[:, 1], (tree.node_count, 1))
    nodes = np.zeros(1, dtype=np.int64)
    while len(nodes := nodes[tree.children_left[nodes] >= 0]):
        left, right = tree.children_left[nodes], tree.children_right[nodes]
        for children in (left, right):
            low[children], high[children] = low[nodes], high[nodes]
        high[left, tree.feature[nodes]] = tree.threshold[nodes]
        low[right, tree.feature[nodes]] = tree.threshold[nodes]
        nodes = np.concatenate((left, right))
    ends = tree.children_left < 0
    return _Leaves(low[ends], high[ends], tree.value[ends, 0, 0])
