"""`assay serve` as a user meets it: one line, restarts, and an end that leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STUDY = """
data: [{dataset: datasets/synthetic.serve.1h}]
strategy: {name: strategies/ma_crossover}
parameters:
  - {name: fast_period, int_range: {low: 3, high: 60}}
  - {name: slow_period, int_range: {low: 20, high: 240}}
constraints: [fast_period < slow_period]
objectives: [{metric: sharpe_ratio}]
bayesian: {trial_count: 240}
seed: 5
"""


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """Write a study that takes a second or two."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file


def test_serve_prints_one_line_and_ends_cleanly(serve: Callable[..., Any]) -> None:
    """One line on stdout when all is SERVING; SIGTERM drains everything and exits with 0."""
    served = serve("--workers", "2")
    pids = served.pids()
    assert set(pids) == {"data", "backtest-1", "backtest-2", "optimizer"}

    served.process.send_signal(signal.SIGTERM)
    out, err = served.process.communicate(timeout=60)

    assert served.process.returncode == 0
    assert (out, err) == ("", "")
    assert not any(is_alive(pid) for pid in pids.values())
    assert served.pids() == {}


def test_processes_killed_mid_study_come_back_and_change_nothing(
    serve: Callable[..., Any], study_file: Path, assay_command: Any
) -> None:
    """Kill -9 of a worker and of the optimizer: the watcher sees every event, the digest stays."""
    served = serve("--workers", "2")
    window = ("--start", "2024-01-01", "--end", "2024-07-01", "--seed", "3")
    served.events("dataset", "sync", "synthetic.serve.1h", *window)
    create = ("study", "create", str(study_file), "--watch")
    undisturbed = served.events(*create, "--id", "undisturbed")[-1]["event"]["study_finished"]
    before = served.pids()
    victims = [before["backtest-2"], before["optimizer"]]

    with assay_command(*create, "--id", "disturbed", "--json", **served.settings()) as watcher:
        events = []
        for answer in map(json.loads, watcher.stdout):
            events += [answer["event"]] if "event" in answer else []
            if "generation_finished" in answer.get("event", {}):
                while victims:
                    os.kill(victims.pop(), signal.SIGKILL)
        err = watcher.stderr.read()

    assert watcher.returncode == 0, err
    assert [int(event["number"]) for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["study_finished"]["trials_digest"] == undisturbed["trials_digest"]
    assert served.pids()["optimizer"] != before["optimizer"]


def test_a_port_in_use_is_refused_at_once(tmp_path: Path, assay_command: Any) -> None:
    """Serve says which port is taken, starts nothing, and exits with 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("serve", "--home", str(tmp_path / "home"), "--ports", f"{port},0,0")
        with assay_command(*words) as process:
            out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert err == f"error: already in use: port {port}\n"
    assert out == ""
