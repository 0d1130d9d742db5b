"""Small files, small functions, everything told: limits that keep the house readable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE_LINES = 300
FUNCTION_LINES = 40
"""Of a function's body: what stands between its docstring and its last line."""

LONGER_FUNCTIONS = {
    "services/backtest/core/engine/loop.py": 190,
    "services/backtest/core/engine/run.py": 70,
    "services/backtest/core/planes/slow_turns.py": 60,
    "services/backtest/core/sparse/walk.py": 100,
    "services/backtest/core/sparse/walk_four.py": 50,
}
"""The loops over bars and words are read as a whole: the order of their steps is what they say, and
their state stays in registers, which calls on the way would not allow."""

COMMON_MODULES = {
    "__init__",
    "channel",
    "distribution",
    "distribution_codec",
    "errors",
    "frames",
    "frames_codec",
    "intervals",
    "probe",
    "server",
    "settings",
    "status",
    "telemetry",
}
"""A module enters when two services need it and it is about being a service, a candle frame, or
what both tell in one message."""

COMMON_SUBMODULES = {
    "observing/__init__",
    "observing/metrics",
    "observing/otlp",
    "observing/redaction",
    "observing/tracing",
    "security/__init__",
    "security/authorization",
    "security/listening",
    "security/renewing_channel",
    "security/roles",
    "security/transport",
    "security/watched_files",
}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@pytest.fixture(scope="module")
def sources(root: Path, kept_files: list[Path]) -> dict[Path, str]:
    """Return the text of every Python file that is part of the product."""
    return {
        path: (root / path).read_text()
        for path in kept_files
        if path.suffix == ".py" and path.parts[0] in {"services", "cli", "benchmarks"}
    }


def _definitions(text: str) -> Iterator[Definition]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Definition):
            yield node


def _body_lines(node: Definition) -> int:
    told = ast.get_docstring(node) is not None and len(node.body) > 1
    return (node.end_lineno or 0) - node.body[int(told)].lineno + 1


def _public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _public(child)


def test_common_is_a_closed_list(root: Path) -> None:
    """What all services share grows only by a conscious change of this list."""
    assert {path.stem for path in (root / "services/common").glob("*.py")} == COMMON_MODULES
    assert {
        f"{path.parent.name}/{path.stem}" for path in (root / "services/common").glob("*/*.py")
    } == COMMON_SUBMODULES


def test_no_file_is_long(sources: dict[Path, str]) -> None:
    """A file is read in one sitting."""
    lengths = {str(path): len(text.splitlines()) for path, text in sources.items()}

    assert {path: length for path, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_long(sources: dict[Path, str]) -> None:
    """What a function does fits on a screen."""
    long = [
        f"{path}:{node.lineno} {node.name}: {_body_lines(node)} lines"
        for path, text in sources.items()
        for node in _definitions(text)
        if not isinstance(node, ast.ClassDef)
        and _body_lines(node) > LONGER_FUNCTIONS.get(path.as_posix(), FUNCTION_LINES)
    ]

    assert long == []


def test_every_module_and_public_name_says_what_it_is(sources: dict[Path, str]) -> None:
    """Modules, classes, functions and methods that others may use have a docstring."""
    silent = [
        f"{path}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', 'module')}"
        for path, text in sources.items()
        for tree in [ast.parse(text)]
        for node in (tree, *_public(tree))
        if not ast.get_docstring(node) and text.strip()
    ]

    assert silent == []
