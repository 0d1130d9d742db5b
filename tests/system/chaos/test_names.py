"""A name that means other machines than before: the workers have moved.

Names are told by a file of hosts that only the optimizer sees, in a mount namespace of its own;
that takes root.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from assay.optimizer.v1 import study_pb2

from tests.system.chaos.conftest import assert_whole

NAME = "workers.test"
OLD_HOST, NEW_HOST = "127.0.0.2", "127.0.0.3"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a mount namespace takes root and unshare",
)


def test_workers_that_move_are_found_by_their_name(
    start_system: Any, spec: dict[str, Any], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """The only worker ends in the middle of a study; its name leads to another one from then on."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{OLD_HOST} {NAME}\n")
    mounted = f"mount --bind {hosts} /etc/hosts && exec {sys.executable} -m services.optimizer"
    system = start_system(
        workers=1,
        worker_host=OLD_HOST,
        reach=lambda addresses: f"dns:///{NAME}:{addresses[0].rpartition(':')[2]}",
        optimizer_command=["unshare", "--mount", "sh", "-c", mounted],
    )
    old = system.workers[0]
    moved = replace(old, host=NEW_HOST, running=None)

    def move(event: study_pb2.StudyEvent) -> None:
        if event.generation_finished.generation_number == 3 and moved.running is None:
            moved.start()
            moved.wait_until_serving()
            hosts.write_text(f"127.0.0.1 localhost\n{NEW_HOST} {NAME}\n")
            old.send(signal.SIGKILL)

    try:
        study = system.watch(system.create("moved", spec).name, move)
        assert_whole(system, study, undisturbed)
    finally:
        if moved.running is not None:
            moved.send(signal.SIGKILL)
