"""Prints the points of short studies, a kind of search a line; tests run it in other processes."""

from __future__ import annotations

import json
import sys

from services.optimizer.adapters.searches.choice import search_of
from tests.unit.optimizer.plans import rational, run, typed
from tests.unit.optimizer_adapters.search_kinds import (
    METRIC_CONSTRAINT,
    PARAMETER_CONSTRAINT,
    kind_plan,
)

GENERATIONS = 12

for kind in sys.argv[1:]:
    plan = kind_plan(kind, [PARAMETER_CONSTRAINT, METRIC_CONSTRAINT])
    trials = run(plan, search_of(plan), range(GENERATIONS), rational)
    sys.stdout.write(json.dumps([kind, typed([one.parameters for one in trials])]) + "\n")
