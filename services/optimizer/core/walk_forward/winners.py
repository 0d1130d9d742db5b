"""The windows' winners: of each window's feasible trials the best, the lowest number among equals.

`WindowFronts` does trial by trial what `winner_numbers` does with a whole table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.fronts import best_numbers, costs_of
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Front, Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial


class WindowFronts(Front):
    """A `Front` for each window; its trials are the winners in the order of the windows."""

    def __init__(self, objectives: Sequence[Objective], window_count: int) -> None:
        super().__init__(objectives)
        self._fronts = [Front(objectives) for _ in range(window_count)]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The winners of the windows that have one."""
        return tuple(trial for front in self._fronts for trial in front.trials)

    def copy(self) -> WindowFronts:
        """Return fronts that go their own way from here."""
        other = WindowFronts((), 0)
        other._signs = self._signs
        other._fronts = [front.copy() for front in self._fronts]
        return other

    def add(self, trial: Trial) -> bool:
        """Take a trial into account; returns whether it is its window's winner now."""
        return self._fronts[trial.number % len(self._fronts)].add(trial)


def front_of(plan: StudyPlan) -> Front:
    """Return what keeps the best trials of a plan."""
    if plan.walk_forward is None:
        return Front(plan.objectives)
    return WindowFronts(plan.objectives, plan.window_count)


def best_of(plan: StudyPlan, table: TrialTable) -> npt.NDArray[np.int64]:
    """Return the numbers of a plan's best trials as the contract lists them."""
    if plan.walk_forward is None:
        return best_numbers(table, plan.objectives)
    return winner_numbers(table, plan.objectives, plan.window_count)


def winner_numbers(
    table: TrialTable, objectives: Sequence[Objective], window_count: int
) -> npt.NDArray[np.int64]:
    """Return the numbers of the winners, in the order of the windows."""
    costs = costs_of(table.objective_values, objectives)[:, 0]
    winners = []
    for window in range(window_count):
        rows = np.arange(window, len(table), window_count)
        rows = rows[table.feasible[rows]]
        if len(rows):
            # The first of equals has the lowest number.
            winners.append(int(table.numbers[rows[np.argmin(costs[rows])]]))
    return np.array(winners, dtype=np.int64)
