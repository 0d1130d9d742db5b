"""The command line and `assay serve` as real processes on free ports."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.app import app

START_SECONDS = 240
"""A cold worker compiles its kernels."""

NOBODY = "http://127.0.0.1:1"
"""An exchange that never answers."""

LINE = re.compile(
    r"assay is serving: data (\S+), backtest (\S+?)(?: \(\+(.+)\))?, optimizer (\S+)\n"
)


def open_assay(*words: str, **settings: str) -> subprocess.Popen[str]:
    """Start the command line as a process with only the given ASSAY_* settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        env=kept | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Served:
    """A running `assay serve`."""

    process: subprocess.Popen[str]
    home: Path
    line: str

    def pids(self) -> dict[str, int]:
        """Return the process ids of the children by their names."""
        return {file.stem: int(file.read_text()) for file in (self.home / "run").glob("*.pid")}

    def settings(self) -> dict[str, str]:
        """Return where the services are, from the line that serve printed."""
        found = LINE.fullmatch(self.line)
        assert found, self.line
        data, worker, _, optimizer = found.groups()
        return {
            "ASSAY_DATA_ADDRESS": data,
            "ASSAY_BACKTEST_ADDRESS": worker,
            "ASSAY_OPTIMIZER_ADDRESS": optimizer,
        }

    def assay(self, *words: str) -> Result:
        """Run a command against these services, inside this process."""
        foreign = [name for name in os.environ if name.startswith("ASSAY_")]
        return CliRunner().invoke(
            app, words, env=dict.fromkeys(foreign) | self.settings(), catch_exceptions=False
        )

    def json(self, *words: str) -> Any:
        """Run a command that must succeed and return its answer."""
        outcome = self.assay(*words, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        return json.loads(outcome.stdout)

    def events(self, *words: str) -> list[Any]:
        """Run a streaming command that must succeed and return its lines."""
        outcome = self.assay(*words, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        return [json.loads(line) for line in outcome.stdout.splitlines()]


def start_serving(home: Path, *words: str, **settings: str) -> Served:
    """Start `assay serve` on free ports and wait for its line."""
    words = ("serve", "--home", str(home), "--ports", "0,0,0", *words)
    process = open_assay(*words, ASSAY_BYBIT_URL=NOBODY, **settings)
    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        raise AssertionError(f"serve did not start: {process.stderr.read()}")
    return Served(process, home, line)


def end(served: Served) -> None:
    """Press Ctrl-C where serve still runs, and see that it leaves with 0."""
    if served.process.poll() is None:
        served.process.send_signal(signal.SIGINT)
    served.process.communicate(timeout=60)
    assert served.process.returncode == 0


@pytest.fixture
def assay_command() -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts the command line as a process: `command("serve", ...)`."""
    return open_assay


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that starts `assay serve` with more words and settings."""
    started: list[Served] = []

    def start(*words: str, **settings: str) -> Served:
        started.append(start_serving(tmp_path / f"home-{len(started)}", *words, **settings))
        return started[-1]

    yield start
    for served in started:
        end(served)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one system for all tests of a module, with a year of made-up candles."""
    running = start_serving(tmp_path_factory.mktemp("served") / "home")
    words = ("--start", "2024-01-01", "--end", "2024-07-01", "--seed", "7")
    running.events("dataset", "sync", "synthetic.tour.1h", *words)
    yield running
    end(running)
