"""A peer on the reference grid, in a process and environment of its own, taking turns with us."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.parts import reference_grid
from benchmarks.parts.peer_environment import python_with
from services.common.frames import Candles

VERSIONS: Final = {"raptorbt": "0.13.4", "vectorbt": "1.2.0"}
_SCRIPTS: Final = Path(__file__).resolve().parents[1] / "peers"
_ONE_THREAD: Final = dict.fromkeys(
    (
        "RAYON_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    "1",
)

Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peer:
    """A warm peer.

    Attributes:
        process: Its process.
        target: Where it writes what came out.
    """

    process: subprocess.Popen[str]
    target: Path

    def slice(self, part: int, parts: int) -> float:
        """Let it run one of the parts of the grid; return the CPU seconds that took."""
        return float(self._ask(f"slice {part} {parts}"))

    def results(self) -> dict[str, Column]:
        """Return what it tells of exact crossings, shape (sets,) each; it ends."""
        assert self.process.stdin is not None
        self.process.stdin.write("end\n")
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit("the peer failed")
        with np.load(self.target) as written:
            return dict(written)

    def wait_until_warm(self) -> None:
        """Return when it has run the grid once."""
        self._answer()

    def _ask(self, question: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("the peer failed")
        return answer


@contextmanager
def one_processor() -> Iterator[None]:
    """Keep this thread, and processes it starts, on one processor, where the system can.

    Cores are not equally fast all the time: both sides of a ratio are to run on the same one.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def peer(name: str, candles: Candles) -> Iterator[Peer]:
    """Start a peer on some candles, on one thread, and warm it; its results end it."""
    fast, slow = reference_grid.periods()
    python = python_with(name, VERSIONS[name])
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            source,
            open=candles.open,
            high=candles.high,
            low=candles.low,
            close=candles.close,
            volume=candles.volume,
            fast=fast,
            slow=slow,
            fee=reference_grid.FEE_BPS / 10_000,
            capital=reference_grid.CAPITAL,
        )
        process = subprocess.Popen(
            [python, _SCRIPTS / f"{name}_crossover.py", source, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | _ONE_THREAD,
        )
        try:
            started = Peer(process, target)
            started.wait_until_warm()
            yield started
        finally:
            process.kill()
            process.wait()
