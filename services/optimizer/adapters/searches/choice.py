"""From a plan to the search it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services.optimizer.adapters.searches.cma_es import CmaEsSearch
from services.optimizer.adapters.searches.nsga_search import NsgaSearch
from services.optimizer.adapters.searches.optuna_tpe import OptunaTpeSearch
from services.optimizer.core.ports import Search
from services.optimizer.core.searches.plain import plain_search
from services.optimizer.core.searches.starting_points import StartingPoints
from services.optimizer.core.searches.tpe.search import TpeSearch
from services.optimizer.core.searches.walk_forward_search import WalkForwardSearch
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial


def _bayesian(plan: StudyPlan, priors: Sequence[Trial]) -> Search:
    """Return the estimator for one objective, or that for several."""
    one = len(plan.objectives) == 1
    return TpeSearch(plan, priors) if one else OptunaTpeSearch(plan, priors)


_LEARNING: Final[Mapping[SearchKind, Callable[[StudyPlan, Sequence[Trial]], Search]]] = {
    SearchKind.BAYESIAN: _bayesian,
    SearchKind.CMA_ES: CmaEsSearch,
    SearchKind.EVOLUTIONARY: NsgaSearch,
}


def search_of(plan: StudyPlan, priors: Sequence[Trial] = ()) -> Search:
    """Return the search of a plan, its starting points first; may take seconds.

    One that walks forward has a search for each window.

    Args:
        plan: The plan.
        priors: Trials of other studies, for a search that learns; others leave them alone.

    Raises:
        AssayError: INVALID_ARGUMENT/GRID_TOO_LARGE, a space too large for brute force.
    """
    if plan.walk_forward is not None:
        numbers = range(plan.window_count)
        if plan.search is SearchKind.GRID:
            # A grid is the same in every window, and learns nothing.
            return WalkForwardSearch([search_of(plan.of_window(0))] * len(numbers))
        return WalkForwardSearch([search_of(plan.of_window(number)) for number in numbers])
    plain = plain_search(plan)
    search = plain or _LEARNING[plan.search](plan, priors)
    if not plan.starting_points:
        return search
    return StartingPoints(
        search, plan.starting_points, plan.generation_size, by_number=plain is not None
    )
