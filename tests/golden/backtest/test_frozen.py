"""Results frozen to the last bit, on every kind of processor."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
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


Told = Callable[[str], object]


@pytest.fixture(scope="module", autouse=True)
def told_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Returns the results of a kind of processor.

    Each is a process that first compiles its own kernels for most of a minute, so they all start at
    once and work while other tests run; workers of pytest, which share the tests, start their own.
    """
    folder = tmp_path_factory.mktemp("frozen")
    running: dict[str, subprocess.Popen[bytes]] = {}

    def start(kind: str) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.golden.backtest.frozen"]
        environment = {**os.environ, **OLDER_PROCESSORS[kind]}
        running[kind] = subprocess.Popen([*command, str(folder / kind)], env=environment)

    def told(kind: str) -> object:
        if kind not in running:
            start(kind)
        assert running[kind].wait() == 0
        return json.loads((folder / kind).read_text())

    if "PYTEST_XDIST_WORKER" not in os.environ:
        for kind in filter(_can_run, OLDER_PROCESSORS):
            start(kind)
    yield told
    for process in running.values():
        process.kill()
        process.wait()


def _can_run(kind: str) -> bool:
    """Say whether the switches of a kind, which are Linux's, fit this machine."""
    any_machine = OLDER_PROCESSORS[kind]["NUMBA_CPU_NAME"] == "generic"
    return sys.platform == "linux" and (any_machine or platform.machine() == "x86_64")


def test_results_are_the_frozen_ones() -> None:
    """No bit of any metric has changed; where one must, CODE_VERSION goes up with it."""
    frozen = json.loads(FROZEN.read_text())
    told = results()
    assert list(told) == list(frozen)
    for name, known in frozen.items():
        assert told[name] == known, name


@pytest.mark.parametrize("kind", OLDER_PROCESSORS)
def test_a_lesser_processor_gives_the_same_bits(kind: str, told_elsewhere: Told) -> None:
    """Kernels compiled for another processor give the frozen results, alone and in a batch."""
    if not _can_run(kind):
        pytest.skip("this machine is of another kind altogether")
    assert told_elsewhere(kind) == json.loads(FROZEN.read_text())
