"""What the optimizer's core needs from outside, as it wants to see it."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.optimizer.core.limits import Limits
from services.optimizer.core.trial import Outcome, Point, Trial
from services.optimizer.core.trial_table import TrialTable


class StudyState(enum.Enum):
    """The life of a study; values are those of `assay.optimizer.v1.Study.State`."""

    PENDING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4
    SUCCEEDED = 5
    FAILED = 6


class LeaseLostError(Exception):
    """Another owner has the study now: nothing was written, and nothing more may be."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a study's trials and states, as long as nobody has a later one.

    Attributes:
        study_id: The study.
        epoch: Counts its owners, from 1.
    """

    study_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """What the trials of a study are counted under.

    Attributes:
        dataset: "datasets/{dataset}".
        strategy: "strategies/{strategy}" or "definitions/{sha256}".
    """

    dataset: str
    strategy: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """All that was ever tried under a key, deleted studies included.

    Attributes:
        key: Dataset and strategy.
        study_count: Studies.
        trial_count: Trials finished, whatever their state.
        evaluated_trial_count: Those that were run, not reused.
        sharpe_trial_count: Complete ones among them with a bar_sharpe_ratio.
        sharpe_sum: Sum of their bar_sharpe_ratio.
        sharpe_square_sum: Sum of its squares.
    """

    key: LedgerKey
    study_count: int = 0
    trial_count: int = 0
    evaluated_trial_count: int = 0
    sharpe_trial_count: int = 0
    sharpe_sum: float = 0.0
    sharpe_square_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as it is stored, apart from its trials and events.

    Attributes:
        study_id: The id, without "studies/".
        request_id: The caller's request id; empty when none was given.
        request_digest: Digest of the request, to tell a repeat from another request.
        state: Where the study stands.
        spec: The filled-in `assay.optimizer.v1.StudySpec`, serialised deterministically.
        warnings: What the user should know.
        code_version: Version of the code that created it.
        create_time_ms: When it was created.
        start_time_ms: When its first trial began; None before.
        end_time_ms: When it reached a final state; None before.
        error: The serialised `assay.optimizer.v1.StudyError`; empty unless FAILED.
        trials_digest: Digest over all trials; empty before a final state.
        outcome: Progress and best trials of the last final state, serialised; empty before. Kept
            so that listing studies reads no trials.
        limits: When it ends; changed by `StudyStore.set_limits` alone.
        stop_reason: Name of the `StopReason` that ended it; empty unless SUCCEEDED.
        elapsed_ms: Time in RUNNING, summed over all owners, as of the last stored generation.
        owner: The replica that has or last had it; empty while it waits for one.
        lease_epoch: Counts its owners; 0 before the first. Changed by claims alone.
        ledger_key: What its trials are counted under.
    """

    study_id: str
    request_id: str
    request_digest: str
    state: StudyState
    spec: bytes
    create_time_ms: int
    warnings: tuple[str, ...] = ()
    code_version: str = ""
    start_time_ms: int | None = None
    end_time_ms: int | None = None
    error: bytes = b""
    trials_digest: str = ""
    outcome: bytes = b""
    limits: Limits = field(default_factory=lambda: Limits(0))
    stop_reason: str = ""
    elapsed_ms: int = 0
    owner: str = ""
    lease_epoch: int = 0
    ledger_key: LedgerKey = field(default_factory=lambda: LedgerKey("", ""))

    @property
    def lease(self) -> Lease:
        """The lease under which this record was read."""
        return Lease(self.study_id, self.lease_epoch)


@dataclass(frozen=True, slots=True)
class SearchedParameter:
    """A searched parameter as the store writes it into Optuna's distributions.

    Attributes:
        name: The parameter's name.
        kind: "int", "double" or "category".
        low: Smallest value (numbers).
        high: Largest value (numbers).
        step: Distance of values; None for any number.
        log: Whether the logarithm is searched.
        categories: The words (categories).
    """

    name: str
    kind: str
    low: float | int = 0
    high: float | int = 0
    step: float | int | None = None
    log: bool = False
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyShape:
    """What the store must know of a spec to write trials in Optuna's schema.

    Attributes:
        searched: The searched parameters (fixed ones are not Optuna parameters).
        metric_names: Names of the objectives.
        maximize: For each objective whether larger is better.
        constraints: Texts of the constraints on metrics.
    """

    searched: tuple[SearchedParameter, ...]
    metric_names: tuple[str, ...]
    maximize: tuple[bool, ...]
    constraints: tuple[str, ...] = field(default=())


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
        self, points: Sequence[Point], bar_limit: int | None = None
    ) -> list[Outcome]:
        """Return one outcome per point, in the order of the points.

        Args:
            points: The points.
            bar_limit: Run only the first so many bars of the window; None: all.

        Raises:
            AssayError: the whole generation cannot be evaluated (data changed, bad request).
                Lost workers are waited for, not reported.
        """


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished generation, or the part of one that completes it, with the events that tell it.

    Attributes:
        trials: By rising number, following the stored ones.
        events: Serialised events.
    """

    trials: Sequence[Trial]
    events: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What others may have changed about a running study.

    Attributes:
        state: RUNNING, or STOPPING where somebody asked for it.
        limits: The limits of now.
    """

    state: StudyState
    limits: Limits


class StudyStore(Protocol):
    """Keeps studies, trials, events and the ledger.

    Every method is one transaction and may be repeated after an outage: it then changes nothing
    that it changed before. Writes under a lease raise LeaseLostError, and write nothing, when
    another owner has claimed the study since. Time is the database's own.
    """

    async def create(
        self, record: StudyRecord, shape: StudyShape, priors: Sequence[Trial] = ()
    ) -> None:
        """Store a new study that waits for an owner, with the trials of others it learns from.

        Raises:
            AssayError: ALREADY_EXISTS/STUDY_EXISTS if the id is taken.
        """

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None."""

    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first."""

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
    ) -> bool:
        """Write a record's state, times, error, digest, outcome and stop reason, and events.

        Only where the stored state is one of `expected`, or already the record's with the log
        ending in these events (a repetition). Returns whether it is written; False means another
        state. With a lease only under it. A final state gives the lease up; PENDING has none, so
        that the study waits for an owner.

        Raises:
            LeaseLostError: see above.
            AssayError: NOT_FOUND/STUDY_UNKNOWN.
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
