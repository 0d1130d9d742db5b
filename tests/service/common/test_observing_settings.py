"""Addresses of metrics and traces that cannot be used end a service with a line that says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def ended(tmp_path: Path, **settings: str) -> tuple[int, str]:
    """Run the data service until it gives up; returns its exit status and its last line."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("ASSAY_")}
    listening = {"ASSAY_LISTEN_ADDRESS": "127.0.0.1:0", "ASSAY_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "services.data"],
        env=environment | listening | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("ASSAY_METRICS_ADDRESS", "nonsense", "say host:port"),
        ("ASSAY_METRICS_ADDRESS", "127.0.0.1:99999", "say host:port"),
        ("ASSAY_OTLP_ENDPOINT", "collector:4317", "say http://host:port or https://host:port"),
    ],
)
def test_an_address_that_is_none_is_refused(
    name: str, text: str, wanted: str, tmp_path: Path
) -> None:
    """Exit status 2 and the setting's name."""
    status, line = ended(tmp_path, **{name: text})

    assert status == 2
    assert name in line
    assert line.endswith(wanted)


def test_a_port_of_metrics_that_is_taken_is_told(tmp_path: Path) -> None:
    """A service that cannot be watched as wanted does not start."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, line = ended(tmp_path, ASSAY_METRICS_ADDRESS=address)

    assert status == 2
    assert address in line
    assert "Address already in use" in line
