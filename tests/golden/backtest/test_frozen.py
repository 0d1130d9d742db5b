"""Results frozen to the last bit, on every kind of processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.backtest.frozen import results

FROZEN = Path(__file__).with_name("frozen.json")

PLAIN_PROCESSOR = {
    "NUMBA_CPU_NAME": "generic",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F FMA3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA",
}


def test_results_are_the_frozen_ones() -> None:
    """No bit of any metric has changed; where one must, CODE_VERSION goes up with it."""
    frozen = json.loads(FROZEN.read_text())
    told = results()
    assert list(told) == list(frozen)
    for name, known in frozen.items():
        assert told[name] == known, name


@pytest.mark.skipif(sys.platform != "linux", reason="the switches below are Linux's")
def test_a_processor_without_vector_units_gives_the_same_bits() -> None:
    """Kernels compiled for the plainest x86-64 or ARM give the frozen results."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.golden.backtest.frozen"],
        env=os.environ | PLAIN_PROCESSOR,
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(told.stdout) == json.loads(FROZEN.read_text())
