"""What can be wrong with how a study searches: its search, its generations, pruning and limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from services.common.errors import Violation
from services.optimizer.core.searches.seeds import SEED_LIMIT
from services.optimizer.core.spec.draft import PruningKind, PruningRule, SearchKind, StudyDraft
from services.optimizer.core.spec.pruning_rungs import SHORTEST_RUNG
from services.optimizer.core.study.limits import Limits

LARGEST_GENERATION: Final = 1_024
SMALLEST_POPULATION: Final = 4
MOST_STARTUP_TRIALS: Final = 10_000
MOST_RUNGS: Final = 16
MOST_STARTING_POINTS: Final = 1_000
LONGEST_DURATION_MS: Final = 366 * 86_400_000
SHORTEST_TIMEOUT_MS: Final = 1_000
LONGEST_TIMEOUT_MS: Final = 3_600_000

POPULATION_SEARCHES: Final = frozenset({SearchKind.CMA_ES, SearchKind.EVOLUTIONARY})
"""Searches whose generation is their population."""
EXHAUSTIVE_SEARCHES: Final = frozenset({SearchKind.GRID, SearchKind.BRUTE_FORCE})
"""Searches of every point: each range needs a step."""


def search_violations(draft: StudyDraft, trial_limit: int) -> Iterator[Violation]:
    """Yield what is wrong with search, seed, generations, pruning, stop rule and timeout."""
    if draft.search is None:
        kinds = [kind.value for kind in SearchKind]
        yield Violation("spec.search", f"needs one of {', '.join(kinds[:-1])} or {kinds[-1]}")
    else:
        yield from _trial_count_violations(draft, draft.search, trial_limit)
        yield from _option_violations(draft, draft.search)
    if not 0 <= draft.seed < SEED_LIMIT:
        yield Violation("spec.seed", f"must be 0 to 2^63 - 1, but is {draft.seed}")
    yield from _generation_violations(draft)
    if draft.pruning is not None:
        yield from _pruning_violations(draft.pruning)
        if len(draft.objectives) > 1:
            yield Violation("spec.pruning", "is only for one objective")
    yield from stop_rule_violations(draft.limits, len(draft.objectives), "spec.stop_rule")
    if draft.walk_forward is not None:
        yield from _walk_forward_violations(draft)
    timeout = draft.trial_timeout_ms
    if timeout is not None and not SHORTEST_TIMEOUT_MS <= timeout <= LONGEST_TIMEOUT_MS:
        told = f"must be 1 second to 1 hour, but is {timeout / 1000:.15g} s"
        yield Violation("spec.trial_timeout", told)


def _walk_forward_violations(draft: StudyDraft) -> Iterator[Violation]:
    """Yield what does not go together with walking forward."""
    path = "spec.walk_forward"
    if len(draft.objectives) > 1:
        yield Violation(path, "is only for one objective")
    if draft.pruning is not None:
        yield Violation(path, "is given beside pruning; only one of them can be")
    if draft.limits.target_value is not None:
        yield Violation("spec.stop_rule.target_value", "is not for a walk forward")


def stop_rule_violations(
    limits: Limits, objective_count: int, path: str = "stop_rule"
) -> Iterator[Violation]:
    """Yield what is wrong with when a study ends before its last trial; `path` is the rule's."""
    duration, patience = limits.max_duration_ms, limits.patience_trial_count
    if duration is not None and not 0 < duration <= LONGEST_DURATION_MS:
        told = f"must be above 0 and up to 366 days, but is {duration / 1000:.15g} s"
        yield Violation(f"{path}.max_duration", told)
    if patience is not None and not 1 <= patience <= 1_000_000:
        told = f"must be 1 to 1,000,000, but is {patience}"
        yield Violation(f"{path}.patience_trial_count", told)
    target = limits.target_value
    if target is not None and not math.isfinite(target):
        yield Violation(f"{path}.target_value", f"must be finite, but is {target}")
    elif target is not None and objective_count > 1:
        yield Violation(f"{path}.target_value", "is only for one objective")


def _trial_count_violations(
    draft: StudyDraft, search: SearchKind, trial_limit: int
) -> Iterator[Violation]:
    count = draft.limits.trial_count
    # 0 stands for every point; how many there are is counted later.
    every_point = search in EXHAUSTIVE_SEARCHES and count == 0
    if not every_point and not 1 <= count <= trial_limit:
        told = f"must be 1 to {trial_limit:,}, but is {count}"
        yield Violation(f"spec.{search.value}.trial_count", told)
    given = len(draft.starting_points)
    if given and search in EXHAUSTIVE_SEARCHES:
        told = f"are not for {search.value}, which tries every point anyway"
        yield Violation("spec.starting_points", told)
    elif given > MOST_STARTING_POINTS:
        told = f"has {given:,} entries, at most {MOST_STARTING_POINTS:,} are allowed"
        yield Violation("spec.starting_points", told)
    elif count >= 1 and given > count:
        told = f"has {given:,} entries, but the study only {count:,} trials"
        yield Violation("spec.starting_points", told)


def _option_violations(draft: StudyDraft, search: SearchKind) -> Iterator[Violation]:
    options, path = draft.options, f"spec.{search.value}"
    if search is SearchKind.BAYESIAN:
        yield from _whole(
            f"{path}.startup_trial_count", options.startup_trial_count, 1, MOST_STARTUP_TRIALS
        )
        yield from _whole(f"{path}.history_window", options.history_window, 10, 100_000)
    if search in POPULATION_SEARCHES:
        yield from _whole(
            f"{path}.population_size",
            options.population_size,
            SMALLEST_POPULATION,
            LARGEST_GENERATION,
        )
    if search is SearchKind.CMA_ES:
        sigma = options.initial_sigma_ratio
        if not 0 < sigma <= 1:
            told = f"must be above 0 and up to 1, but is {sigma}"
            yield Violation(f"{path}.initial_sigma_ratio", told)
        if len(draft.objectives) > 1:
            yield Violation("spec.cma_es", "needs one objective; evolutionary takes several")


def _generation_violations(draft: StudyDraft) -> Iterator[Violation]:
    size, population = draft.generation_size, draft.options.population_size
    if draft.search not in POPULATION_SEARCHES:
        yield from _whole("spec.generation_size", size, 1, LARGEST_GENERATION)
    elif size != population:
        told = f"must be the population, {population}, or left out, but is {size}"
        yield Violation("spec.generation_size", told)


def _pruning_violations(rule: PruningRule) -> Iterator[Violation]:
    yield from _whole(
        "spec.pruning.startup_trial_count", rule.startup_trial_count, 1, MOST_STARTUP_TRIALS
    )
    path = f"spec.pruning.{rule.kind.value}"
    if rule.kind is PruningKind.SUCCESSIVE_HALVING:
        yield from _whole(f"{path}.reduction_factor", rule.reduction_factor, 2, 10)
        yield from _whole(f"{path}.rung_count", rule.rung_count, 1, 8)
    else:
        yield from _whole(f"{path}.segment_count", rule.segment_count, 3, 64)
    if rule.kind is PruningKind.PERCENTILE and not 0 < rule.kept_percent < 100:
        told = f"must be above 0 and below 100, but is {rule.kept_percent}"
        yield Violation(f"{path}.kept_percent", told)
    yield from _rung_violations(rule.rung_bar_counts)


def _rung_violations(rungs: tuple[int, ...]) -> Iterator[Violation]:
    path = "spec.pruning.rung_bar_counts"
    if len(rungs) > MOST_RUNGS:
        yield Violation(path, f"has {len(rungs)} entries, at most {MOST_RUNGS} are allowed")
    elif any(first >= second for first, second in pairwise(rungs)):
        yield Violation(path, "must rise")
    if rungs and min(rungs) < SHORTEST_RUNG:
        yield Violation(path, f"must be at least {SHORTEST_RUNG} bars each")


def _whole(path: str, number: int, least: int, most: int) -> Iterator[Violation]:
    if not least <= number <= most:
        yield Violation(path, f"must be {least:,} to {most:,}, but is {number}")
