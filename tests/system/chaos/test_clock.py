"""Wall clocks that jump: leases are the database's, waits are monotonic, trials know no time."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from assay.optimizer.v1 import study_pb2

from tests.system.chaos import jumping_clock
from tests.system.chaos.conftest import assert_whole


def test_a_clock_that_jumps_changes_no_trial(
    start_optimizer: Any, spec: dict[str, Any], undisturbed: dict[str, str]
) -> None:
    """The owner's clock goes an hour ahead, then two back, while the other replica looks on."""
    command = [sys.executable, str(Path(jumping_clock.__file__)), "services.optimizer"]
    system = start_optimizer(workers=1, optimizers=2, lease_seconds="2", optimizer_command=command)
    jumps = {3: [signal.SIGUSR1], 9: [signal.SIGUSR2, signal.SIGUSR2]}
    name = system.create("jumped", spec).name

    def jump(event: study_pb2.StudyEvent) -> None:
        for number in jumps.pop(event.generation_finished.generation_number, []):
            for replica in system.optimizers:
                replica.running.send_signal(number)

    study = system.watch(name, jump)

    assert not jumps
    assert_whole(system, study, undisturbed)
