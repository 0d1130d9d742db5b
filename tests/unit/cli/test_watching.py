"""Watching a study over lost connections, and what its end means to the shell."""

# The stand-ins' methods are named and described by the contracts.
# ruff: noqa: N802, D102

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc as rpc
from assay.optimizer.v1.study_pb2 import (
    GenerationFinished,
    StateChanged,
    Study,
    StudyEvent,
    StudyProgress,
)

NAME = "studies/s"
SPEC = "strategy: {name: strategies/x}\nobjectives: [{metric: sharpe_ratio}]\ngrid: {}\n"


def generation(number: int) -> StudyEvent:
    """Return the event of a finished generation of ten trials of a hundred."""
    progress = StudyProgress(total_trial_count=100, finished_trial_count=10 * number)
    return StudyEvent(
        number=number,
        generation_finished=GenerationFinished(generation_number=number - 1, progress=progress),
    )


def ending(number: int, state: Study.State.ValueType) -> StudyEvent:
    """Return the event that ends a study."""
    return StudyEvent(number=number, study_finished=Study(name=NAME, state=state))


class Optimizer(rpc.OptimizerServiceServicer):
    """An optimizer that tells a study's events and loses the connection after some of them."""

    def __init__(self, events: list[StudyEvent], drop_after: tuple[int, ...] = ()) -> None:
        self.events = events
        self.drops = list(drop_after)
        self.watched_after: list[int] = []
        self.created: list[pb.CreateStudyRequest] = []

    async def CreateStudy(self, request: pb.CreateStudyRequest, context: Any) -> Any:
        self.created.append(request)
        return pb.CreateStudyResponse(study=Study(name=NAME, spec=request.spec))

    async def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:
        state = self.events[-1].study_finished.state
        return pb.GetStudyResponse(study=Study(name=request.name, state=state))

    async def WatchStudy(
        self, request: pb.WatchStudyRequest, context: Any
    ) -> AsyncIterator[pb.WatchStudyResponse]:
        self.watched_after.append(request.after_event_number)
        for event in self.events[request.after_event_number :]:
            yield pb.WatchStudyResponse(event=event)
            if self.drops and self.drops[0] == event.number:
                self.drops.pop(0)
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            if event.HasField("study_finished"):
                return


@pytest.fixture
def study_file(tmp_path: Path) -> str:
    """Return the path of a small study file."""
    file = tmp_path / "study.yaml"
    file.write_text(SPEC)
    return str(file)


async def test_a_lost_stream_goes_on_after_the_last_event(
    assay: Any, stand_in: Any, study_file: str
) -> None:
    """Every event is seen once, in order, though the connection is lost twice."""
    events = [generation(1), generation(2), generation(3), ending(4, Study.STATE_SUCCEEDED)]
    servicer = Optimizer(events, drop_after=(1, 3))
    await stand_in("optimizer", servicer)

    outcome = await assay("study", "create", study_file, "--id", "s", "--watch", "--json")

    created, *lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.status == 0, outcome.err
    assert created["study"]["name"] == NAME
    assert [line["event"]["number"] for line in lines] == ["1", "2", "3", "4"]
    assert servicer.watched_after == [0, 1, 3]
    assert servicer.created[0].study_id == "s"


async def test_progress_and_loss_are_told_in_plain_lines(assay: Any, stand_in: Any) -> None:
    """A log shows how far the study is and that the optimizer was lost."""
    events = [generation(1), generation(5), ending(3, Study.STATE_SUCCEEDED)]
    events[1].number = 2
    await stand_in("optimizer", Optimizer(events, drop_after=(1,)))

    outcome = await assay("study", "watch", "s")

    assert outcome.status == 0, outcome.err
    assert outcome.err.splitlines() == [
        "studies/s: 10 of 100 trials, no feasible trial yet",
        "lost the optimizer; trying to reach it again",
        "studies/s: 50 of 100 trials, no feasible trial yet",
    ]
    assert "succeeded" in outcome.out


@pytest.mark.parametrize(
    ("state", "status"),
    [(Study.STATE_SUCCEEDED, 0), (Study.STATE_STOPPED, 0), (Study.STATE_FAILED, 1)],
)
async def test_only_a_failed_study_fails_the_command(
    assay: Any, stand_in: Any, state: Study.State.ValueType, status: int
) -> None:
    """A stopped study ended as somebody wished."""
    await stand_in("optimizer", Optimizer([ending(1, state)]))

    assert (await assay("study", "watch", "studies/s")).status == status


async def test_the_end_of_an_earlier_run_is_not_the_end(assay: Any, stand_in: Any) -> None:
    """A study that was stopped and resumed is watched to its last end."""
    stopped = ending(1, Study.STATE_STOPPED)
    running = StudyEvent(number=2, state_changed=StateChanged(state=Study.STATE_RUNNING))
    servicer = Optimizer([stopped, running, ending(3, Study.STATE_SUCCEEDED)])

    class Resumed(Optimizer):
        async def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:
            return pb.GetStudyResponse(study=Study(name=NAME, state=Study.STATE_RUNNING))

    resumed = Resumed(servicer.events)
    await stand_in("optimizer", resumed)

    outcome = await assay("study", "watch", "s")

    assert outcome.status == 0
    assert resumed.watched_after == [0, 1]
    assert "succeeded" in outcome.out


async def test_validation_stores_and_watches_nothing(
    assay: Any, stand_in: Any, study_file: str
) -> None:
    """With --validate-only there is nothing to watch."""
    servicer = Optimizer([])
    await stand_in("optimizer", servicer)

    outcome = await assay("study", "create", study_file, "--validate-only", "--watch")

    assert outcome.status == 0, outcome.err
    assert servicer.created[0].validate_only
    assert servicer.watched_after == []
    assert "nothing was stored" in outcome.out
