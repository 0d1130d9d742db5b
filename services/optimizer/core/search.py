"""The searches that are functions of their plan alone."""

from __future__ import annotations

from services.optimizer.core.draft import SearchKind
from services.optimizer.core.grid_search import GridSearch
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import Search
from services.optimizer.core.random_search import RandomSearch


def plain_search(plan: StudyPlan) -> Search | None:
    """Return the plan's grid or random search; None where it needs an adapter."""
    filters = plan.constraints.on_parameters
    if plan.search is SearchKind.GRID:
        return GridSearch(plan.space, filters, plan.generation_size)
    if plan.search is SearchKind.RANDOM:
        return RandomSearch(plan.space, filters, plan.seed, plan.generation_size)
    return None
