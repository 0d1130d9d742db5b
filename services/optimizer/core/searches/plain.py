"""The searches that are functions of their plan alone."""

from __future__ import annotations

from services.optimizer.core.ports import Search
from services.optimizer.core.searches.brute_force_search import BruteForceSearch
from services.optimizer.core.searches.grid_search import GridSearch
from services.optimizer.core.searches.qmc_search import QmcSearch
from services.optimizer.core.searches.random_search import RandomSearch
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan


def plain_search(plan: StudyPlan) -> Search | None:
    """Return the plan's search, without its starting points; None where it has to learn."""
    filters = plan.constraints.on_parameters
    if plan.search is SearchKind.GRID:
        return GridSearch(plan.space, filters, plan.generation_size)
    if plan.search is SearchKind.BRUTE_FORCE:
        return BruteForceSearch(plan.space, filters, plan.seed, plan.generation_size)
    if plan.search is SearchKind.RANDOM:
        return RandomSearch(plan.space, filters, plan.seed, plan.generation_size)
    if plan.search is SearchKind.QMC:
        return QmcSearch(plan.space, filters, plan.seed, plan.generation_size)
    return None
