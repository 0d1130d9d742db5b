"""The audit of the locks: nothing passes that was not looked at, whatever pip-audit says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Known = dict[str, dict[str, list[Any]]]
Audit = Callable[[str, Known], tuple[int, str]]

LOCK = """\
# written by hand
one==1.0 ; python_version < '3.12' \\
    --hash=sha256:00
one==2.0 ; python_version >= '3.12' \\
    --hash=sha256:00
Other.Name==0.5 \\
    --hash=sha256:00
"""
KNOWN = {"id": "PYSEC-1", "fix_versions": ["0.6"], "aliases": [], "description": ""}


@pytest.fixture
def audit(root: Path, tmp_path: Path) -> Audit:
    """Return a function that audits a lock by a stand-in for pip-audit: status and output.

    The stand-in answers from what it is given by "name version"; it knows nothing of the others
    and ends as pip-audit does, with 1 where something is known.
    """

    def run(lock: str, known: Known) -> tuple[int, str]:
        program = tmp_path / "pip-audit"
        program.write_text(
            f"#!{sys.executable}\n"
            "import json, pathlib, sys\n"
            f"known = json.loads({json.dumps(json.dumps(known))})\n"
            "pins = pathlib.Path(sys.argv[-1]).read_text().split()\n"
            "pairs = [pin.split('==') for pin in pins]\n"
            "if known == {}:\n"
            "    sys.exit('no route to the database')\n"
            "said = [{'name': n, 'version': v, **known[f'{n} {v}']} if f'{n} {v}' in known\n"
            "        else {'name': n, 'skip_reason': 'not found'} for n, v in pairs]\n"
            "print(json.dumps({'dependencies': said, 'fixes': []}))\n"
            "sys.exit(any(one.get('vulns') for one in said))\n"
        )
        program.chmod(0o755)
        file = tmp_path / "some.lock"
        file.write_text(lock)
        answer = subprocess.run(
            [sys.executable, str(root / "deploy/audit.py"), str(program), str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.stderr == ""
        return answer.returncode, answer.stdout

    return run


def test_what_nothing_is_known_against_passes(audit: Audit) -> None:
    """Every version of every package is looked at, whatever Python it is for."""
    good: Known = {name: {"vulns": []} for name in ("one 1.0", "one 2.0", "other-name 0.5")}

    assert audit(LOCK, good) == (0, "3 packages: nothing is known against them\n")


def test_what_is_known_fails_and_is_told(audit: Audit) -> None:
    """By package, version, advisory, and the version that mends it."""
    said: Known = {name: {"vulns": []} for name in ("one 1.0", "one 2.0")}

    status, told = audit(LOCK, said | {"other-name 0.5": {"vulns": [KNOWN]}})

    assert (status, told) == (1, "other-name 0.5: PYSEC-1, fixed in 0.6\n")


def test_a_package_the_database_does_not_answer_about_is_no_good_one(audit: Audit) -> None:
    """pip-audit alone would pass; what is known of the others is told all the same."""
    status, told = audit(LOCK, {"one 1.0": {"vulns": []}, "one 2.0": {"vulns": [KNOWN]}})

    assert status == 2
    assert told.splitlines()[0] == "one 2.0: PYSEC-1, fixed in 0.6"
    assert "NOT AUDITED" in told
    assert "1 of 3 packages (other-name 0.5, ...)" in told


def test_without_a_database_nothing_passes(audit: Audit) -> None:
    """Its own complaint is told, and that nothing was audited."""
    status, told = audit(LOCK, {})

    assert status == 2
    assert "NOT AUDITED" in told
    assert "no route to the database" in told


def test_without_the_program_nothing_passes(root: Path, tmp_path: Path) -> None:
    """As without a database: what could not be started says nothing about any package."""
    lock = tmp_path / "some.lock"
    lock.write_text(LOCK)
    answer = subprocess.run(
        [sys.executable, str(root / "deploy/audit.py"), str(tmp_path / "missing"), str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 2
    assert "NOT AUDITED" in answer.stdout


def test_every_lock_is_audited(root: Path) -> None:
    """The recipe names the lock of development and those of all images; lint stays offline."""
    recipes = (root / "Makefile").read_text()
    found = re.search(r"^audit:.*\n((?:\t.*\n)+)", recipes, re.MULTILINE)
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", recipes, re.MULTILINE)

    assert found is not None
    assert "requirements.lock deploy/locks/*.lock" in found[1]
    assert lint is not None
    assert "audit" not in lint[0]
