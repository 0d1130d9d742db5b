"""The example study files are studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.study_file import read_study_file
from services.optimizer.convert.creation import reachable_plan
from services.optimizer.convert.defaults import with_defaults
from services.optimizer.convert.spec_checks import spec_violations
from services.optimizer.convert.specs import draft_of, given_points
from services.optimizer.convert.values import METRIC_NAMES
from services.optimizer.core.spec.draft_checks import draft_violations
from services.optimizer.core.spec.point_checks import point_violations

FOLDER = Path(__file__).parents[3] / "examples"
FILES = sorted([*FOLDER.glob("studies/*.yaml"), *FOLDER.glob("*/study.yaml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_has_nothing_wrong(file: Path) -> None:
    """As far as can be told without workers."""
    spec = with_defaults(read_study_file(file), seed=1)
    draft = draft_of(spec)

    assert list(spec_violations(spec)) == []
    assert draft_violations(draft, METRIC_NAMES, None, 100_000) == []
    assert list(point_violations(draft, given_points(spec))) == []
    assert reachable_plan(spec, 100_000).trial_count > 0
