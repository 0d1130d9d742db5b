"""Proposals frozen to the last bit, on every kind of processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.unit.optimizer.tpe.proposed import digests

FROZEN = {
    "joint": "35dcc69067c3314c0561eb5b6fabd1ff978bf078d9d2aecd5597fa31fc130226",
    "alone": "6b9704b964120a2a05347aa65176230913606098c67e5c0907e7dd15a64a9997",
    "constrained": "67723e015dee3ffa35438cecbbb9b1f83fd65a37076fad319dda8d671546c05a",
    "large generation": "01f25c2e5bd725e206ffe68cec417082f16797de7b17d2358616ea42d2728620",
}

PLAIN_LIBRARY = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-FMA,-FMA4,-SSE4_2,-SSE4_1"


def numpys_extras() -> list[str]:
    """Return what numpy uses of this processor beyond what it was built for."""
    configuration: Any = np.show_config(mode="dicts")
    return list(configuration["SIMD Extensions"].get("found", []))


def in_process(*arguments: str, **switches: str) -> str:
    """Run Python with environment variables; returns what it prints."""
    command = [sys.executable, *arguments]
    environment = os.environ | switches
    told = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return told.stdout


def test_proposals_are_the_frozen_ones() -> None:
    """No bit of any proposal has changed: a stored study goes on as it began."""
    assert digests() == FROZEN


@pytest.mark.skipif(sys.platform != "linux", reason="the switches are Linux's")
@pytest.mark.parametrize("library", ["", PLAIN_LIBRARY], ids=["library", "plain library"])
@pytest.mark.parametrize("without", [[], numpys_extras()], ids=["numpy", "plain numpy"])
def test_a_lesser_processor_proposes_the_same(without: list[str], library: str) -> None:
    """Another choice of machine code by numpy or by the C library changes nothing."""
    told = in_process(
        "-m",
        "tests.unit.optimizer.tpe.proposed",
        NPY_DISABLE_CPU_FEATURES=" ".join(without),
        GLIBC_TUNABLES=library,
    )
    assert json.loads(told) == FROZEN


@pytest.mark.skipif(not numpys_extras(), reason="numpy uses nothing here that could be left out")
def test_the_switch_reaches_numpy() -> None:
    """The processes above did run other code: numpy finds no extras there."""
    script = "import numpy as n; print(n.show_config(mode='dicts')['SIMD Extensions'].get('found'))"
    told = in_process("-c", script, NPY_DISABLE_CPU_FEATURES=" ".join(numpys_extras()))
    assert told.strip() in {"None", "[]"}
