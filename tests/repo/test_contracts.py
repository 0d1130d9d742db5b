"""The contracts and what is made of them belong together, and break no client."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tool = Callable[[str], str]

_NO_PERSONAL_CONFIGURATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def _names(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_generated_code_is_what_the_contracts_give(root: Path, tmp_path: Path) -> None:
    """Generating again gives the committed files, byte for byte, and no others."""
    subprocess.run([root / "protos/generate.sh", sys.executable, tmp_path], check=True)

    made, kept = _names(tmp_path), _names(root / "protos/gen")
    assert made == kept
    _, different, unreadable = filecmp.cmpfiles(tmp_path, root / "protos/gen", made, shallow=False)
    assert (different, unreadable) == ([], [])


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """Return a repository whose main branch holds today's contracts."""
    shutil.copytree(root / "protos/assay", tmp_path / "protos/assay")
    shutil.copy(root / "protos/breaking.sh", tmp_path / "protos")
    shutil.copy(root / "buf.yaml", tmp_path)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run(
            ["git", *identity, *arguments],
            cwd=tmp_path,
            env=_without_git(os.environ) | _NO_PERSONAL_CONFIGURATION,
            check=True,
        )
    return tmp_path


def _without_git(environment: os._Environ[str]) -> dict[str, str]:
    # Inside a hook GIT_DIR names the outer repository.
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")}


def _breaking(clone: Path, tool: Tool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["protos/breaking.sh", tool("buf")],
        cwd=clone,
        env=_without_git(os.environ) | _NO_PERSONAL_CONFIGURATION,
        capture_output=True,
        text=True,
        check=False,
    )


def test_unchanged_contracts_break_nobody(clone: Path, tool: Tool) -> None:
    """The comparison with the main branch passes and is silent."""
    answer = _breaking(clone, tool)

    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_a_deleted_field_is_refused(clone: Path, tool: Tool) -> None:
    """Taking a field out of the contract fails, naming file and field."""
    proto = clone / "protos/assay/market/v1/candles.proto"
    text = proto.read_text()
    field = re.search(r"^  \S*(?: \S+)? (\w+) = (\d+);\n", text, re.MULTILINE)
    assert field is not None
    proto.write_text(text.replace(field[0], ""))

    answer = _breaking(clone, tool)

    assert answer.returncode != 0
    assert "candles.proto" in answer.stdout
    assert f'"{field[1]}"' in answer.stdout


def test_a_new_field_is_welcome(clone: Path, tool: Tool) -> None:
    """Contracts grow without breaking anybody."""
    proto = clone / "protos/assay/market/v1/candles.proto"
    text = proto.read_text()
    head = re.search(r"^message \w+ \{\n", text, re.MULTILINE)
    assert head is not None
    grown = text.replace(head[0], head[0] + "  string extra = 999;\n", 1)
    proto.write_text(grown)

    assert _breaking(clone, tool).returncode == 0
