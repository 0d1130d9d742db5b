"""How two parameters act together: the objective over a grid of their values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.importance import Importance
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories, Domain, DoubleRange, IntRange, exact
from services.optimizer.core.trial import TrialState

MOST_PARAMETERS: Final = 4
MOST_CELLS: Final = 10
"""Cells along a parameter with more values than that."""

_NOISE: Final = 1e-9
"""How far a power may lie above the whole number it stands for, relative."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """The objective over the cells of two parameters, the second one varying fastest.

    Attributes:
        first_name: The first parameter.
        second_name: The second parameter.
        first_cells: Its cells: words, or the lowest value of each as text.
        second_cells: The cells of the second parameter.
        trial_counts: Complete trials in each cell.
        mean_values: Their mean objective, from an exact sum; 0 without trials.
        best_values: Their best objective; 0 without trials.
    """

    first_name: str
    second_name: str
    first_cells: tuple[str, ...]
    second_cells: tuple[str, ...]
    trial_counts: tuple[int, ...]
    mean_values: tuple[float, ...]
    best_values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A parameter's cells and the place of each complete trial among them."""

    labels: tuple[str, ...]
    places: npt.NDArray[np.int64]


def interactions(
    plan: StudyPlan, table: TrialTable, importance: Importance
) -> tuple[Interaction, ...]:
    """Return every pair of the most important parameters, for the first objective.

    The more important one comes first. Empty where importance is undefined.
    """
    complete = table.states == TrialState.COMPLETE.value
    names = [share.name for share in importance.shares[:MOST_PARAMETERS]]
    domains = {one.name: one.domain for one in plan.space.searched}
    cuts = {name: _cut(domains[name], table.parameters[name][complete]) for name in names}
    values = table.objective_values[complete, 0]
    return tuple(
        _interaction(first, second, cuts, values, plan.objectives[0])
        for first, second in itertools.combinations(names, 2)
    )


def _interaction(
    first: str,
    second: str,
    cuts: dict[str, _Cut],
    values: npt.NDArray[np.float64],
    objective: Objective,
) -> Interaction:
    rows, columns = cuts[first], cuts[second]
    cells = rows.places * len(columns.labels) + columns.places
    counts = np.bincount(cells, minlength=len(rows.labels) * len(columns.labels))
    sorted_values = values[np.argsort(cells, kind="stable")]
    groups = np.split(sorted_values, np.cumsum(counts)[:-1])
    best = max if objective.maximize else min
    return Interaction(
        first_name=first,
        second_name=second,
        first_cells=rows.labels,
        second_cells=columns.labels,
        trial_counts=tuple(counts.tolist()),
        mean_values=tuple(mean(group) if len(group) else 0.0 for group in groups),
        best_values=tuple(best(group.tolist()) if len(group) else 0.0 for group in groups),
    )


def mean(values: npt.NDArray[np.float64]) -> float:
    """Return the mean from an exact sum, the same whatever the order; needs a value."""
    return math.fsum(values.tolist()) / len(values)


def _cut(domain: Domain, column: npt.NDArray[Any]) -> _Cut:
    """Cut a parameter into cells.

    Words and lattices of few values have a cell for each. Larger lattices are cut into cells of
    equally many values (but for one), other ranges into cells of equal width; ranges whose
    logarithm is searched into cells of equal ratio.
    """
    if isinstance(domain, Categories):
        return _Cut(domain.values, column.astype(np.int64))
    if not isinstance(domain, (IntRange, DoubleRange)):
        raise TypeError("a fixed parameter has no cells")
    lowest = _lowest_values(domain)
    places = np.searchsorted(np.array(lowest), column, side="right") - 1
    return _Cut(tuple(map(repr, lowest)), np.maximum(places, 0))


def _lowest_values(domain: IntRange | DoubleRange) -> Sequence[float]:
    count, cells = domain.point_count, range(MOST_CELLS)
    if count is not None and count <= MOST_CELLS:
        return [_number(domain, index) for index in range(count)]
    if domain.log:
        ratio = domain.high / domain.low
        powers = [domain.low * ratio ** (cell / MOST_CELLS) for cell in cells]
        if isinstance(domain, IntRange):
            # Cells without a whole number fall together with the next.
            return sorted({math.ceil(power * (1 - _NOISE)) for power in powers})
        return powers
    if count is not None:
        return [_number(domain, -(-cell * count // MOST_CELLS)) for cell in cells]
    low, high = exact(domain.low), exact(domain.high)
    return [float(low + (high - low) * cell / MOST_CELLS) for cell in cells]


def _number(domain: IntRange | DoubleRange, index: int) -> float:
    value = domain.value_at(index)
    if isinstance(value, str):
        raise TypeError("a range has no words")
    return value
