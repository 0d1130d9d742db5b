"""Earlier studies a new one learns from: whether it can, and their trials."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from assay.optimizer.v1 import study_pb2

from services.common.errors import Violation, refuse
from services.optimizer.convert.requests import name_violations
from services.optimizer.convert.specs import draft_of
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.warm_start import misfits, numbers_to_learn, prior_of
from services.optimizer.core.study.lifecycle import FINAL_STATES
from services.optimizer.core.trial import Trial
from services.optimizer.servicer.plans import plan_of_record

_MOST_STUDIES: Final = 10
_TRIALS_AT_ONCE: Final = 500
_PATH: Final = "spec.warm_start"


class EarlierStudies:
    """Reads the studies of a warm start."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    async def violations(self, spec: study_pb2.StudySpec) -> list[Violation]:
        """Return why the studies of a spec cannot be learnt from; pins nothing.

        Names that are none are told elsewhere.
        """
        found: list[Violation] = []
        draft, digests = draft_of(spec), spec.warm_start.trials_digests
        for index, name in enumerate(spec.warm_start.studies[:_MOST_STUDIES]):
            path = f"{_PATH}.studies[{index}]"
            if any(name_violations(path, name)):
                continue
            record = await self._store.get(name.removeprefix("studies/"))
            if record is None:
                found.append(Violation(path, f"no study is called {name!r}"))
            elif record.state not in FINAL_STATES or not record.trials_digest:
                told = f"is {record.state.name}: only ended studies can be learnt from"
                found.append(Violation(path, told))
            else:
                earlier = await plan_of_record(record)
                found += [Violation(path, f"{name} {told}") for told in misfits(draft, earlier)]
                given = digests[index] if index < len(digests) else ""
                if given and given != record.trials_digest:
                    told = f"differs: the trials of {name} have {record.trials_digest}"
                    found.append(Violation(f"{_PATH}.trials_digests[{index}]", told))
        return found

    async def pin(self, spec: study_pb2.StudySpec) -> None:
        """Write the digests of the studies' trials into a spec without violations."""
        records = [await self._record(name) for name in spec.warm_start.studies]
        spec.warm_start.trials_digests[:] = [
            record.trials_digest if record else "" for record in records
        ]

    async def priors(self, spec: study_pb2.StudySpec, plan: StudyPlan) -> list[Trial]:
        """Return the trials a pinned spec learns from, study by study.

        The best of each come last: searches that look at the latest trials only keep those.

        Raises:
            AssayError: INVALID_ARGUMENT/FIELD_INVALID, a study was resumed or deleted meanwhile.
        """
        priors: list[Trial] = []
        for index, name in enumerate(spec.warm_start.studies):
            priors += await self._of_study(name, plan, spec.warm_start.trial_limit, len(priors))
            record = await self._record(name)
            pinned = spec.warm_start.trials_digests[index]
            if record is None or record.trials_digest != pinned:
                told = "was changed while its trials were being read"
                refuse([Violation(f"{_PATH}.studies[{index}]", told)])
        return priors

    async def _of_study(self, name: str, plan: StudyPlan, most: int, first: int) -> list[Trial]:
        study_id = name.removeprefix("studies/")
        table = await self._store.table(study_id)
        numbers = await asyncio.to_thread(numbers_to_learn, table, plan.objectives)
        found: list[Trial] = []
        for start in range(0, len(numbers), _TRIALS_AT_ONCE):
            chunk = numbers[start : start + _TRIALS_AT_ONCE].tolist()
            for trial in await self._store.trials_numbered(study_id, chunk):
                prior = prior_of(trial, plan, first + len(found))
                if prior is not None:
                    found.append(prior)
                if len(found) == most:
                    return _best_last(found)
        return _best_last(found)

    async def _record(self, name: str) -> StudyRecord | None:
        return await self._store.get(name.removeprefix("studies/"))


def _best_last(trials: Sequence[Trial]) -> list[Trial]:
    """Return trials in the other order, under the same numbers."""
    return [
        replace(trial, number=other.number)
        for trial, other in zip(reversed(trials), trials, strict=True)
    ]
