"""The recipes people and scripts rely on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def listed(root: Path) -> dict[str, str]:
    """Return what `make help` says: recipe and explanation."""
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split(maxsplit=1) for line in answer.stdout.splitlines())


def test_help_lists_every_recipe(root: Path, listed: dict[str, str]) -> None:
    """Nothing that can be made is hidden: every target for people is told, with a sentence."""
    text = (root / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None

    assert set(listed) == set(phony[1].split())
    assert set(listed) == set(re.findall(r"^([\w-]+):.*##", text, re.MULTILINE))


def test_the_promised_recipes_exist(listed: dict[str, str]) -> None:
    """Scripts outside this repository call these."""
    assert {"setup", "demo", "test", "lint", "help"} <= set(listed)


def test_continuous_integration_is_lint_and_test(root: Path) -> None:
    """What a change must pass is what a developer runs."""
    script = root / ".ci/run"

    assert re.findall(r"^make .*", script.read_text(), re.MULTILINE) == ["make lint", "make test"]
    assert script.stat().st_mode & 0o111
