"""Studies, their space and their trials as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from assay.optimizer.v1.optimizer_service_pb2 import CreateStudyResponse
from assay.optimizer.v1.study_pb2 import (
    DoubleRange,
    IntRange,
    Objective,
    ParameterSpec,
    StopRule,
    Study,
    StudySpec,
    Trial,
)

from cli.datasets_view import aggregation
from cli.figures import enum_word, metric, metric_value, moment, seconds, span, strategy, value
from cli.output import facts, grid

if TYPE_CHECKING:
    from rich.table import Table

_USUAL_METRICS = ("total_return_ratio", "sharpe_ratio", "max_drawdown_ratio", "trade_count")
"""Metrics shown beside the objectives."""


def state(study: Study) -> str:
    """Return a study's state as a word."""
    return enum_word(Study.State.Name(study.state))


def description(study: Study) -> Table:
    """Return what a study searches, how far it is, and why it failed."""
    spec, progress, error = study.spec, study.progress, study.error
    data = [f"{item.dataset}, {span(item.window) or 'all bars'}" for item in spec.data]
    done = f"{progress.finished_trial_count:,} of {progress.total_trial_count:,}"
    details = [
        f"{count:,} {word}"
        for count, word in (
            (progress.failed_trial_count, "failed"),
            (progress.pruned_trial_count, "given up early"),
            (progress.infeasible_trial_count, "infeasible"),
            (progress.reused_trial_count, "not run again"),
        )
        if count
    ]
    return facts(
        [
            ("study", study.name),
            ("state", state(study) + _cause(study)),
            ("error", f"{error.message} ({error.reason})" if error.reason else ""),
            ("strategy", strategy(spec.strategy)),
            ("data (UTC)", "; ".join(data)),
            ("aggregation", aggregation(spec)),
            ("search", spec.WhichOneof("search") or ""),
            ("walk forward", _walk(spec)),
            ("seed", str(spec.seed) if spec.HasField("seed") else ""),
            ("objectives", "; ".join(objective(item) for item in spec.objectives)),
            ("constraints", "; ".join(spec.constraints)),
            ("trials", ", ".join([done, *details])),
            ("ends", _stop_rule(study.limits.stop_rule)),
            ("bars run", f"{progress.evaluated_bar_count:,}" * bool(progress.evaluated_bar_count)),
            ("running time", _running_time(study)),
            ("replica", study.owner),
            ("best trials", _names(study.best_trials)),
            ("trials digest", study.trials_digest),
            ("warnings", "\n".join(study.warnings)),
        ]
    )


def _walk(spec: StudySpec) -> str:
    """Return the windows of a walk forward."""
    windows = spec.walk_forward.windows
    if not windows:
        return ""
    first = windows[0]
    inside, outside = first.in_sample.snapshot.window, first.out_of_sample.snapshot.window
    cells = len({window.cell_number for window in windows})
    where = f" in {cells} cells" if spec.walk_forward.HasField("matrix") else ""
    return f"{len(windows)} windows{where}, the first {span(inside)}, out of sample {span(outside)}"


def limits(study: Study) -> Table:
    """Return when a study ends, and how far it is."""
    progress = study.progress
    return facts(
        [
            ("study", study.name),
            ("state", state(study) + _cause(study)),
            ("trials", f"{progress.finished_trial_count:,} of {study.limits.trial_count:,}"),
            ("ends", _stop_rule(study.limits.stop_rule) or "when all trials are finished"),
        ]
    )


def _cause(study: Study) -> str:
    """Return why a study ended early, behind its state."""
    reason = study.stop_reason
    return f" ({enum_word(reason)})" if reason not in {"", "TRIAL_COUNT"} else ""


def _stop_rule(rule: StopRule) -> str:
    """Return what ends a study before its last trial."""
    told = []
    if rule.HasField("max_duration"):
        told.append(f"after {seconds(rule.max_duration)}")
    if rule.HasField("patience_trial_count"):
        told.append(f"after {rule.patience_trial_count:,} trials without a new best")
    if rule.HasField("target_value"):
        told.append(f"once the objective reaches {rule.target_value:g}")
    return ", or ".join(told)


def _running_time(study: Study) -> str:
    if not study.progress.HasField("elapsed_duration"):
        return ""
    told = seconds(study.progress.elapsed_duration)
    if study.state == Study.STATE_RUNNING and study.progress.HasField("remaining_duration"):
        told += f", about {seconds(study.progress.remaining_duration)} to go"
    return told


def _names(names: Iterable[str], most: int = 10) -> str:
    found = [name.rpartition("/")[2] for name in names]
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest


def objective(item: Objective) -> str:
    """Return an objective: "maximize sharpe_ratio"."""
    direction = item.direction or Objective.DIRECTION_MAXIMIZE
    told = f"{enum_word(Objective.Direction.Name(direction))} {item.metric}"
    return f"{told} = {item.expression}" if item.expression else told


def space(spec: StudySpec) -> Table:
    """Return the parameters with the values searched."""
    table = grid(("parameter", "values"), title="space")
    for item in spec.parameters:
        table.add_row(item.name, _domain(item))
    return table


def _domain(item: ParameterSpec) -> str:
    kind = item.WhichOneof("domain")
    if kind == "int_range":
        return _range(item.int_range)
    if kind == "double_range":
        return _range(item.double_range)
    if kind == "categories":
        return ", ".join(item.categories.values)
    return f"{value(item.fixed_value)} (fixed)"


def _range(domain: IntRange | DoubleRange) -> str:
    told = f"{domain.low:g} to {domain.high:g}"
    if domain.HasField("step"):
        told += f" step {domain.step:g}"
    return told + (", logarithmic" if domain.log else "")


def listing(studies: Iterable[Study]) -> Table:
    """Return one row per study."""
    table = grid(
        ("study", "state", "strategy", "search", "objectives", "trials", "created (UTC)", "digest"),
        right=("trials",),
    )
    for study in studies:
        progress = study.progress
        table.add_row(
            study.name,
            state(study),
            strategy(study.spec.strategy).removeprefix("strategies/"),
            study.spec.WhichOneof("search") or "",
            "; ".join(objective(item) for item in study.spec.objectives),
            f"{progress.finished_trial_count:,}/{progress.total_trial_count:,}",
            moment(study.create_time),
            study.trials_digest[:12],
        )
    return table


def trials(found: Iterable[Trial], spec: StudySpec) -> Table:
    """Return one row per trial: its parameters, objectives and the usual metrics."""
    names = [item.name for item in spec.parameters]
    objectives = [item.metric for item in spec.objectives]
    extra = [name for name in _USUAL_METRICS if name not in objectives]
    numbers = ("trial", *names, *objectives, *extra)
    shown = [(trial, _remark(trial)) for trial in found]
    remarked = any(remark for _, remark in shown)
    heads = ("trial", "state", *names, *objectives, *extra, *(["remark"] if remarked else []))
    table = grid(heads, right=numbers)
    for trial, remark in shown:
        given = {item.name: value(item.value) for item in trial.parameters}
        values = dict(zip(objectives, trial.objective_values, strict=False))
        table.add_row(
            f"{trial.number:,}",
            enum_word(Trial.State.Name(trial.state)),
            *(given.get(name, "-") for name in names),
            *(metric_value(name, values[name]) if name in values else "-" for name in objectives),
            *(metric(trial.metrics, name) for name in extra),
            *([remark] if remarked else []),
        )
    return table


def _remark(trial: Trial) -> str:
    told = "" if trial.feasible else "infeasible"
    if trial.state == Trial.STATE_FAILED:
        told = trial.failure_reason
    elif trial.state == Trial.STATE_PRUNED:
        told = f"after {trial.intermediate_values[-1].bar_count:,} bars"
    if trial.HasField("reused_trial_number"):
        told += f"{', ' * bool(told)}as trial {trial.reused_trial_number:,}"
    return told


def estimate(response: CreateStudyResponse) -> Table:
    """Return what a study would be."""
    found = response.estimate
    points = f"{found.space_point_count:,}" if found.HasField("space_point_count") else ""
    return facts(
        [
            ("strategy", strategy(response.study.spec.strategy)),
            ("points before constraints", points),
            ("trials", f"{found.trial_count:,}"),
            ("bars", f"{found.bar_count:,}"),
            ("longest lookback in bars", f"{found.lookback_bar_count:,}"),
            ("predicted time", seconds(found.predicted_duration)),
            ("warnings", "\n".join(response.study.warnings)),
        ],
        title="the study is valid; nothing was stored",
    )
