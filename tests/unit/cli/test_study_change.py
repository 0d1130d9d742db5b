"""Limits, reruns, files and the ledger on the command line, against a stand-in optimizer."""

# ruff: noqa: N802, D102 - the contract gives the names

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc as rpc
from assay.optimizer.v1.study_pb2 import (
    LedgerEntry,
    StopRule,
    Study,
    StudyLimits,
    StudyProgress,
)
from google.protobuf.duration_pb2 import Duration

from cli.failures import BadUsageError
from cli.study_change import duration
from services.common.errors import AssayError, Code

OLD = StopRule(max_duration=Duration(seconds=60), patience_trial_count=9)


class Optimizer(rpc.OptimizerServiceServicer):
    """Has one study, of which it remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.breaks = False

    def _study(self, limits: StudyLimits) -> Study:
        return Study(
            name="studies/one",
            state=Study.STATE_STOPPED,
            limits=limits,
            progress=StudyProgress(finished_trial_count=40, total_trial_count=100),
        )

    async def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:
        limits = StudyLimits(trial_count=100, stop_rule=OLD)
        return pb.GetStudyResponse(study=self._study(limits))

    async def UpdateStudyLimits(self, request: pb.UpdateStudyLimitsRequest, context: Any) -> Any:
        self.asked.append(request)
        limits = StudyLimits(trial_count=request.trial_count, stop_rule=request.stop_rule)
        return pb.UpdateStudyLimitsResponse(study=self._study(limits))

    async def CreateStudy(self, request: pb.CreateStudyRequest, context: Any) -> Any:
        self.asked.append(request)
        return pb.CreateStudyResponse(study=Study(name="studies/two"))

    async def StopStudy(self, request: pb.StopStudyRequest, context: Any) -> Any:
        return pb.StopStudyResponse(study=Study(state=Study.STATE_STOPPING))

    async def ExportTrials(
        self, request: pb.ExportTrialsRequest, context: Any
    ) -> AsyncIterator[pb.ExportTrialsResponse]:
        self.asked.append(request)
        yield pb.ExportTrialsResponse(chunk=b"number\n")
        if self.breaks:
            raise AssayError(Code.NOT_FOUND, "STUDY_UNKNOWN", "gone")
        yield pb.ExportTrialsResponse(chunk=b"0\n")

    async def ListLedgerEntries(self, request: pb.ListLedgerEntriesRequest, context: Any) -> Any:
        self.asked.append(request)
        entry = LedgerEntry(dataset="datasets/x", strategy="strategies/y", trial_count=1234)
        return pb.ListLedgerEntriesResponse(entries=[entry])


@pytest.fixture
async def optimizer(stand_in: Any) -> Optimizer:
    """Serve the stand-in."""
    servicer = Optimizer()
    await stand_in("optimizer", servicer)
    return servicer


async def test_limits_given_are_laid_over_those_of_now(assay: Any, optimizer: Optimizer) -> None:
    """What is not given stays, "none" turns a rule off."""
    outcome = await assay(
        *("study", "limits", "one", "--trials", "200", "--max-duration", "2h"),
        *("--patience", "none", "--target", "-1.5"),
    )
    (asked,) = optimizer.asked

    assert outcome.status == 0, outcome.err
    assert asked == pb.UpdateStudyLimitsRequest(
        name="studies/one",
        trial_count=200,
        stop_rule=StopRule(max_duration=Duration(seconds=7200), target_value=-1.5),
    )
    assert "40 of 200" in outcome.out
    assert "after 2 h 0 min, or once the objective reaches -1.5" in outcome.out


async def test_without_options_limits_are_shown(assay: Any, optimizer: Optimizer) -> None:
    """And a number of trials alone leaves the rule alone."""
    shown = await assay("study", "limits", "one")
    await assay("study", "limits", "one", "--trials", "50")

    assert "after 1 min 0 s, or after 9 trials without a new best" in shown.out
    assert optimizer.asked == [pb.UpdateStudyLimitsRequest(name="studies/one", trial_count=50)]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86_400)]
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    """Seconds without one."""
    assert duration(text).ToSeconds() == seconds


@pytest.mark.parametrize("text", ["", "h", "soon", "1w", "1e300d", "nan"])
def test_what_is_no_duration_is_bad_usage(text: str) -> None:
    """Nothing is sent."""
    with pytest.raises(BadUsageError):
        duration(text)


async def test_a_rerun_names_the_study_and_nothing_else(assay: Any, optimizer: Optimizer) -> None:
    """The spec is the stored one."""
    outcome = await assay("study", "rerun", "one", "--study-id", "two")

    assert outcome.out == "created studies/two\n"
    assert optimizer.asked == [pb.CreateStudyRequest(study_id="two", rerun_of="studies/one")]


async def test_pausing_is_stopping(assay: Any, optimizer: Optimizer) -> None:
    """Under a name that says that it can go on."""
    outcome = await assay("study", "pause", "one")

    assert outcome.out == "studies/one is stopping\n"


def left_in(folder: Path) -> list[Path]:
    """Return what is in a folder."""
    return list(folder.iterdir())


async def test_a_file_is_there_only_when_it_is_whole(
    assay: Any, optimizer: Optimizer, tmp_path: Path
) -> None:
    """A stream that breaks leaves nothing behind."""
    file = tmp_path / "trials.jsonl"
    words = ("study", "export", "one", "--format", "jsonl", "--output", str(file))
    whole = await assay(*words)
    written = file.read_bytes()
    file.unlink()
    optimizer.breaks = True
    broken = await assay(*words)

    assert (whole.status, broken.status) == (0, 1)
    assert written == b"number\n0\n"
    assert left_in(tmp_path) == []
    assert optimizer.asked[0] == pb.ExportTrialsRequest(
        parent="studies/one", format=pb.ExportTrialsRequest.FORMAT_JSON_LINES
    )


async def test_a_file_that_cannot_be_written_is_bad_usage(
    assay: Any, optimizer: Optimizer, tmp_path: Path
) -> None:
    """And says why."""
    outcome = await assay("study", "export", "one", "-o", str(tmp_path / "no" / "file.csv"))

    assert outcome.status == 2
    assert "No such file or directory" in outcome.err


async def test_the_ledger_is_listed_for_a_dataset_and_a_strategy(
    assay: Any, optimizer: Optimizer
) -> None:
    """Names may be short."""
    outcome = await assay("ledger", "list", "--dataset", "x", "--strategy", "y")
    await assay("ledger", "list", "--json")

    assert outcome.status == 0, outcome.err
    assert "1,234" in outcome.out
    assert (optimizer.asked[0].dataset, optimizer.asked[0].strategy) == (
        "datasets/x",
        "strategies/y",
    )
    assert (optimizer.asked[1].dataset, optimizer.asked[1].strategy) == ("", "")
