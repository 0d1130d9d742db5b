"""Every reason the contracts promise is given by the code and provoked by a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from assay.backtest.v1 import error_reason_pb2 as backtest
from assay.data.v1 import error_reason_pb2 as data
from assay.optimizer.v1 import error_reason_pb2 as optimizer

_PREFIX = "ERROR_REASON_"
_ENUMS = {"data": data, "backtest": backtest, "optimizer": optimizer}
_PROMISES = [
    (service, name.removeprefix(_PREFIX))
    for service, module in _ENUMS.items()
    for name in module.ErrorReason.keys()  # noqa: SIM118 -- an enum wrapper is no mapping
    if name != f"{_PREFIX}UNSPECIFIED"
]


def _names(text: str, reason: str) -> bool:
    return re.search(rf"""["'`]{reason}["'`]|\b{_PREFIX}{reason}\b""", text) is not None


def _about(path: Path, text: str, service: str) -> bool:
    """Say whether a file is about a service, or about all of them."""
    if any(part.split("_")[0] in {service, "common"} for part in path.parts[1:]):
        return True
    mention = rf"\b{service}\.assay\b|\bassay\.{service}\.v1\b|\bservices\.{service}\b"
    return path.parts[0] == "tests" and re.search(mention, text) is not None


def _texts(root: Path, files: list[Path], top: str, service: str) -> list[str]:
    sources = [path for path in files if path.suffix == ".py" and path.parts[0] == top]
    texts = {path: (root / path).read_text() for path in sources if path.parts[1] != "repo"}
    return [text for path, text in texts.items() if _about(path, text, service)]


@pytest.mark.parametrize(("service", "reason"), _PROMISES)
def test_the_code_gives_the_reason(
    root: Path, kept_files: list[Path], service: str, reason: str
) -> None:
    """A reason nobody gives is a promise about nothing."""
    texts = _texts(root, kept_files, "services", service)

    assert any(_names(text, reason) for text in texts), f"{service}: {reason}"


@pytest.mark.parametrize(("service", "reason"), _PROMISES)
def test_a_test_provokes_the_reason(
    root: Path, kept_files: list[Path], service: str, reason: str
) -> None:
    """A reason no test has seen may never arrive."""
    texts = _texts(root, kept_files, "tests", service)

    assert any(_names(text, reason) for text in texts), f"{service}: {reason}"
