"""`assay study run`, which a scheduler may start twice, against a stand-in optimizer."""

# ruff: noqa: N802, D102 - the contract gives the names

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc as rpc
from assay.optimizer.v1.study_pb2 import Study, StudyEvent

SPEC = """
data: [{dataset: datasets/synthetic.demo.1h}]
strategy: {name: strategies/ma_crossover}
objectives: [{metric: sharpe_ratio}]
grid: {}
seed: 1
"""


class Optimizer(rpc.OptimizerServiceServicer):
    """Has one study in a state, and ends it in another."""

    def __init__(self, state: Study.State.ValueType, end: Study.State.ValueType) -> None:
        self.state = state
        self.end = end
        self.created: list[pb.CreateStudyRequest] = []
        self.resumed: list[str] = []
        self.away_count = 0

    async def CreateStudy(self, request: pb.CreateStudyRequest, context: Any) -> Any:
        if self.away_count:
            self.away_count -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        self.created.append(request)
        return pb.CreateStudyResponse(study=Study(name="studies/s", state=self.state))

    async def ResumeStudy(self, request: pb.ResumeStudyRequest, context: Any) -> Any:
        self.resumed.append(request.name)
        return pb.ResumeStudyResponse(study=Study(name=request.name, state=Study.STATE_PENDING))

    async def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:
        return pb.GetStudyResponse(study=Study(name=request.name, state=self.end))

    async def WatchStudy(
        self, request: pb.WatchStudyRequest, context: Any
    ) -> AsyncIterator[pb.WatchStudyResponse]:
        finished = Study(name=request.name, state=self.end)
        yield pb.WatchStudyResponse(event=StudyEvent(number=1, study_finished=finished))


@pytest.fixture
def study_file(tmp_path: Path) -> str:
    """Return the path of a small study file."""
    file = tmp_path / "study.yaml"
    file.write_text(SPEC)
    return str(file)


async def test_the_same_file_and_id_are_one_request(
    assay: Any, stand_in: Any, study_file: str, tmp_path: Path
) -> None:
    """A second start gets the study of the first; another file or id is another request."""
    optimizer = Optimizer(Study.STATE_PENDING, Study.STATE_SUCCEEDED)
    await stand_in("optimizer", optimizer)
    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("seed: 1", "seed: 2"))

    for file, study_id in ((study_file, "s"), (study_file, "s"), (study_file, "t"), (other, "s")):
        outcome = await assay("study", "run", str(file), "--id", study_id)
        assert outcome.status == 0, outcome.err

    first, second, *rest = [request.request_id for request in optimizer.created]
    assert first == second
    assert len({first, *rest}) == 3
    assert [request.study_id for request in optimizer.created] == ["s", "s", "t", "s"]


@pytest.mark.parametrize(
    ("end", "status"),
    [(Study.STATE_SUCCEEDED, 0), (Study.STATE_STOPPED, 1), (Study.STATE_FAILED, 1)],
)
async def test_only_success_is_success(
    assay: Any, stand_in: Any, study_file: str, end: Study.State.ValueType, status: int
) -> None:
    """A scheduler must not count a stopped study as done."""
    await stand_in("optimizer", Optimizer(Study.STATE_RUNNING, end))

    assert (await assay("study", "run", study_file, "--id", "s")).status == status


@pytest.mark.parametrize(("options", "resumed"), [((), []), (("--resume-failed",), ["studies/s"])])
async def test_a_failed_study_goes_on_where_that_is_wished(
    assay: Any, stand_in: Any, study_file: str, options: tuple[str, ...], resumed: list[str]
) -> None:
    """A scheduler's second try takes up the trials of the first."""
    optimizer = Optimizer(Study.STATE_FAILED, Study.STATE_SUCCEEDED)
    await stand_in("optimizer", optimizer)

    await assay("study", "run", study_file, "--id", "s", *options)

    assert optimizer.resumed == resumed


async def test_a_stopped_study_stays_stopped(assay: Any, stand_in: Any, study_file: str) -> None:
    """Somebody wished it so; a scheduler does not overrule that."""
    optimizer = Optimizer(Study.STATE_STOPPED, Study.STATE_STOPPED)
    await stand_in("optimizer", optimizer)

    outcome = await assay("study", "run", study_file, "--id", "s", "--resume-failed")

    assert outcome.status == 1
    assert optimizer.resumed == []


async def test_an_optimizer_that_starts_later_is_waited_for(
    assay: Any, stand_in: Any, study_file: str
) -> None:
    """Jobs and services of a cluster start in any order."""
    optimizer = Optimizer(Study.STATE_PENDING, Study.STATE_SUCCEEDED)
    optimizer.away_count = 6
    await stand_in("optimizer", optimizer)

    outcome = await assay("study", "run", study_file, "--id", "s")

    assert outcome.status == 0, outcome.err
    assert len(optimizer.created) == 1


async def test_patience_ends(assay: Any, study_file: str) -> None:
    """An optimizer that is nowhere fails the command."""
    outcome = await assay("study", "run", study_file, "--id", "s", "--patience", "0")

    assert outcome.status == 1
    assert "cannot reach the optimizer" in outcome.err
