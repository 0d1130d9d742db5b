"""What the optimizer's core needs from outside, as it wants to see it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.optimizer.core.trial import Outcome, Point, Trial


class StudyState(enum.Enum):
    """The life of a study; values are those of `assay.optimizer.v1.Study.State`."""

    PENDING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4
    SUCCEEDED = 5
    FAILED = 6


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
        """Return the next `count` points, or fewer where a finite search ends."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from a finished generation, its trials in order."""


class Workers(Protocol):
    """Evaluates points somewhere, in any order, any number of times."""

    async def evaluate(self, points: Sequence[Point]) -> list[Outcome]:
        """Return one outcome per point, in the order of the points.

        Raises:
            AssayError: the whole generation cannot be evaluated (data changed, bad request).
                Lost workers are waited for, not reported.
        """


class StudyStore(Protocol):
    """Keeps studies, trials and events. Every method is one transaction; calls may be retried."""

    async def create(self, record: StudyRecord, shape: StudyShape) -> None:
        """Store a new study; AssayError ALREADY_EXISTS/STUDY_EXISTS if the id is taken."""

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None."""

    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first."""

    async def update(self, record: StudyRecord, events: Sequence[bytes] = ()) -> None:
        """Replace a study's record and append events to its log."""

    async def append_generation(
        self, study_id: str, trials: Sequence[Trial], events: Sequence[bytes]
    ) -> None:
        """Store a whole generation and its events, or nothing of it.

        Trials already stored (by number) are left alone, so that a retry is harmless.
        """

    async def trials(self, study_id: str) -> Sequence[Trial]:
        """Return all trials by rising number, exactly as they were appended."""

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events with their numbers (from 1, without holes) after `after_number`."""

    async def delete(self, study_id: str) -> bool:
        """Delete a study with everything; False if there is none."""
