"""Events, outcomes and errors as the bytes a store keeps: serialised messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from assay.optimizer.v1 import study_pb2

from services.common.errors import AssayError
from services.common.frames_codec import timestamp_from_ms
from services.optimizer.convert.limits import limits_message, limits_of
from services.optimizer.convert.studies import (
    outcome_message,
    progress_message,
    study_message,
    trial_message,
)
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.study.events import GenerationReport
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Trial

DOMAIN: Final = "optimizer.assay"


class MessageWriter:
    """An `EventWriter` by protobuf. Stored events have no number: the store counts them."""

    def state_changed(self, state: StudyState, time_ms: int) -> bytes:
        """Return the event of a change of state."""
        return _event(
            time_ms,
            state_changed=study_pb2.StateChanged(
                state=study_pb2.Study.State.ValueType(state.value)
            ),
        )

    def generation_finished(self, report: GenerationReport) -> bytes:
        """Return the event of a finished generation."""
        best = report.best[0] if report.best else None
        return _event(
            report.time_ms,
            generation_finished=study_pb2.GenerationFinished(
                generation_number=report.generation_number,
                progress=progress_message(report.progress),
                best_trial=None if best is None else trial_message(report.study_id, best),
                improved=report.improved,
                best_trial_count=len(report.best),
            ),
        )

    def study_finished(self, record: StudyRecord, time_ms: int) -> bytes:
        """Return the event of a study in a final state, its outcome included."""
        outcome = study_pb2.Study.FromString(record.outcome)
        return _event(time_ms, study_finished=study_message(record, outcome))

    def is_study_finished(self, event: bytes) -> bool:
        """Tell whether an event is one of `study_finished`."""
        return study_pb2.StudyEvent.FromString(event).HasField("study_finished")

    def outcome(
        self, study_id: str, progress: Progress, best: Sequence[Trial], limits: Limits
    ) -> bytes:
        """Return what a record keeps as its outcome, the limits under which it ended included."""
        message = outcome_message(study_id, progress, best)
        message.limits.CopyFrom(limits_message(limits))
        return message.SerializeToString(deterministic=True)

    def ended_under(self, outcome: bytes) -> Limits | None:
        """Return the limits in a record's outcome; None where it is older than them."""
        message = study_pb2.Study.FromString(outcome)
        if not message.HasField("limits"):
            return None
        return limits_of(message.limits.trial_count, message.limits.stop_rule)

    def failure(self, error: AssayError) -> bytes:
        """Return what a record keeps as its error."""
        # That the data changed is told by the data service at the time; that a running study
        # cannot go on with them is the optimizer's own finding.
        own = error.reason == "DATASET_CHANGED"
        return study_pb2.StudyError(
            reason=error.reason or error.code.name,
            domain=DOMAIN if own else error.domain or DOMAIN,
            message=error.message,
            metadata=error.metadata,
        ).SerializeToString(deterministic=True)


def numbered(number: int, event: bytes) -> study_pb2.StudyEvent:
    """Return a stored event with its number."""
    message = study_pb2.StudyEvent.FromString(event)
    message.number = number
    return message


def _event(time_ms: int, **kind: object) -> bytes:
    message = study_pb2.StudyEvent(time=timestamp_from_ms(time_ms), **kind)  # type: ignore[arg-type]
    return message.SerializeToString(deterministic=True)
