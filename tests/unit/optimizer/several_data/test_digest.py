"""The digest covers what each of several data says."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest

from services.optimizer.core.study.digest import trials_digest
from services.optimizer.core.trial import DatasetResult, Outcome, Trial, TrialState

RESULTS = (
    DatasetResult((0.5,), feasible=True, metrics={"sqn": 0.5}),
    DatasetResult((), undefined={"sqn": 3}, failure_reason="OBJECTIVE_UNDEFINED"),
)
TRIAL = Trial(
    number=1,
    generation_number=0,
    parameters={"n": 2},
    state=TrialState.FAILED,
    objective_values=(),
    constraint_values=(),
    feasible=False,
    outcome=Outcome(dataset_results=RESULTS),
    start_time_ms=0,
    end_time_ms=1,
)


def test_the_bytes_are_those_documented() -> None:
    """Written down once more, by hand."""
    wanted = struct.pack("<QBBI", 1, 2, 1, 1)
    wanted += struct.pack("<I", 1) + b"n" + b"i" + struct.pack("<q", 2)
    wanted += struct.pack("<I", 0)
    name = struct.pack("<I", 3) + b"sqn"
    wanted += b"\0" + struct.pack("<I", 1) + name + b"v" + struct.pack("<d", 0.5)
    wanted += b"\1" + struct.pack("<I", 1) + name + b"u" + struct.pack("<I", 3)
    assert trials_digest([TRIAL]) == hashlib.sha256(wanted).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        RESULTS[::-1],
        RESULTS[:1],
        (replace(RESULTS[0], metrics={"sqn": 0.5000000000000001}), RESULTS[1]),
        (replace(RESULTS[0], feasible=False), RESULTS[1]),
    ],
)
def test_any_change_of_one_shows(changed: tuple[DatasetResult, ...]) -> None:
    """Order, number, bits and feasibility."""
    other = replace(TRIAL, outcome=Outcome(dataset_results=changed))
    assert trials_digest([other]) != trials_digest([TRIAL])
