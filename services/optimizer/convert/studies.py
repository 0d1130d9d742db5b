"""Studies, their progress and their trials, from the core's records to messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from assay.optimizer.v1 import study_pb2

from services.common.frames_codec import timestamp_from_ms
from services.optimizer.convert.data_aggregation import dataset_result_messages
from services.optimizer.convert.durations import duration_of
from services.optimizer.convert.limits import limits_message
from services.optimizer.convert.values import assignments, metrics_message
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Trial

MOST_BEST_TRIALS: Final = 100


def study_name(study_id: str) -> str:
    """Return "studies/{study}"."""
    return f"studies/{study_id}"


def trial_name(study_id: str, number: int) -> str:
    """Return "studies/{study}/trials/{number}"."""
    return f"studies/{study_id}/trials/{number}"


def trial_message(study_id: str, trial: Trial) -> study_pb2.Trial:
    """Return a trial as a message."""
    return study_pb2.Trial(
        name=trial_name(study_id, trial.number),
        number=trial.number,
        state=study_pb2.Trial.State.ValueType(trial.state.value),
        parameters=assignments(trial.parameters),
        objective_values=trial.objective_values,
        metrics=metrics_message(trial.outcome),
        feasible=trial.feasible,
        failure_reason=trial.outcome.failure_reason,
        failure_message=trial.outcome.failure_message,
        generation_number=trial.generation_number,
        start_time=timestamp_from_ms(trial.start_time_ms),
        end_time=timestamp_from_ms(trial.end_time_ms),
        intermediate_values=[
            study_pb2.IntermediateValue(bar_count=one.bar_count, value=one.value)
            for one in trial.outcome.intermediate_values
        ],
        reused_trial_number=trial.reused_trial_number,
        window_number=trial.window_number,
        dataset_results=dataset_result_messages(trial.outcome.dataset_results),
    )


def progress_message(progress: Progress) -> study_pb2.StudyProgress:
    """Return progress as a message."""
    return study_pb2.StudyProgress(
        total_trial_count=progress.total_trial_count,
        finished_trial_count=progress.finished_trial_count,
        failed_trial_count=progress.failed_trial_count,
        infeasible_trial_count=progress.infeasible_trial_count,
        finished_generation_count=progress.finished_generation_count,
        elapsed_duration=duration_of(progress.elapsed_ms),
        remaining_duration=(
            None if progress.remaining_ms is None else duration_of(progress.remaining_ms)
        ),
        pruned_trial_count=progress.pruned_trial_count,
        reused_trial_count=progress.reused_trial_count,
        evaluated_bar_count=progress.evaluated_bar_count,
    )


def outcome_message(study_id: str, progress: Progress, best: Sequence[Trial]) -> study_pb2.Study:
    """Return a study that holds its outcome and nothing else."""
    return study_pb2.Study(
        progress=progress_message(progress),
        best_trials=[trial_name(study_id, trial.number) for trial in best[:MOST_BEST_TRIALS]],
    )


def study_message(record: StudyRecord, outcome: study_pb2.Study) -> study_pb2.Study:
    """Return a study as a message, with an outcome made by `outcome_message`."""
    study = study_pb2.Study(
        name=study_name(record.study_id),
        state=study_pb2.Study.State.ValueType(record.state.value),
        spec=study_pb2.StudySpec.FromString(record.spec),
        progress=outcome.progress,
        create_time=timestamp_from_ms(record.create_time_ms),
        trials_digest=record.trials_digest,
        best_trials=outcome.best_trials,
        warnings=record.warnings,
        code_version=record.code_version,
        limits=limits_message(record.limits),
        stop_reason=record.stop_reason,
        owner=record.owner,
    )
    # The outcome tells what was known when it was written; limits may have changed since.
    progress = study.progress
    progress.total_trial_count = max(record.limits.trial_count, progress.finished_trial_count)
    if record.start_time_ms is not None:
        study.start_time.CopyFrom(timestamp_from_ms(record.start_time_ms))
    if record.end_time_ms is not None:
        study.end_time.CopyFrom(timestamp_from_ms(record.end_time_ms))
    if record.error:
        study.error.ParseFromString(record.error)
    return study
