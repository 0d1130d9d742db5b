"""What the user should know before a study runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from assay.backtest.v1 import backtest_service_pb2

from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.search_checks import POPULATION_SEARCHES
from services.optimizer.core.spec.space import DoubleRange, IntRange

FEW_TRIALS: Final = 20
"""Below this no parameter importance is told."""

GENERATIONS_TO_LEARN: Final = 8
"""Fewer generations than this leave a search little to learn from."""

FEW_WINDOWS: Final = 4
"""Below this the statistics of a walk forward say little."""

FEWEST_FOR_NSGA_III: Final = 3
"""Objectives from which on reference points serve better than crowding distance."""


def warnings_of(
    plan: StudyPlan, *responses: backtest_service_pb2.RunBacktestBatchResponse
) -> tuple[str, ...]:
    """Return what the user should know of the data, each with a response, and of the plan."""
    several = len(responses) > 1
    of_data = [
        f"{response.snapshot.dataset}: {told}" if several else told
        for response in responses
        for told in _of_data(response)
    ]
    return (*of_data, *_of_search(plan), *_of_pruning(plan), *_of_windows(plan))


def _of_data(response: backtest_service_pb2.RunBacktestBatchResponse) -> Iterator[str]:
    if response.synthetic:
        yield "The data are synthetic: nothing found here says anything about a market."
    if response.missing_bar_count:
        yield (
            f"{response.missing_bar_count} bars are missing in the window and its lookback; "
            "nothing is filled in for them."
        )


def _of_search(plan: StudyPlan) -> Iterator[str]:
    learns = plan.search is SearchKind.BAYESIAN or plan.search in POPULATION_SEARCHES
    if learns and plan.generation_size * GENERATIONS_TO_LEARN > plan.trial_count:
        cause = "population" if plan.search in POPULATION_SEARCHES else "generation_size"
        yield (
            f"Generations of {plan.generation_size} in a study of {plan.trial_count} trials leave "
            f"fewer than {GENERATIONS_TO_LEARN} to learn from; a smaller {cause} finds more."
        )
    if plan.trial_count < FEW_TRIALS:
        yield (
            f"{plan.trial_count} trials are few: below {FEW_TRIALS} no parameter importance is "
            "told."
        )
    count = len(plan.objectives)
    if plan.search is SearchKind.EVOLUTIONARY:
        if plan.options.nsga3 and count < FEWEST_FOR_NSGA_III:
            yield f"NSGA-III is for three objectives and more; for {count} NSGA-II finds more."
        elif not plan.options.nsga3 and count > FEWEST_FOR_NSGA_III:
            yield f"NSGA-II is for up to three objectives; for {count} NSGA-III finds more."
    if plan.search is SearchKind.CMA_ES and not any(
        isinstance(one.domain, (IntRange, DoubleRange)) and one.domain.low < one.domain.high
        for one in plan.space.parameters
    ):
        yield "CMA-ES has no number to adapt here: all points are drawn at random."


def _of_windows(plan: StudyPlan) -> Iterator[str]:
    walk = plan.walk_forward
    if walk is None:
        return
    if walk.overlapping:
        yield "Out-of-sample spans overlap: their profits are not added up."
    count = min(len(walk.numbers_of(cell)) for cell in range(len(walk.cells)))
    if count < FEW_WINDOWS:
        windows = "1 window is" if count == 1 else f"{count} windows are"
        where = "" if walk.matrix is None else " in some cell"
        yield f"{windows} few{where}: what they say together may be luck."


def _of_pruning(plan: StudyPlan) -> Iterator[str]:
    if plan.pruning is None:
        return
    startup, size = plan.pruning.startup_trial_count, plan.generation_size
    spared = -(-startup // size) * size
    if spared >= plan.trial_count:
        yield (
            f"No trial is given up before {startup} have been seen, in whole generations of "
            f"{size}, and the study has {plan.trial_count}: pruning does nothing here."
        )
