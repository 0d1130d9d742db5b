"""What the core needs to tell the world, without knowing in which form it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.errors import AssayError
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as a collaborator.

    Attributes:
        now_ms: Milliseconds since the epoch.
        monotonic: Seconds that never go back.
        sleep: Waits for some seconds.
    """

    now_ms: Callable[[], int]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """A finished generation as events tell it.

    Attributes:
        study_id: The study.
        generation_number: The generation, from 0.
        progress: How far the study is.
        best: The best trials so far.
        improved: Whether the first of them is of this generation.
        time_ms: When the generation was evaluated.
    """

    study_id: str
    generation_number: int
    progress: Progress
    best: Sequence[Trial]
    improved: bool
    time_ms: int


class EventWriter(Protocol):
    """Puts events, outcomes and errors into the bytes a store keeps."""

    def state_changed(self, state: StudyState, time_ms: int) -> bytes:
        """Return the event of a change of state."""

    def generation_finished(self, report: GenerationReport) -> bytes:
        """Return the event of a finished generation."""

    def study_finished(self, record: StudyRecord, time_ms: int) -> bytes:
        """Return the event of a study in a final state, its outcome included."""

    def is_study_finished(self, event: bytes) -> bool:
        """Tell whether an event is one of `study_finished`."""

    def outcome(
        self, study_id: str, progress: Progress, best: Sequence[Trial], limits: Limits
    ) -> bytes:
        """Return what a record keeps as its outcome, the limits under which it ended included."""

    def ended_under(self, outcome: bytes) -> Limits | None:
        """Return the limits in a record's outcome; None where it is older than them."""

    def failure(self, error: AssayError) -> bytes:
        """Return what a record keeps as its error."""
