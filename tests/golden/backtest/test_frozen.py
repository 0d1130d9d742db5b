"""Results frozen to the last bit, on every kind of processor."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.backtest.frozen import results
from tests.lesser_processors import NUMPY_FEATURES

FROZEN = Path(__file__).with_name("frozen.json")

OLDER_PROCESSORS = {
    "with SSE 4.2 only": {
        "NUMBA_CPU_NAME": "nehalem",
        "NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA",
    },
    "with AVX, without fused multiplication": {
        "NUMBA_CPU_NAME": "sandybridge",
        "NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-FMA",
    },
    "with nothing beyond the architecture": {
        "NUMBA_CPU_NAME": "generic",
        "NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA,-SSE4_2",
    },
}
"""What numba, numpy and the C library are told the processor can do."""


def test_results_are_the_frozen_ones() -> None:
    """No bit of any metric has changed; where one must, CODE_VERSION goes up with it."""
    frozen = json.loads(FROZEN.read_text())
    told = results()
    assert list(told) == list(frozen)
    for name, known in frozen.items():
        assert told[name] == known, name


@pytest.mark.skipif(sys.platform != "linux", reason="the switches below are Linux's")
@pytest.mark.parametrize("kind", OLDER_PROCESSORS)
def test_a_lesser_processor_gives_the_same_bits(kind: str) -> None:
    """Kernels compiled for another processor give the frozen results, alone and in a batch."""
    switches = OLDER_PROCESSORS[kind]
    if platform.machine() != "x86_64" and switches["NUMBA_CPU_NAME"] != "generic":
        pytest.skip("this processor is of another architecture")
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.golden.backtest.frozen"],
        env=os.environ | switches,
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(told.stdout) == json.loads(FROZEN.read_text())
