"""The loop of a study, against a store in memory and scripted workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.common.errors import AssayError, unavailable
from services.optimizer.core.ports import Search
from services.optimizer.core.records import StudyState
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.digest import trials_digest
from services.optimizer.core.study.evaluation import STOP_PATIENCE_SECONDS, Engagement
from services.optimizer.core.study.limits import StopReason
from services.optimizer.core.study.runner import Runner
from services.optimizer.core.trial import Point, Trial, TrialState
from tests.unit.optimizer.in_memory import (
    ScriptedWorkers,
    TextWriter,
    TickingClock,
    data_changed,
    make_plan,
    pending,
    search_of,
    timeless,
    words,
)
from tests.unit.optimizer.memory_store import MemoryStore

PLAN = make_plan(constraints=["trade_count >= 60"], trial_count=22)


class HistorySearch:
    """A search whose points depend on everything it was told, in order: the strictest witness."""

    def __init__(self) -> None:
        self.told: list[Trial] = []

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return points made of the digest of all told trials."""
        seed = int(trials_digest(timeless(self.told))[:8], 16) + generation_number
        return [
            {
                "fast_period": 5 * (1 + (seed + index) % 10),
                "slow_period": 20 * (1 + (seed // 7 + index) % 10),
            }
            for index in range(count)
        ]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember them."""
        self.told += trials


class Study:
    """A runner with all that it needs."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        workers: ScriptedWorkers | None = None,
        plan: StudyPlan = PLAN,
    ) -> None:
        self.store = store or MemoryStore()
        self.workers = workers or ScriptedWorkers()
        self.time = TickingClock()
        self.plan = plan
        self.runner = self.runner_of(HistorySearch())

    def runner_of(self, search: Search) -> Runner:
        """Claim the study and return a runner of it."""
        record = self.store.records.setdefault("one", pending())
        self.record = self.store.records["one"] = replace(
            record, lease_epoch=record.lease_epoch + 1, state=StudyState.RUNNING
        )
        return Runner(
            self.record,
            Engagement(self.plan, search, self.workers),
            self.store,
            TextWriter(),
            self.time.clock,
            lambda _: None,
        )

    async def finish(self) -> list[Trial]:
        """Load and run to the end; returns the stored trials."""
        await self.runner.load()
        assert await self.runner.run() is StopReason.TRIAL_COUNT
        return self.store.kept["one"]


async def test_a_study_has_exactly_its_trials() -> None:
    """22 trials in generations of 4: five whole ones and one of two."""
    study = Study()
    trials = await study.finish()

    assert [trial.number for trial in trials] == list(range(22))
    assert [trial.generation_number for trial in trials] == [n // 4 for n in range(22)]
    run = [trial for trial in trials if trial.reused_trial_number is None]
    assert sum(map(len, study.workers.calls)) == len(run)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAILED}


async def test_the_trials_do_not_depend_on_who_finishes_first() -> None:
    """Any order of completion, the same digest."""
    digests = set()
    for shuffle in range(8):
        study = Study(workers=ScriptedWorkers(shuffle))
        await study.finish()
        digests.add(study.runner.stored.digest.hexdigest())

    assert len(digests) == 1


@pytest.mark.parametrize("killed_after", range(6))
async def test_a_killed_study_goes_on_as_if_nothing_had_happened(killed_after: int) -> None:
    """After any generation: the search learns the stored trials again and proposes the same."""
    whole = Study()
    wanted = await whole.finish()
    store = MemoryStore()
    first = Study(store)
    await first.runner.load()
    task = asyncio.ensure_future(first.runner.run())

    def kill() -> None:
        if len(store.kept.get("one", [])) >= 4 * killed_after:
            task.cancel()

    store.appended = kill
    if killed_after == 0:
        kill()
    await asyncio.wait({task})
    assert task.cancelled()

    store.appended = lambda: None
    second = Study(store)
    trials = await second.finish()

    assert timeless(trials) == timeless(wanted)
    assert second.runner.stored.digest.hexdigest() == whole.runner.stored.digest.hexdigest()
    assert len(second.workers.calls) == 6 - killed_after
    events = [words(event) for event in store.log["one"]]
    assert [event["finished"] for event in events] == [4, 8, 12, 16, 20, 22]


async def test_an_outage_of_the_store_loses_nothing() -> None:
    """Results in hand are kept and stored when the store is back; nothing is evaluated twice."""
    wanted = await Study().finish()
    study = Study()
    await study.runner.load()
    study.store.outage = 7
    assert await study.runner.run() is StopReason.TRIAL_COUNT

    assert timeless(study.store.kept["one"]) == timeless(wanted)
    assert len(study.workers.calls) == 6
    assert study.time.slept == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0])


async def test_progress_counts_only_what_is_stored() -> None:
    """While a generation is being stored the study is not further than its trials."""
    study = Study()
    seen: list[int] = []
    study.store.appended = lambda: seen.append(study.runner.progress().finished_trial_count)
    await study.finish()

    assert seen == [0, 4, 8, 12, 16, 20]
    assert study.runner.progress().finished_trial_count == 22


async def test_workers_that_are_away_are_waited_for() -> None:
    """UNAVAILABLE is no failure of the study."""
    workers = ScriptedWorkers(failures=[unavailable("NO_WORKERS", "away")] * 3)
    study = Study(workers=workers)

    assert len(await study.finish()) == 22


async def test_a_refusal_of_the_workers_ends_the_study() -> None:
    """What was stored before stays."""
    study = Study()
    study.store.appended = lambda: study.workers.failures.append(data_changed())
    await study.runner.load()

    with pytest.raises(AssayError) as refused:
        await study.runner.run()
    assert refused.value.reason == "DATASET_CHANGED"
    assert len(study.store.kept["one"]) == 4
    assert study.runner.stored.finished == 4


async def test_a_stop_finishes_the_generation_in_hand() -> None:
    """And keeps it: what workers have run is stored, to the last trial."""
    study = Study()
    study.store.appended = study.runner.stop.set
    await study.runner.load()

    assert await study.runner.run() is None
    run = [one for one in study.store.kept["one"] if one.reused_trial_number is None]
    assert len(run) == sum(map(len, study.workers.calls))
    assert 4 <= len(study.store.kept["one"]) <= 8


async def test_a_stop_does_not_wait_for_ever_for_workers() -> None:
    """Without workers the generation in hand is given up; a resume asks it again."""
    study = Study(workers=ScriptedWorkers(hang=asyncio.Event()))
    await study.runner.load()
    task = asyncio.ensure_future(study.runner.run())
    await study.workers.called.wait()
    study.runner.stop.set()
    study.time.patience.set()

    assert not await task
    assert "one" not in study.store.kept
    assert study.time.slept == [STOP_PATIENCE_SECONDS]


async def test_events_tell_of_every_generation() -> None:
    """How far it is, which trials are best, and whether the best is new."""
    study = Study(plan=make_plan(trial_count=12))
    trials = await study.finish()
    events = [words(event) for event in study.store.log["one"]]

    assert [event["generation"] for event in events] == [0, 1, 2]
    for event, count in zip(events, (4, 8, 12), strict=True):
        feasible = [trial for trial in trials[:count] if trial.feasible]
        best = max(feasible, key=lambda one: (one.objective_values[0], -one.number))
        assert event["best"] == [best.number]
        assert event["improved"] == (best.number >= count - 4)


async def test_remaining_time_comes_from_the_pace_of_this_life() -> None:
    """Unknown before the first generation; zero at the end."""
    study = Study()
    await study.runner.load()
    assert study.runner.progress().remaining_ms is None
    await study.runner.run()

    done = study.runner.progress()
    assert done.remaining_ms == 0
    assert done.elapsed_ms > 0
    assert (done.total_trial_count, done.finished_generation_count) == (22, 6)
    assert done.failed_trial_count + done.infeasible_trial_count > 0


async def test_a_grid_finishes_every_point_once() -> None:
    """Through the loop, with the constraint of the example: 90 trials."""
    plan = make_plan(
        constraints=["fast_period < slow_period"], search=SearchKind.GRID, generation_size=32
    )
    study = Study(plan=plan)
    study.runner = study.runner_of(search_of(plan))
    trials = await study.finish()

    assert len({tuple(trial.parameters.values()) for trial in trials}) == len(trials) == 90


async def test_a_search_that_gives_too_few_points_is_a_defect() -> None:
    """It must not run for ever, nor end with fewer trials."""
    plan = make_plan(search=SearchKind.GRID)
    runner = Study(plan=make_plan(trial_count=101)).runner_of(search_of(plan))
    await runner.load()

    with pytest.raises(RuntimeError, match="0 points, not 1"):
        await runner.run()
