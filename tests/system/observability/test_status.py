"""`assay status` of a real system, and of one that has lost a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any


def status_of(system: Any, *words: str) -> tuple[int, str]:
    """Run the command; returns its exit status and what it printed."""
    workers = ",".join(worker.address for worker in system.workers)
    environment = {key: text for key, text in os.environ.items() if not key.startswith("ASSAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "status", *words],
        env=environment
        | {
            "ASSAY_DATA_ADDRESS": system.data.address,
            "ASSAY_BACKTEST_ADDRESS": f"ipv4:{workers}",
            "ASSAY_OPTIMIZER_ADDRESS": system.optimizer.address,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_whole_system_is_up_until_a_worker_dies(start_system: Any) -> None:
    """Exit 0 and all serving; after kill -9 of a worker exit 1 and its address unreachable."""
    system = start_system(workers=2)

    up, text = status_of(system, "--json")
    told = json.loads(text)
    system.workers[1].send(signal.SIGKILL)
    down, table = status_of(system)

    assert up == 0
    assert [(one["service"], one["health"]) for one in told["processes"]] == [
        ("data", "serving"),
        ("backtest", "serving"),
        ("backtest", "serving"),
        ("optimizer", "serving"),
    ]
    assert told["processes"][3]["status"]["studies"] == []
    assert down == 1
    line = next(one for one in table.splitlines() if system.workers[1].address in one)
    assert "unreachable" in line
    assert table.count(" serving ") == 3
