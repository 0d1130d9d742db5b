"""The same points in every process, and on every kind of processor where that is promised."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.lesser_processors import LESSER_PROCESSOR
from tests.unit.optimizer_adapters.search_kinds import KINDS

SAME_EVERYWHERE = [kind for kind in KINDS if kind not in {"cma_es", "motpe", "nsga3"}]
"""Those whose points are promised not to depend on the processor. Of the others the last digits of
exponentials, eigenvectors and solved equations do, which their modules say."""


def proposals(kinds: Sequence[str], environment: Mapping[str, str]) -> dict[str, list[object]]:
    """Return the points that another process proposes, by kind."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.optimizer_adapters.propose", *kinds],
        env=os.environ | environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=True,
        text=True,
    )
    return dict(json.loads(line) for line in told.stdout.splitlines())


def test_proposals_do_not_depend_on_the_process() -> None:
    """Another interpreter with another hash seed and time zone proposes the same points."""
    kinds = list(KINDS)
    one = proposals(kinds, {"PYTHONHASHSEED": "1", "TZ": "UTC"})
    other = proposals(kinds, {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"})

    assert list(one) == kinds
    assert all(len(points) == 96 for points in one.values())
    assert one == other


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the switches are those of Linux on this architecture",
)
def test_a_lesser_processor_proposes_the_same_points() -> None:
    """To the last bit, after eleven generations learnt."""
    assert proposals(SAME_EVERYWHERE, {}) == proposals(SAME_EVERYWHERE, LESSER_PROCESSOR)
