"""The trial whose surroundings are best: a plateau is worth more than a spike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.luck.choosing import complete_numbers
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood, neighbors, summary
from services.optimizer.core.analysis.recommendation.choices import Absent, ChoiceKind, Pick
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Point

FEWEST_CANDIDATES: Final = 10
MOST_CANDIDATES: Final = 50

MOST_SETS: Final = 1_000
"""Neighbours run, all candidates together."""

MOST_BARS: Final = 200_000_000
"""Bars run for them together: a second or two of one worker."""

Numbers = npt.NDArray[np.int64]


def candidates(table: TrialTable, best: Numbers) -> Numbers:
    """Return the best tenth of the distinct feasible trials, best first: 10 to 50 of them.

    `best` are the feasible trials of a study with one objective, best first.
    """
    distinct = best[np.isin(best, complete_numbers(table))]
    most = min(MOST_CANDIDATES, max(FEWEST_CANDIDATES, math.ceil(len(distinct) / 10)))
    return distinct[:most]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The points around trials, each once, and which of them are whose.

    Attributes:
        points: The points.
        places: By trial number the places of its neighbours among the points.
    """

    points: Sequence[Point]
    places: Mapping[int, Sequence[int]]

    def neighborhoods(
        self,
        values: Sequence[float | None],
        objectives: Mapping[int, float],
        *,
        maximize: bool,
    ) -> dict[int, Neighborhood]:
        """Return what is around each trial.

        Args:
            values: The objective of each point; None where it is undefined.
            objectives: That of each trial.
            maximize: Whether larger is better.
        """
        return {
            number: summary(
                [values[place] for place in places], objectives[number], maximize=maximize
            )
            for number, places in self.places.items()
        }


def surroundings(
    plan: StudyPlan, always: Mapping[int, Point], others: Mapping[int, Point], bar_count: int
) -> Surroundings:
    """Return the surroundings of some trials, and of as many others as the limits allow, in order.

    Args:
        plan: The study's plan.
        always: Points by trial number, whatever they cost.
        others: More of them, the best first: those up to the first one that costs too much.
        bar_count: Bars of the window.
    """
    most = min(MOST_SETS, MOST_BARS // max(bar_count, 1))
    points: dict[tuple[object, ...], Point] = {}
    places: dict[int, Sequence[int]] = {}
    order: dict[tuple[object, ...], int] = {}
    for number, point in {**always, **others}.items():
        near = {tuple(one.values()): one for one in neighbors(plan, point)}
        new = [key for key in near if key not in order]
        if number not in always and len(order) + len(new) > most:
            break
        for key in new:
            order[key] = len(order)
            points[key] = near[key]
        places[number] = [order[key] for key in near]
    return Surroundings(list(points.values()), places)


def neighborhood_pick(
    numbers: Numbers, found: Mapping[int, Neighborhood]
) -> tuple[list[Pick], list[Absent]]:
    """Return the candidate whose neighbours' median is best, the lowest number among equals.

    Candidates most of whose neighbours have no objective are passed over.

    Args:
        numbers: The candidates.
        found: What is around those of them that could be looked at.
    """
    looked_at = {
        int(number): found[int(number)]
        for number in numbers
        if int(number) in found and found[int(number)].neighbor_count
    }
    medians = {number: _median(near) for number, near in looked_at.items()}
    known = {number: cost for number, cost in medians.items() if cost is not None}
    if not known:
        told = "nothing around the best trials is searched in numbers, or has an objective"
        return [], [Absent(ChoiceKind.BEST_NEIGHBORHOOD, told)]
    chosen = min(known, key=lambda number: (known[number], number))
    told = f"the best median objective of neighbours among the {len(looked_at):,} best trials"
    return [Pick(ChoiceKind.BEST_NEIGHBORHOOD, chosen, told)], []


def _median(near: Neighborhood) -> float | None:
    """Return the median so that smaller is better; None where most have no objective."""
    if near.median is None or 2 * near.defined_count < near.neighbor_count:
        return None
    return -near.median if near.maximize else near.median
