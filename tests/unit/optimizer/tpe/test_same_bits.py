"""Proposals frozen to the last bit, on every kind of processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from numpy._core import _multiarray_umath as numpys

from tests.unit.optimizer.tpe.proposed import digests

FROZEN = {}

OLDER_PROCESSORS = {
    "numpy's plainest loops": {"NPY_DISABLE_CPU_FEATURES": "all"},
    "the C library's plainest functions": {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-FMA,-FMA4,-SSE4_2,-SSE4_1"
    },
    "both": {
        "NPY_DISABLE_CPU_FEATURES": "all",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-FMA,-FMA4,-SSE4_2,-SSE4_1",
    },
}
"""What numpy and the C library are told the processor cannot do; "all": whatever numpy uses here
beyond what it was built for."""


def test_proposals_are_the_frozen_ones() -> None:
    """No bit of any proposal has changed: a stored study goes on as it began."""
    assert digests() == FROZEN


@pytest.mark.skipif(sys.platform != "linux", reason="the switches are Linux's")
@pytest.mark.parametrize("kind", OLDER_PROCESSORS)
def test_a_lesser_processor_proposes_the_same(kind: str) -> None:
    """Another choice of machine code changes nothing."""
    switches = dict(OLDER_PROCESSORS[kind])
    if "NPY_DISABLE_CPU_FEATURES" in switches:
        used = [one for one in numpys.__cpu_dispatch__ if numpys.__cpu_features__.get(one)]
        if not used:
            pytest.skip("numpy has no other code for this processor")
        switches["NPY_DISABLE_CPU_FEATURES"] = " ".join(used)
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.optimizer.tpe.proposed"],
        env=os.environ | switches,
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(told.stdout) == FROZEN


def test_the_switches_reach_numpy() -> None:
    """Without its newer code numpy's own exponential has other bits, or there is none to leave."""
    used = [one for one in numpys.__cpu_dispatch__ if numpys.__cpu_features__.get(one)]
    script = (
        "from numpy._core._multiarray_umath import __cpu_features__ as f; print(sum(f.values()))"
    )
    counts = [
        int(
            subprocess.run(
                [sys.executable, "-c", script],
                env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(switched)},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for switched in ([], used)
    ]
    assert counts[1] == counts[0] - len(used) or counts[1] < counts[0] or not used
