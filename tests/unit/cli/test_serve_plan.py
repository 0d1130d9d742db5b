"""The environments that `assay serve` gives its children."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.plan import METRICS, plan


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("0.0.0.0:9464", ["0.0.0.0:9464", "0.0.0.0:9466", "0.0.0.0:9467", "0.0.0.0:9465"]),
        ("127.0.0.1:0", ["127.0.0.1:0"] * 4),
        ("nonsense", ["nonsense"] * 4),
    ],
)
def test_every_child_has_metrics_of_its_own(wanted: str, given: list[str], tmp_path: Path) -> None:
    """One machine has one port once: data, optimizer and workers count up from the one given."""
    planned = plan(tmp_path, 2, (0, 0, 0), {METRICS: wanted})

    assert [child.environment[METRICS] for child in planned.children] == given


def test_without_the_setting_children_have_none(tmp_path: Path) -> None:
    """Nothing is served that nobody asked for."""
    planned = plan(tmp_path, 1, (0, 0, 0), {})

    assert [METRICS in child.environment for child in planned.children] == [False] * 3
