"""Studies as messages, with how far they are: here, in another replica, or at rest."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.studies import (
    MOST_BEST_TRIALS,
    outcome_message,
    study_message,
    trial_name,
)
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.supervisor import Supervisor
from services.optimizer.core.study.tally import Progress
from services.optimizer.servicer.plans import plan_of_record
from services.optimizer.servicer.trial_numbers import TrialNumbers

_LAST_EVENTS: Final = 8
"""Events read at once, from the last one back."""

_REMEMBERED_STUDIES: Final = 1_024


class StudyMessages:
    """Tells studies as they are now."""

    def __init__(self, store: StudyStore, supervisor: Supervisor, numbers: TrialNumbers) -> None:
        self._store = store
        self._supervisor = supervisor
        self._numbers = numbers
        # How many events a study is known to have, at least.
        self._event_counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def study(self, record: StudyRecord) -> study_pb2.Study:
        """Return a study as a message.

        An ended study has its outcome in its record; one that runs here is asked; of one that runs
        in another replica, or is being taken up here, the event of its last stored generation
        tells.
        """
        if record.outcome:
            return study_message(record, study_pb2.Study.FromString(record.outcome))
        here = self._supervisor.outcome(record.study_id)
        if here is not None:
            return study_message(record, outcome_message(record.study_id, *here))
        if record.start_time_ms is None:
            progress = Progress(record.limits.trial_count)
            return study_message(record, outcome_message(record.study_id, progress, ()))
        # It may have ended since the record was read: here, just now, or elsewhere.
        record = await self._supervisor.record(record.study_id)
        if record.outcome:
            return study_message(record, study_pb2.Study.FromString(record.outcome))
        return study_message(record, await self._last_told(record))

    async def finished_count(self, record: StudyRecord) -> int:
        """Return how many trials a study has."""
        return (await self.study(record)).progress.finished_trial_count

    async def _last_told(self, record: StudyRecord) -> study_pb2.Study:
        """Return a study that holds what its last stored generation tells, and nothing else."""
        told = await self._last_generation(record)
        if told is None:
            return outcome_message(record.study_id, Progress(record.limits.trial_count), ())
        outcome = study_pb2.Study(progress=told.progress)
        if told.HasField("best_trial"):
            outcome.best_trials.append(told.best_trial.name)
        if told.best_trial_count > 1:
            plan = await plan_of_record(record)
            finished = told.progress.finished_trial_count
            best = await self._numbers.best(record, finished, plan)
            outcome.best_trials[:] = [
                trial_name(record.study_id, number) for number in best[:MOST_BEST_TRIALS].tolist()
            ]
        return outcome

    async def _last_generation(self, record: StudyRecord) -> study_pb2.GenerationFinished | None:
        end = await self._event_count(record)
        while end > 0:
            first = max(end - _LAST_EVENTS, 0)
            found = await self._store.events(record.study_id, first, end - first)
            for _, event in reversed(found):
                message = study_pb2.StudyEvent.FromString(event)
                if message.HasField("generation_finished"):
                    return message.generation_finished
            end = first
        return None

    async def _event_count(self, record: StudyRecord) -> int:
        """Return how many events a study has: numbers have no holes, so bisection finds it."""
        key = (record.study_id, record.create_time_ms)
        known, step = self._event_counts.pop(key, 0), 1
        while await self._has_more(record.study_id, known + step - 1):
            known, step = known + step, 2 * step
        least, beyond = known, known + step
        while least + 1 < beyond:
            middle = (least + beyond) // 2
            if await self._has_more(record.study_id, middle - 1):
                least = middle
            else:
                beyond = middle
        self._event_counts[key] = least
        if len(self._event_counts) > _REMEMBERED_STUDIES:
            self._event_counts.popitem(last=False)
        return least

    async def _has_more(self, study_id: str, count: int) -> bool:
        """Tell whether a study has more events than so many."""
        return bool(await self._store.events(study_id, count, 1))
