"""Studies as they are stored, and the words in which the core and a store speak of them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Trial


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
        sharpe_trial_count: Complete ones among them with a sharpe_ratio.
        sharpe_sum: Sum of their Sharpe ratios per day, `daily_sharpe` of the metric.
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
        caller: Whose token made it; empty where no tokens were asked for.
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
    caller: str = ""

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
        datasets: Names of the datasets in order, where there are several; empty for one.
    """

    searched: tuple[SearchedParameter, ...]
    metric_names: tuple[str, ...]
    maximize: tuple[bool, ...]
    constraints: tuple[str, ...] = field(default=())
    datasets: tuple[str, ...] = field(default=())


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
