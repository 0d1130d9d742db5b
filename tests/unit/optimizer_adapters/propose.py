"""Prints the points of a short search: run by a test in processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("cases", Path(__file__).with_name("conftest.py"))
assert spec is not None
assert spec.loader is not None
cases = module_from_spec(spec)
sys.modules["cases"] = cases
spec.loader.exec_module(cases)

study = cases.Problem(maximize=(True, False), constraint_count=1)
for trial in study.run(study.search(), range(4)):
    sys.stdout.write(f"{trial.number} {list(trial.parameters.items())!r}\n")
