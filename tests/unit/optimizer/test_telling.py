"""How far studies are told to be, orders kept for paging, and earlier studies, on any replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import AssayError
from services.optimizer.convert.defaults import with_defaults
from services.optimizer.convert.events import MessageWriter
from services.optimizer.convert.specs import plan_of
from services.optimizer.core.analysis.trial_order import TrialOrder
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study.events import GenerationReport
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Outcome, Trial, TrialState
from services.optimizer.servicer.earlier_studies import EarlierStudies
from services.optimizer.servicer.study_messages import StudyMessages
from services.optimizer.servicer.trial_numbers import TrialNumbers
from tests.unit.optimizer.memory_store import MemoryStore

WRITER = MessageWriter()
SPEC: dict[str, Any] = {
    "parameters": [{"name": "fast", "int_range": {"low": 0, "high": 99}}],
    "constraints": ["trade_count >= 5"],
    "objectives": [{"metric": "sharpe_ratio"}],
    "bayesian": {"trial_count": 100},
    "seed": 1,
}
TWO = [{"metric": "sharpe_ratio"}, {"metric": "max_drawdown_ratio"}]


def spec(**changes: Any) -> study_pb2.StudySpec:
    """Return the spec with changes and defaults."""
    return with_defaults(json_format.ParseDict({**SPEC, **changes}, study_pb2.StudySpec()), seed=1)


def record(study_id: str = "one", **changes: Any) -> StudyRecord:
    """Return the record of a study that runs somewhere."""
    written = changes.pop("spec", None) or spec()
    plain = StudyRecord(
        study_id, "", "", StudyState.RUNNING, written.SerializeToString(), 7, limits=Limits(100)
    )
    return replace(plain, **{"start_time_ms": 8, "owner": "elsewhere", **changes})


def trial(number: int, *values: float, state: TrialState = TrialState.COMPLETE) -> Trial:
    """Return a trial whose parameter is its number."""
    metrics = {"sharpe_ratio": values[0] if values else 0.0, "trade_count": float(number)}
    return Trial(
        number, 0, {"fast": number}, state, values, (), bool(values), Outcome(metrics), 0, 0
    )


class Store(MemoryStore):
    """Counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.event_reads = 0
        self.table_reads = 0

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events."""
        self.event_reads += 1
        return await super().events(study_id, after_number, limit)

    async def table(self, study_id: str, metrics: Sequence[str] = ()) -> TrialTable:
        """Return columns."""
        self.table_reads += 1
        return await super().table(study_id, metrics)


class Elsewhere:
    """A supervisor of a replica where nothing lives."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def outcome(self, study_id: str) -> None:
        """Return nothing: it does not live here."""

    async def record(self, study_id: str) -> StudyRecord:
        """Return a study."""
        found = await self._store.get(study_id)
        assert found is not None
        return found


def generation(number: int, best: Sequence[Trial] = ()) -> bytes:
    """Return the event of a finished generation of 8."""
    progress = Progress(50, finished_trial_count=8 * (number + 1), pruned_trial_count=number)
    return WRITER.generation_finished(
        GenerationReport("one", number, progress, best=best, improved=False, time_ms=5)
    )


def messages_of(store: MemoryStore) -> StudyMessages:
    """Return the teller of a replica where nothing lives."""
    supervisor: Any = Elsewhere(store)
    return StudyMessages(store, supervisor, TrialNumbers(store))


@pytest.mark.parametrize("after", [0, 1, 7, 8, 9, 30])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 100, 129])
async def test_a_study_that_runs_elsewhere_is_as_far_as_its_last_generation(
    count: int, after: int
) -> None:
    """However long its log, and whatever came after; asking again costs a few reads."""
    store = Store()
    store.records["one"] = record()
    changed = WRITER.state_changed(StudyState.STOPPING, 6)
    store.log["one"] = [generation(n, [trial(3, 1.0)]) for n in range(count)] + [changed] * after
    messages = messages_of(store)
    told = await messages.study(store.records["one"])
    first_reads, store.event_reads = store.event_reads, 0
    again = await messages.study(store.records["one"])

    assert told == again
    assert told.progress.finished_trial_count == 8 * count
    assert told.progress.pruned_trial_count == count - 1
    assert told.progress.total_trial_count == max(100, 8 * count)
    assert list(told.best_trials) == ["studies/one/trials/3"]
    assert (told.owner, told.limits.trial_count) == ("elsewhere", 100)
    assert first_reads <= 25
    assert store.event_reads <= 3 + after // 8
    assert await messages.finished_count(store.records["one"]) == 8 * count


async def test_a_study_without_generations_has_no_progress() -> None:
    """Whether it has begun or not."""
    store = Store()
    store.records["one"] = record()
    store.log["one"] = [WRITER.state_changed(StudyState.RUNNING, 6)]
    begun = await messages_of(store).study(store.records["one"])
    waiting = await messages_of(store).study(record(start_time_ms=None, owner=""))

    assert begun.progress.finished_trial_count == waiting.progress.finished_trial_count == 0
    assert begun.progress.total_trial_count == waiting.progress.total_trial_count == 100


async def test_a_study_that_has_ended_meanwhile_tells_its_end() -> None:
    """The record that ended it has its outcome."""
    store = Store()
    progress, limits = Progress(100, finished_trial_count=100), Limits(100)
    outcome = WRITER.outcome("one", progress, [trial(2, 1.0)], limits)
    assert WRITER.ended_under(outcome) == limits
    assert WRITER.ended_under(b"") is None
    store.records["one"] = record(state=StudyState.SUCCEEDED, outcome=outcome, stop_reason="TARGET")
    told = await messages_of(store).study(record())

    assert (told.state, told.stop_reason) == (study_pb2.Study.STATE_SUCCEEDED, "TARGET")
    assert told.progress.finished_trial_count == 100


async def test_the_whole_front_of_several_objectives_is_told_elsewhere() -> None:
    """The event has only its first trial."""
    store = Store()
    store.records["one"] = record(spec=spec(objectives=TWO))
    store.kept["one"] = [trial(0, 1.0, 3.0), trial(1, 0.0, 0.0), trial(2, 3.0, 1.0)]
    store.log["one"] = [generation(0, [store.kept["one"][0], store.kept["one"][2]])]
    told = await messages_of(store).study(store.records["one"])

    assert list(told.best_trials) == ["studies/one/trials/0", "studies/one/trials/2"]


async def test_paging_reads_a_study_once() -> None:
    """Until it has more trials, or is another one; the orders used longest ago go first."""
    store = Store()
    store.kept["one"] = [trial(n, float(n % 5)) for n in range(20)]
    numbers, order = TrialNumbers(store, capacity=2), TrialOrder("sharpe_ratio", falling=True)
    first = await numbers.ordered(record(), 20, order, None)
    for _ in range(3):
        assert await numbers.ordered(record(), 20, order, None) is first
    assert store.table_reads == 1
    assert first[:4].tolist() == [4, 9, 14, 19]
    await numbers.ordered(record(), 21, order, None)
    await numbers.ordered(record(create_time_ms=9), 21, order, None)
    assert store.table_reads == 3
    await numbers.ordered(record(), 20, order, None)
    assert store.table_reads == 4
    found = await numbers.trials("one", np.array([4, 0]))
    assert [one.number for one in found] == [4, 0]


def earlier(study_id: str, **changes: Any) -> StudyRecord:
    """Return an ended study."""
    return record(
        study_id, state=StudyState.STOPPED, trials_digest=study_id[0] * 64, outcome=b"x", **changes
    )


async def test_only_ended_studies_that_fit_are_learnt_from() -> None:
    """Everything else is told at its place."""
    store = Store()
    other = spec(objectives=TWO)
    store.records = {
        "a": earlier("a"),
        "b": earlier("b", spec=other),
        "c": record("c"),
        "d": earlier("d"),
    }
    wanted = spec(
        warm_start={
            "studies": [f"studies/{name}" for name in "abcdx"] + ["nonsense"],
            "trials_digests": ["a" * 64, "b" * 64, "c" * 64, "e" * 64],
        }
    )
    found = await EarlierStudies(store).violations(wanted)

    assert {one.field.removeprefix("spec.warm_start."): one.description for one in found} == {
        "studies[1]": "studies/b has other objectives",
        "studies[2]": "is RUNNING: only ended studies can be learnt from",
        "trials_digests[3]": f"differs: the trials of studies/d have {'d' * 64}",
        "studies[4]": "no study is called 'studies/x'",
    }


async def test_the_best_of_each_study_are_learnt_in_order() -> None:
    """Renumbered, judged by the constraints of now, those outside the ranges left out."""
    store = Store()
    store.records = {"a": earlier("a"), "b": earlier("b")}
    store.kept["a"] = [trial(n, float(n)) for n in range(1200)]
    store.kept["b"] = [trial(0, state=TrialState.FAILED), trial(1, 5.0)]
    wanted = spec(warm_start={"studies": ["studies/a", "studies/b"], "trial_limit": 3})
    studies = EarlierStudies(store)
    await studies.pin(wanted)
    priors = await studies.priors(wanted, plan_of(wanted))

    assert list(wanted.warm_start.trials_digests) == ["a" * 64, "b" * 64]
    assert [one.number for one in priors] == [0, 1, 2, 3]
    assert [one.parameters["fast"] for one in priors] == [97, 98, 99, 1]
    assert [one.feasible for one in priors] == [True, True, True, False]


async def test_a_study_that_changes_while_it_is_learnt_refuses_the_new_one() -> None:
    """What was pinned must be what was read."""
    store = Store()
    store.records = {"a": earlier("a")}
    store.kept["a"] = [trial(1, 5.0)]
    wanted = spec(warm_start={"studies": ["studies/a"]})
    studies = EarlierStudies(store)
    await studies.pin(wanted)
    store.records["a"] = record("a", trials_digest="")

    with pytest.raises(AssayError, match="was changed while"):
        await studies.priors(wanted, plan_of(wanted))
