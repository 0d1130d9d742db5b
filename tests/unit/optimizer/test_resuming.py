"""Studies that go on: after a stop, a failure, an end whose limits were raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.common.errors import AssayError
from services.optimizer.core.records import StudyState
from services.optimizer.core.study.digest import trials_digest
from services.optimizer.core.study.limits import Limits
from tests.unit.optimizer.in_memory import (
    pending,
    timeless,
)
from tests.unit.optimizer.process import PLAN, Process, process, reason


async def test_a_stopped_study_resumes_as_if_it_had_never_stopped() -> None:
    """Same trials, same digest; the watcher of its second life sees it end."""
    async with process() as whole:
        await whole.begin()
        await whole.watched()
    async with process() as one:
        hang = asyncio.Event()
        one.workers.hang = hang
        await one.begin()
        await one.workers.called.wait()
        stopping = await one.supervisor.stop("one")
        again = await one.supervisor.stop("one")
        hang.set()
        first_life = await one.watched()
        stopped = one.store.records["one"]
        still = await one.supervisor.stop("one")
        resumed = await one.supervisor.resume("one")
        second_life = await one.watched(after=len(first_life))

    assert (stopping.state, again.state) == (StudyState.STOPPING, StudyState.STOPPING)
    assert first_life[-1] == {"end": "STOPPED"}
    assert stopped.trials_digest == trials_digest(one.store.kept["one"][:4])
    assert still.state is StudyState.STOPPED
    assert resumed.state is StudyState.PENDING
    assert (resumed.trials_digest, resumed.end_time_ms, resumed.outcome) == ("", None, b"")
    assert second_life[0] == {"state": "PENDING"}
    assert second_life[-1] == {"end": "SUCCEEDED"}
    assert timeless(one.store.kept["one"]) == timeless(whole.store.kept["one"])
    assert one.store.records["one"].start_time_ms == stopped.start_time_ms


async def test_a_succeeded_study_resumes_once_its_limits_leave_something_to_do() -> None:
    """With the trials it would have had at once."""
    async with process() as one:
        await one.store.create(replace(pending(), limits=Limits(6)), PLAN.shape)
        one.supervisor.wake()
        first_life = await one.watched()
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")
        await one.supervisor.set_limits("one", Limits(12))
        await one.supervisor.resume("one")
        await one.watched(after=len(first_life))
        await one.begin("whole")
        await one.watched("whole")

    assert reason(refused) == "STUDY_STATE_WRONG"
    assert timeless(one.store.kept["one"]) == timeless(one.store.kept["whole"])
    assert one.store.records["one"].stop_reason == "TRIAL_COUNT"
    assert one.store.records["one"].trials_digest == one.store.records["whole"].trials_digest


async def test_a_study_that_a_rule_has_ended_resumes_once_its_limits_have_changed() -> None:
    """Under the same ones it would end again at once: nothing is left to do."""
    impatient = Limits(12, patience_trial_count=1)
    async with process() as one:
        await one.store.create(replace(pending(), limits=impatient), PLAN.shape)
        one.supervisor.wake()
        first_life = await one.watched()
        ended = one.store.records["one"]
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")
        await one.supervisor.set_limits("one", Limits(12))
        await one.supervisor.resume("one")
        await one.watched(after=len(first_life))

    assert ended.stop_reason == "PATIENCE"
    assert reason(refused) == "STUDY_STATE_WRONG"
    assert one.store.records["one"].stop_reason == "TRIAL_COUNT"


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (StudyState.SUCCEEDED, "STUDY_STATE_WRONG"),
        (StudyState.STOPPING, "STUDY_STATE_WRONG"),
    ],
)
async def test_what_cannot_be_resumed_is_refused(state: StudyState, wanted: str) -> None:
    """Finished studies and those still stopping."""
    async with process() as one:
        await one.store.create(replace(pending(), state=state), PLAN.shape)
        with pytest.raises(AssayError) as refused:
            await one.supervisor.resume("one")

    assert reason(refused) == wanted


async def test_resuming_a_running_study_leaves_it_alone() -> None:
    """It is the same life that goes on."""
    async with process() as one:
        one.workers.hang = asyncio.Event()
        await one.begin()
        await one.workers.called.wait()
        resumed = await one.supervisor.resume("one")
        one.workers.hang.set()
        events = await one.watched()

    assert resumed.state is StudyState.RUNNING
    assert {"state": "PENDING"} not in events


@asynccontextmanager
async def stopped() -> AsyncIterator[Process]:
    """Run a process with a study that was stopped before its first generation."""
    async with process() as one:
        await one.store.create(replace(pending(), state=StudyState.STOPPED), PLAN.shape)
        yield one


async def test_a_resume_whose_caller_has_gone_takes_place() -> None:
    """Whoever asks next finds the study running, not waiting for nobody."""
    async with stopped() as one:
        one.store.gate.clear()
        resuming = asyncio.ensure_future(one.supervisor.resume("one"))
        await asyncio.sleep(0)
        resuming.cancel()
        one.store.gate.set()
        await asyncio.wait({resuming})
        events = await one.watched()

    assert events[-1] == {"end": "SUCCEEDED"}


async def test_a_resume_whose_answer_was_lost_takes_place_when_somebody_asks() -> None:
    """The store keeps PENDING without the service hearing of it."""
    async with stopped() as one:
        one.store.lost_answers = 1
        with pytest.raises(AssayError, match="answer lost"):
            await one.supervisor.resume("one")
        assert one.state() is StudyState.PENDING
        await one.supervisor.record("one")
        await one.watched()

    assert one.state() is StudyState.SUCCEEDED
