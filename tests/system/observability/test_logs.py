"""Lines of all services about one study, found by its name, and no secret in any of them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.private_servers import free_port


def test_lines_of_workers_name_the_study(watched: Any) -> None:
    """A worker's access lines say for which study they are, and so do the data service's."""
    system = watched.system
    batches = [
        line
        for worker in system.workers
        for line in worker.log.read_text().splitlines()
        if "/RunBacktestBatch" in line
    ]

    assert batches
    assert all("study=watched" in line for line in batches)
    reads = [line for line in system.data.log.read_text().splitlines() if "/ReadCandles" in line]
    assert reads
    assert all("study=watched" in line for line in reads)


def test_creating_a_study_is_one_request_everywhere(watched: Any) -> None:
    """The request id of CreateStudy is in the lines of workers, and the study's name in all."""
    lines = watched.system.optimizer.log.read_text().splitlines()
    created = next(line for line in lines if "/CreateStudy" in line)
    identity = next(word for word in created.split() if word.startswith("request_id="))

    assert "study=watched" in created
    workers = "".join(worker.log.read_text() for worker in watched.system.workers)
    assert identity in workers


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://assay:hunter2secret@127.0.0.1:{port}/assay",
        "postgresql://assay:hunter2@secret@127.0.0.1:{port}/assay",
        "mysql://assay:hunter2secret@127.0.0.1:{port}/assay",
        "postgresql://assay:hunter2secret@127.0.0.1:hunter2secret/assay",
    ],
)
def test_no_password_of_a_database_is_logged(url: str, tmp_path: Any) -> None:
    """Neither while the database is waited for nor when its URL is of no use."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("ASSAY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.optimizer"],
        env=environment
        | {
            "ASSAY_DATABASE_URL": url.format(port=free_port()),
            "ASSAY_LISTEN_ADDRESS": "127.0.0.1:0",
            "ASSAY_LOG_LEVEL": "debug",
        },
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    # The first line tells of the trouble; a process that cannot go on ends by itself.
    first = process.stderr.readline()
    process.terminate()
    told = first + process.communicate(timeout=60)[1]

    assert told.strip()
    assert "hunter2" not in told
    assert "secret@" not in told
