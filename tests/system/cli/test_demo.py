"""`assay demo` from start to end: on a file, on a made-up market, and interrupted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with its own temporary folder and an exchange that never answers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    return kept | {"TMPDIR": str(folder), "ASSAY_BYBIT_URL": "http://127.0.0.1:1"}


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    """Write a hundred days of made-up hourly candles."""
    numbers, price, rows = random.Random(4), 30_000.0, []
    for hour in range(2_400):
        after = round(price * (1 + numbers.gauss(0.0001, 0.006)), 1)
        low, high = round(min(price, after) - 5, 1), round(max(price, after) + 5, 1)
        rows.append(f"{1_704_067_200 + hour * 3_600},{price},{high},{low},{after},1.5")
        price = after
    file = tmp_path / "My candles.csv"
    file.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    return file


def demo(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cli", "demo", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def leftovers(environment: dict[str, str]) -> list[str]:
    """Return what is left in the temporary folder, and services that know of it."""
    folder = environment["TMPDIR"]
    found = [str(path) for path in Path(folder).iterdir() if path.name.startswith("assay-demo-")]
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"ASSAY_HOME={folder}".encode() in process.read_bytes():
                found.append(process.parent.name)
        except OSError:
            continue
    return found


def test_the_demo_runs_on_a_file(environment: dict[str, str], candles: Path) -> None:
    """Import, search, result; the interval is told from the times; nothing is left."""
    outcome = demo(environment, "--data", str(candles))

    assert outcome.returncode == 0, outcome.stderr
    assert "2,400 bars as datasets/file.my.1h" in outcome.stdout
    assert "best: trial" in outcome.stdout
    assert "buy and hold" in outcome.stdout
    assert "SYNTHETIC" not in outcome.stdout
    assert "100 of 100 trials" in outcome.stderr
    assert leftovers(environment) == []


def test_without_an_exchange_the_market_is_made_up_and_named_so(
    environment: dict[str, str],
) -> None:
    """The demo says clearly that the candles are synthetic, and finishes all the same."""
    outcome = demo(environment)

    assert outcome.returncode == 0, outcome.stderr
    assert "the exchange did not answer: using a SYNTHETIC market (made up, seed 7)" in (
        outcome.stdout
    )
    assert "8,784 bars as datasets/synthetic.demo.1h" in outcome.stdout
    assert "warning: " in outcome.stdout
    assert "best: trial" in outcome.stdout
    assert leftovers(environment) == []


def test_an_interrupted_demo_leaves_nothing(environment: dict[str, str], candles: Path) -> None:
    """Ctrl-C in the middle stops the services and removes the folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--data", str(candles)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("imported"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "interrupted; everything is stopped" in err
    assert leftovers(environment) == []


def test_a_file_that_does_not_tell_its_interval_is_bad_usage(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The demo asks for --interval before it starts anything."""
    file = tmp_path / "odd.csv"
    file.write_text("time,open,high,low,close,volume\n1704067200,1,1,1,1,1\n1704067207,1,1,1,1,1\n")

    outcome = demo(environment, "--data", str(file))

    assert outcome.returncode == 2
    assert "say --interval" in outcome.stderr
    assert outcome.stdout == ""
