"""Prints the points of a short search: run by a test in processes of their own."""

from __future__ import annotations

import sys

from tests.unit.optimizer_adapters.conftest import Problem

study = Problem(maximize=(True, False), constraint_count=1)
for trial in study.run(study.search(), range(4)):
    sys.stdout.write(f"{trial.number} {list(trial.parameters.items())!r}\n")
