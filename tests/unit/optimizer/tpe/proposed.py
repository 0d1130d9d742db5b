"""Prints digests of what frozen studies propose: run by a test in processes of their own."""

from __future__ import annotations

import json
import sys

from services.optimizer.core.spec.draft import SearchOptions
from tests.unit.optimizer.tpe.problems import Problem, digest


def digests() -> dict[str, str]:
    """Return a digest of the points of each study."""
    short = SearchOptions(startup_trial_count=8, history_window=40)
    studies = {
        "joint": Problem(options=short),
        "alone": Problem(options=SearchOptions(startup_trial_count=8, multivariate=False)),
        "constrained": Problem(
            options=short,
            constraints=("fast_period < slow_period", "drawdown < 1"),
            maximize=False,
        ),
    }
    found = {}
    for name, problem in studies.items():
        trials = problem.run(problem.search(), 12)
        found[name] = digest([trial.parameters for trial in trials])
    long = Problem(generation_size=64)
    search = long.search()
    search.tell(long.drawn(400))
    found["large generation"] = digest(search.ask(7, 64))
    return found


if __name__ == "__main__":
    json.dump(digests(), sys.stdout)
