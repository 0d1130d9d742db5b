"""What an estimator knows of the told trials: the best ones, and the latest of the others.

Ranks are Optuna 5's: complete feasible trials by their objective; then pruned ones, by the last
rung they came to and by their value there; then infeasible ones by their total violation. Earlier
trials come first among equals. Failed trials teach nothing.
"""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from services.optimizer.core.searches.tpe.axes import Axis
from services.optimizer.core.searches.tpe.elementary import Floats
from services.optimizer.core.trial import Trial, TrialState

MOST_GOOD: Final = 25

_Rank = tuple[int, float, float, int]

_COMPLETE, _PRUNED, _INFEASIBLE = range(3)
_VIOLATION_UNKNOWN: Final = sys.float_info.max


def good_count(trial_count: int) -> int:
    """Return how many of so many trials count as good: a tenth, at most 25."""
    return min(math.ceil(0.1 * trial_count), MOST_GOOD)


class History:
    """The places of the best trials and of the latest ones; memory does not grow with the study.

    Attributes:
        complete_count: Complete trials told, feasible or not.
        learnt_count: Trials told that the estimator learns from.
    """

    def __init__(
        self, axes: Sequence[Axis], *, maximize: bool, constrained: bool, window: int
    ) -> None:
        """Start without trials.

        Args:
            axes: The searched parameters.
            maximize: Whether larger objectives are better.
            constrained: Whether there are constraints on metrics.
            window: Most trials that are not good to keep.
        """
        self.complete_count = 0
        self.learnt_count = 0
        self._axes = tuple(axes)
        self._sign = -1.0 if maximize else 1.0
        self._constrained = constrained
        self._window = window
        # As many more as may be good.
        self._kept = window + MOST_GOOD
        self._best: list[tuple[_Rank, Floats]] = []
        self._latest: Floats = np.empty((len(axes), 2 * self._kept))
        self._latest_count = 0

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take finished trials in, in order."""
        learnt = [trial for trial in trials if trial.state is not TrialState.FAILED]
        if not learnt:
            return
        places = np.empty((len(self._axes), len(learnt)))
        for row, axis in zip(places, self._axes, strict=True):
            row[:] = axis.places([trial.parameters[axis.name] for trial in learnt])
        for trial, column in zip(learnt, places.T, strict=True):
            self.complete_count += trial.state is TrialState.COMPLETE
            bisect.insort(self._best, (self._rank(trial), column.copy()), key=_rank_of)
            del self._best[MOST_GOOD:]
            self.learnt_count += 1
        self._append(places)

    def split(self) -> tuple[Floats, Floats]:
        """Return the places of the good trials, shape (axes, n), and of the latest others.

        The others are in the order they were told in.
        """
        good = self._best[: good_count(self.learnt_count)]
        end = self._latest_count
        latest = self._latest[:, max(0, end - self._kept) : end]
        first = self.learnt_count - latest.shape[1]
        other = np.ones(latest.shape[1], dtype=np.bool_)
        for (_, _, _, number), _ in good:
            if number >= first:
                other[number - first] = False
        found = np.array([places for _, places in good]).reshape(len(good), len(self._axes)).T
        return found.copy(), latest[:, np.nonzero(other)[0][-self._window :]]

    def _append(self, places: Floats) -> None:
        places = places[:, -self._kept :]
        end = self._latest_count
        if end + places.shape[1] > self._latest.shape[1]:
            kept = self._latest[:, max(0, end - self._kept) : end].copy()
            end = kept.shape[1]
            self._latest[:, :end] = kept
        self._latest_count = end + places.shape[1]
        self._latest[:, end : self._latest_count] = places

    def _rank(self, trial: Trial) -> _Rank:
        number = self.learnt_count
        if trial.state is TrialState.PRUNED:
            return (_PRUNED, *self._rung_rank(trial), number)
        violation = self._violation(trial)
        if violation > 0.0:
            return (_INFEASIBLE, violation, 0.0, number)
        return (_COMPLETE, self._sign * trial.objective_values[0], 0.0, number)

    def _rung_rank(self, trial: Trial) -> tuple[float, float]:
        if not trial.outcome.intermediate_values:
            return 1.0, 0.0
        last = trial.outcome.intermediate_values[-1]
        value = math.inf if last.value is None else self._sign * last.value
        return -float(last.bar_count), value

    def _violation(self, trial: Trial) -> float:
        if self._constrained and not trial.constraint_values:
            return _VIOLATION_UNKNOWN
        total = 0.0
        for value in trial.constraint_values:
            if value > 0.0:
                total += value
        return total


def _rank_of(entry: tuple[_Rank, Floats]) -> _Rank:
    return entry[0]
