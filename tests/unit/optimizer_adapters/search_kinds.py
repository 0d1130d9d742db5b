"""A plan of every kind of search, over every kind of parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from tests.unit.optimizer.plans import DRAWDOWN, LATTICE, SHARPE, TRADES, plan_of

KINDS: dict[str, dict[str, Any]] = {
    "grid": {"search": SearchKind.GRID, "space": LATTICE},
    "brute_force": {"search": SearchKind.BRUTE_FORCE, "space": LATTICE},
    "random": {"search": SearchKind.RANDOM},
    "qmc": {"search": SearchKind.QMC},
    "tpe": {"search": SearchKind.BAYESIAN},
    "univariate_tpe": {"search": SearchKind.BAYESIAN, "multivariate": False},
    "motpe": {"search": SearchKind.BAYESIAN, "objectives": (SHARPE, DRAWDOWN)},
    "cma_es": {"search": SearchKind.CMA_ES},
    "nsga2": {"search": SearchKind.EVOLUTIONARY, "objectives": (SHARPE, DRAWDOWN)},
    "nsga2_one_objective": {"search": SearchKind.EVOLUTIONARY},
    "nsga3": {
        "search": SearchKind.EVOLUTIONARY,
        "objectives": (SHARPE, DRAWDOWN, TRADES),
        "nsga3": True,
    },
}

LEARNING = [name for name in KINDS if name not in {"grid", "brute_force", "random", "qmc"}]

SEEDED = [name for name in KINDS if name != "grid"]

PARAMETER_CONSTRAINT = "fast_period < slow_period"
METRIC_CONSTRAINT = "max_drawdown_ratio < 0.6"


def kind_plan(name: str, constraints: Sequence[str] = (), **changes: Any) -> StudyPlan:
    """Return the plan of a kind, with changes to it."""
    return plan_of(constraints=constraints, **{**KINDS[name], **changes})
