"""A study store in memory that can be made to fail, shared by any number of replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from services.common.errors import unavailable
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import (
    Generation,
    Lease,
    LeaseLostError,
    LedgerEntry,
    Standing,
    StudyRecord,
    StudyShape,
    StudyState,
)
from services.optimizer.core.study.lifecycle import FINAL_STATES
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Trial


class MemoryStore:
    """A `StudyStore` whose time stands still unless a test moves `now_ms`.

    While `outage` is above 0 each call takes one off and fails; while `lost_answers` is, each
    update of a record takes one off, is made, and fails nevertheless. `gate` holds updates up.
    """

    def __init__(self) -> None:
        self.records: dict[str, StudyRecord] = {}
        self.expiry_ms: dict[str, int] = {}
        self.now_ms = 0
        self.log: dict[str, list[bytes]] = {}
        self.kept: dict[str, list[Trial]] = {}
        self.prior: dict[str, Sequence[Trial]] = {}
        self.outage = 0
        self.lost_answers = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.appended: Callable[[], None] = lambda: None
        self.append_gate = asyncio.Event()
        self.append_gate.set()

    def _answer(self) -> None:
        if self.outage:
            self.outage -= 1
            raise unavailable("STORE_UNAVAILABLE", "away")

    async def create(
        self,
        record: StudyRecord,
        shape: StudyShape,
        priors: Sequence[Trial] = (),
        caller_limit: int | None = None,
    ) -> None:
        """Store a new study, whatever others its caller has."""
        del caller_limit
        self._answer()
        assert shape.metric_names
        self.records[record.study_id] = record
        self.prior[record.study_id] = priors

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""
        self._answer()
        return self.records.get(study_id)

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None."""
        self._answer()
        found = [one for one in self.records.values() if one.request_id == request_id]
        return found[0] if found else None

    async def unfinished_count(self, caller: str) -> int:
        """Return how many studies of a caller have not ended."""
        own = [one for one in self.records.values() if one.caller == caller]
        return sum(one.state not in FINAL_STATES for one in own)

    async def claim(
        self, owner: str, lease_ms: int, most: int, study_id: str | None = None
    ) -> Sequence[StudyRecord]:
        """Take free studies over, the oldest first."""
        self._answer()
        free = [
            one
            for one in self.records.values()
            if one.state not in FINAL_STATES
            and self.expiry_ms.get(one.study_id, 0) <= self.now_ms
            and study_id in {None, one.study_id}
        ]
        for one in free[:most]:
            self.records[one.study_id] = replace(one, owner=owner, lease_epoch=one.lease_epoch + 1)
            self.expiry_ms[one.study_id] = self.now_ms + lease_ms
        return [self.records[one.study_id] for one in free[:most]]

    async def renew(self, leases: Sequence[Lease], lease_ms: int) -> Sequence[StudyRecord]:
        """Prolong leases that still hold."""
        self._answer()
        held = [
            record
            for lease in leases
            if (record := self.records.get(lease.study_id)) is not None
            and record.lease == lease
            and record.state not in FINAL_STATES
        ]
        self.expiry_ms.update((one.study_id, self.now_ms + lease_ms) for one in held)
        return held

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases up."""
        self._answer()
        for lease in leases:
            record = self.records.get(lease.study_id)
            if record is not None and record.lease == lease:
                self.expiry_ms.pop(lease.study_id, None)

    def _fenced(self, lease: Lease) -> StudyRecord:
        record = self.records[lease.study_id]
        if record.lease_epoch != lease.epoch:
            raise LeaseLostError
        return record

    async def update(
        self,
        record: StudyRecord,
        events: Sequence[bytes],
        expected: Collection[StudyState],
        lease: Lease | None,
        caller_limit: int | None = None,
    ) -> bool:
        """Replace what others than claims and limits may change."""
        del caller_limit
        self._answer()
        await self.gate.wait()
        stored = self.records[record.study_id]
        if lease is not None:
            self._fenced(lease)
        log = self.log.setdefault(record.study_id, [])
        repeated = stored.state is record.state and log[-len(events) :] == list(events)
        if not repeated:
            if stored.state not in expected:
                return False
            self.records[record.study_id] = replace(
                record,
                limits=stored.limits,
                owner=stored.owner,
                lease_epoch=stored.lease_epoch,
                elapsed_ms=stored.elapsed_ms,
            )
            log += events
            if record.state in FINAL_STATES or record.state is StudyState.PENDING:
                self.expiry_ms.pop(record.study_id, None)
        if self.lost_answers:
            self.lost_answers -= 1
            raise unavailable("STORE_UNAVAILABLE", "answer lost")
        return True

    async def set_limits(self, study_id: str, limits: Limits) -> StudyRecord:
        """Replace a study's limits."""
        self._answer()
        self.records[study_id] = replace(self.records[study_id], limits=limits)
        return self.records[study_id]

    async def append(
        self, lease: Lease, generations: Sequence[Generation], elapsed_ms: int
    ) -> Standing:
        """Store generations once."""
        self._answer()
        await self.append_gate.wait()
        record = self._fenced(lease)
        kept = self.kept.setdefault(lease.study_id, [])
        for generation in generations:
            fresh = [trial for trial in generation.trials if trial.number >= len(kept)]
            assert [trial.number for trial in fresh] == list(
                range(len(kept), len(kept) + len(fresh))
            )
            kept += fresh
            if fresh:
                self.log.setdefault(lease.study_id, []).extend(generation.events)
        self.records[lease.study_id] = replace(record, elapsed_ms=elapsed_ms)
        self.appended()
        return Standing(record.state, record.limits)

    async def trials(
        self, study_id: str, first_number: int = 0, limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials from a number on."""
        self._answer()
        found = self.kept.get(study_id, [])[first_number:]
        return found if limit is None else found[:limit]

    async def trials_numbered(self, study_id: str, numbers: Sequence[int]) -> Sequence[Trial]:
        """Return the trials with these numbers."""
        self._answer()
        kept = self.kept.get(study_id, [])
        return [kept[number] for number in numbers if number < len(kept)]

    async def table(self, study_id: str, metrics: Sequence[str] = ()) -> TrialTable:
        """Return all trials as columns, parameters left out."""
        self._answer()
        trials = self.kept.get(study_id, [])
        return TrialTable(
            numbers=np.array([one.number for one in trials], np.int64),
            generation_numbers=np.array([one.generation_number for one in trials], np.int32),
            states=np.array([one.state.value for one in trials], np.int8),
            feasible=np.array([one.feasible for one in trials], np.bool_),
            objective_values=np.array([one.objective_values or (np.nan,) for one in trials]),
            parameters={},
            metrics={
                name: np.array([one.outcome.metrics.get(name, np.nan) for one in trials])
                for name in metrics
            },
        )

    async def priors(self, study_id: str) -> Sequence[Trial]:
        """Return the trials of others."""
        self._answer()
        return self.prior.get(study_id, ())

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events after a number."""
        self._answer()
        found = list(enumerate(self.log.get(study_id, []), start=1))
        return found[after_number : after_number + limit]

    async def delete(self, study_id: str) -> bool:
        """Delete an ended study."""
        self._answer()
        if study_id not in self.records or self.records[study_id].state not in FINAL_STATES:
            return False
        del self.records[study_id]
        return True

    async def ledger(
        self, limit: int, offset: int, dataset: str = "", strategy: str = ""
    ) -> Sequence[LedgerEntry]:
        """Nothing is counted here."""
        del limit, offset, dataset, strategy
        return []

    # Last, since its name hides the builtin from the annotations that follow.
    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first."""
        self._answer()
        found = [one for one in self.records.values() if state is None or one.state is state]
        return found[::-1][offset : offset + limit]

    async def state_counts(self) -> Mapping[StudyState, int]:
        """Return studies by state."""
        self._answer()
        return Counter(record.state for record in self.records.values())
