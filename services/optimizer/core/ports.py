"""What the optimizer's core needs from outside, as it wants to see it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import (
    Generation,
    Lease,
    LedgerEntry,
    Standing,
    StudyRecord,
    StudyShape,
    StudyState,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Outcome, Point, Trial


class Search(Protocol):
    """Proposes points, a generation at a time.

    `ask` must be a pure function of the plan, the generation number and the trials told so far in
    order, so that a study resumed from its stored trials proposes what it would have proposed.
    """

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first `count` points, or fewer where a finite search ends.

        For a smaller count they are the first ones of what a larger count would give: a generation
        that a limit cut short is completed when the limit is raised.

        Trial numbers follow from the generation: it begins with trial generation_number x
        generation size.
        """

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from a finished, whole generation, its trials in order."""


class Workers(Protocol):
    """Evaluates points somewhere, in any order, any number of times."""

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return one outcome per point, in the order of the points.

        Args:
            points: The points.
            bar_limit: Run only the first so many bars of the window; None: all.
            window_number: Run them over the in-sample span of this window; None: over the study's
                own window.
            dataset_number: Run them over this dataset of several; None: over the only one.

        Raises:
            AssayError: the whole generation cannot be evaluated (data changed, bad request).
                Lost workers are waited for, not reported.
        """


class StudyStore(Protocol):
    """Keeps studies, trials, events and the ledger.

    Every method is one transaction and may be repeated after an outage: it then changes nothing
    that it changed before. Writes under a lease raise LeaseLostError, and write nothing, when
    another owner has claimed the study since. Time is the database's own.
    """

    async def create(
        self,
        record: StudyRecord,
        shape: StudyShape,
        priors: Sequence[Trial] = (),
        caller_limit: int | None = None,
    ) -> None:
        """Store a new study that waits for an owner, with the trials of others it learns from.

        Raises:
            AssayError: ALREADY_EXISTS/STUDY_EXISTS if the id is taken;
                RESOURCE_EXHAUSTED/TOO_MANY_STUDIES if its caller has `caller_limit` other
                unfinished studies, whichever replicas made them.
        """

    async def unfinished_count(self, caller: str) -> int:
        """Return how many studies of a caller have not ended."""

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None."""

    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first."""

    async def state_counts(self) -> Mapping[StudyState, int]:
        """Return how many studies there are in each state that any is in."""

    async def claim(
        self, owner: str, lease_ms: int, most: int, study_id: str | None = None
    ) -> Sequence[StudyRecord]:
        """Take studies over, the oldest first, and return them with their new epochs.

        Only PENDING, RUNNING and STOPPING studies that no owner has, or whose lease has run out;
        only `study_id`, if given. No two replicas get the same one.
        """

    async def renew(self, leases: Sequence[Lease], lease_ms: int) -> Sequence[StudyRecord]:
        """Prolong leases; return the studies of those that still hold, as they are now."""

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases up, so that another replica takes the studies at once."""

    async def update(
        self,
        record: StudyRecord,
        events: Sequence[bytes],
        expected: Collection[StudyState],
        lease: Lease | None,
        caller_limit: int | None = None,
    ) -> bool:
        """Write a record's state, times, error, digest, outcome and stop reason, and events.

        Only where the stored state is one of `expected`, or already the record's with the log
        ending in these events (a repetition). Returns whether it is written; False means another
        state. With a lease only under it. A final state gives the lease up; PENDING has none, so
        that the study waits for an owner.

        Raises:
            LeaseLostError: see above.
            AssayError: NOT_FOUND/STUDY_UNKNOWN; RESOURCE_EXHAUSTED/TOO_MANY_STUDIES for PENDING if
                the study's caller has `caller_limit` other unfinished studies.
        """

    async def set_limits(self, study_id: str, limits: Limits) -> StudyRecord:
        """Replace a study's limits whatever its state; returns it as it is then.

        Raises:
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
        """

    async def append(
        self, lease: Lease, generations: Sequence[Generation], elapsed_ms: int
    ) -> Standing:
        """Store generations with their events and count them in the ledger, all or nothing.

        Generations already stored (by number) are left alone, so that a retry is harmless. Returns
        the study's standing, read in the same transaction.

        Raises:
            LeaseLostError: see above.
            ValueError: the numbers do not follow the stored ones.
        """

    async def trials(
        self, study_id: str, first_number: int = 0, limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by rising number from a number on, exactly as they were appended."""

    async def trials_numbered(self, study_id: str, numbers: Sequence[int]) -> Sequence[Trial]:
        """Return the trials with these numbers, in this order; those there are none of left out."""

    async def table(self, study_id: str, metrics: Sequence[str] = ()) -> TrialTable:
        """Return all trials as columns, in bounded memory."""

    async def priors(self, study_id: str) -> Sequence[Trial]:
        """Return the trials of others the study was created with, in order."""

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events with their numbers (from 1, without holes) after `after_number`."""

    async def delete(self, study_id: str) -> bool:
        """Delete an ended study with everything but its ledger; False if there is none."""

    async def ledger(
        self, limit: int, offset: int, dataset: str = "", strategy: str = ""
    ) -> Sequence[LedgerEntry]:
        """Return the ledger by dataset and strategy; only those given, where not empty."""
