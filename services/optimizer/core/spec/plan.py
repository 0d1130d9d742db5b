"""A plan: a checked study, ready to run, and whether its space suits its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.common.errors import AssayError, Code
from services.optimizer.core.records import SearchedParameter, StudyShape
from services.optimizer.core.searches.random_search import check_feasible, space_infeasible
from services.optimizer.core.searches.seeds import SEED_LIMIT, draw
from services.optimizer.core.spec.constraints import Constraints
from services.optimizer.core.spec.data_aggregation import DataAggregation
from services.optimizer.core.spec.draft import PruningRule, SearchKind, SearchOptions, StudyDraft
from services.optimizer.core.spec.draft_checks import constraints_of
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.space import (
    ENUMERATION_LIMIT,
    Categories,
    Fixed,
    IntRange,
    Parameter,
    Space,
    grid_point_count,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Point
from services.optimizer.core.walk_forward.rule import WalkForward


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study that can run.

    Attributes:
        space: The parameters.
        constraints: The constraints.
        objectives: The objectives.
        search: Which search.
        options: What the search wants to know.
        limits: When the study ends, as its spec says; the record has the limits of now.
        seed: Seed of all randomness.
        generation_size: Trials asked for together.
        starting_points: The first trials, whole points; empty where the search chooses them all.
        pruning: When trials are given up; None: never.
        trial_timeout_ms: Longest time of one trial; None: as long as it needs.
        walk_forward: How it walks forward; None: one search over all bars. Limits and generation
            are those of all windows together, starting points those of each.
        aggregation: How the outcomes over several datasets become one; None: there is one dataset.
    """

    space: Space
    constraints: Constraints
    objectives: tuple[Objective, ...]
    search: SearchKind
    options: SearchOptions
    limits: Limits
    seed: int
    generation_size: int
    starting_points: tuple[Point, ...] = ()
    pruning: PruningRule | None = None
    trial_timeout_ms: int | None = None
    walk_forward: WalkForward | None = None
    aggregation: DataAggregation | None = None

    @property
    def dataset_count(self) -> int:
        """Datasets that every trial runs over."""
        return len(self.aggregation.datasets) if self.aggregation else 1

    @property
    def window_count(self) -> int:
        """Searches side by side; 1 without windows, and before they are known."""
        return max(len(self.walk_forward.windows), 1) if self.walk_forward else 1

    def window_of(self, trial_number: int) -> int | None:
        """Return the window of a trial; None without windows."""
        return None if self.walk_forward is None else trial_number % self.window_count

    def over(self, rule: WalkForward) -> StudyPlan:
        """Return the plan of all windows of a rule, from that of one of them."""
        count = len(rule.windows)
        return replace(
            self,
            walk_forward=rule,
            limits=replace(self.limits, trial_count=self.limits.trial_count * count),
            generation_size=self.generation_size * count,
        )

    def of_window(self, window_number: int) -> StudyPlan:
        """Return the plan of one window's search, with a seed of its own.

        Windows with the same in-sample span have the same: the cells of a matrix are compared by
        what they see, not by what was drawn.
        """
        count, rule = self.window_count, self.walk_forward
        own = window_number if rule is None else rule.first_alike(window_number)
        return replace(
            self,
            walk_forward=None,
            limits=replace(self.limits, trial_count=self.limits.trial_count // count),
            generation_size=self.generation_size // count,
            seed=draw(self.seed, "window", own) % SEED_LIMIT,
        )

    @property
    def trial_count(self) -> int:
        """Trials the study has when it is finished, as its spec says."""
        return self.limits.trial_count

    @property
    def shape(self) -> StudyShape:
        """What a store must know to write trials in Optuna's schema."""
        return StudyShape(
            searched=tuple(map(_searched, self.space.searched)),
            metric_names=tuple(one.metric for one in self.objectives),
            maximize=tuple(one.maximize for one in self.objectives),
            constraints=tuple(one.text for one in self.constraints.on_metrics),
            datasets=self.aggregation.datasets if self.aggregation else (),
        )


def make_plan(draft: StudyDraft, metrics: Sequence[str]) -> StudyPlan:
    """Return the plan of a draft without violations; counts the points of a grid."""
    if draft.search is None:
        raise ValueError("a draft without a search has violations")
    space = Space(
        tuple(Parameter(one.name, one.domain) for one in draft.parameters if one.domain is not None)
    )
    constraints, _ = constraints_of(draft, metrics)
    count = draft.limits.trial_count
    if draft.search is SearchKind.GRID or (draft.search is SearchKind.BRUTE_FORCE and not count):
        count = _grid_trial_count(space, constraints)
    plan = StudyPlan(
        space=space,
        constraints=constraints,
        objectives=draft.objectives,
        search=draft.search,
        options=draft.options,
        limits=replace(draft.limits, trial_count=count),
        seed=draft.seed,
        generation_size=draft.generation_size,
        starting_points=tuple(
            {one.name: {**space.fixed, **point}[one.name] for one in space.parameters}
            for point in draft.starting_points
        ),
        pruning=draft.pruning,
        trial_timeout_ms=draft.trial_timeout_ms,
        aggregation=draft.aggregation,
    )
    if draft.walk_forward is None:
        return plan
    if draft.walk_forward.windows:
        return plan.over(draft.walk_forward)
    return replace(plan, walk_forward=draft.walk_forward)


def check_reachable(plan: StudyPlan, trial_limit: int) -> None:
    """Refuse a plan whose space is too large for a grid or too empty for its search.

    Raises:
        AssayError: INVALID_ARGUMENT/GRID_TOO_LARGE or INVALID_ARGUMENT/SPACE_INFEASIBLE.
    """
    if plan.search not in {SearchKind.GRID, SearchKind.BRUTE_FORCE}:
        check_feasible(plan.space, plan.constraints.on_parameters, plan.seed)
    elif plan.trial_count > trial_limit:
        raise grid_too_large(plan.trial_count, trial_limit)
    elif plan.trial_count == 0:
        raise space_infeasible("no point of the grid fulfils the constraints on parameters")


def grid_too_large(point_count: int, limit: int) -> AssayError:
    """Return INVALID_ARGUMENT/GRID_TOO_LARGE."""
    return AssayError(
        Code.INVALID_ARGUMENT,
        "GRID_TOO_LARGE",
        f"the grid has {point_count:,} points, at most {limit:,} are taken",
        metadata={"point_count": str(point_count), "limit": str(limit)},
    )


def _grid_trial_count(space: Space, constraints: Constraints) -> int:
    full = space.point_count
    if constraints.on_parameters and full is not None and full > ENUMERATION_LIMIT:
        # Counting what the constraints leave would take too long: the full grid is what is told.
        raise grid_too_large(full, ENUMERATION_LIMIT)
    return grid_point_count(space, constraints.on_parameters)


def _searched(parameter: Parameter) -> SearchedParameter:
    domain = parameter.domain
    if isinstance(domain, Categories):
        return SearchedParameter(parameter.name, "category", categories=domain.values)
    if isinstance(domain, Fixed):
        raise TypeError("a fixed parameter is not searched")
    kind = "int" if isinstance(domain, IntRange) else "double"
    return SearchedParameter(parameter.name, kind, domain.low, domain.high, domain.step, domain.log)
