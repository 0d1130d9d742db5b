"""A study's report as tables: best trials, importance, trade-offs, comparison, what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import (
    LedgerEntry,
    ParameterImportance,
    StudyReport,
    StudySpec,
    Trial,
)

from cli import (
    datasets_view,
    luck_view,
    recommendation_view,
    stress_view,
    walk_forward_matrix_view,
    walk_forward_view,
    walk_luck_view,
)
from cli.figures import metric, metric_value, parameters, sparkline, value
from cli.output import emit, emit_table, grid
from cli.study_view import trials

if TYPE_CHECKING:
    from rich.table import Table

COMPARED_METRICS = (
    "total_return_ratio",
    "cagr_ratio",
    "sharpe_ratio",
    "max_drawdown_ratio",
    "trade_count",
    "win_rate_ratio",
    "profit_factor",
    "exposure_ratio",
    "fees_quote",
)
_SHOWN_TRIALS = 10


def show(report: StudyReport) -> None:
    """Print a report, what to do with it first."""
    recommendation_view.show(report)
    _show_walk(report)
    if not report.best_trials:
        _show_nothing(report)
        return
    title = _show_best(report)
    for item in report.importances:
        emit(importance(item))
    _show_comparison(report, title)
    if report.parameters_at_edge:
        names = ", ".join(report.parameters_at_edge)
        emit(f"at the edge of the range, a wider one may hold better: {names}")
    if report.best_value_history:
        emit(f"best value after each generation: {sparkline(list(report.best_value_history))}")
    if report.HasField("pareto"):
        show_trade_offs(report)
    if report.freeze_suggestions:
        emit_table(suggestions(report))
    _show_doubts(report)
    if report.ledger.trial_count:
        emit(tried(report.ledger))


def _show_nothing(report: StudyReport) -> None:
    emit("no feasible trial: nothing to report")
    if report.study.progress.failed_trial_count:
        name = report.study.name.removeprefix("studies/")
        emit(f"`assay study trials {name}` says why trials failed")


def _show_walk(report: StudyReport) -> None:
    """Print what a walk forward, or a matrix of them, found."""
    if report.HasField("walk_forward"):
        walk_forward_view.show(report.walk_forward, report.study.spec)
    if report.HasField("walk_forward_matrix"):
        walk_forward_matrix_view.show(report.walk_forward_matrix, report.study.spec)


def _show_doubts(report: StudyReport) -> None:
    """Print how likely the result is luck, and how it stands up to worse conditions."""
    if report.luck.HasField("walk_count"):
        walk_luck_view.show(report.luck)
    elif report.HasField("luck"):
        luck_view.show(report.luck, report.study.spec.objectives[0].metric)
    if report.HasField("stress"):
        stress_view.show(report.stress, report.study.spec.objectives[0].metric)
    untold = _untold(report.study.spec)
    if untold:
        emit(untold)


def _untold(spec: StudySpec) -> str:
    """Return what is never told of such a study, whatever is asked for; empty for none."""
    if spec.HasField("walk_forward"):
        return "p-values, intervals, cross-validation and stress are told without walk-forward only"
    if len(spec.data) == 1 and len(spec.objectives) > 1:
        return "how likely it is luck and what stress leaves of it are told for one objective only"
    return ""


def _show_best(report: StudyReport) -> str:
    """Print the best trials; return what the one compared with buy-and-hold is called."""
    spec = report.study.spec
    if spec.HasField("walk_forward"):
        emit("buy and hold is over the study's whole window, the winner over its in-sample bars")
        return "first winner, in sample"
    if len(spec.objectives) > 1:
        emit(f"the Pareto front has {len(report.best_trials)} trials")
        emit_table(trials(report.best_trials[:_SHOWN_TRIALS], spec))
        return "trial with the lowest number"
    emit(f"best trial: {described(report.best_trials[0])}")
    return "best trial"


def _show_comparison(report: StudyReport, title: str) -> None:
    """Print the best trial beside buy-and-hold, on each of several data."""
    if report.dataset_buy_and_hold:
        datasets_view.show(report)
    else:
        emit_table(comparison(report, title))


def described(trial: Trial) -> str:
    """Return a trial's number and parameters."""
    return f"{trial.name or trial.number} with {parameters(trial.parameters)}"


def importance(item: ParameterImportance) -> str:
    """Return the shares of the parameters, or why there are none."""
    if not item.shares:
        reason = item.undefined_reason.replace("_", " ").lower() or "none"
        return f"importance for {item.metric}: undefined ({reason})"
    shares = ", ".join(
        f"{share.name} {share.share_ratio:.0%}{'' if share.significant else ' (may be chance)'}"
        for share in item.shares
    )
    return f"importance for {item.metric}: {shares} ({item.evaluator})"


def show_trade_offs(report: StudyReport) -> None:
    """Print what the objectives have to be traded for."""
    pareto, objectives = report.pareto, [item.metric for item in report.study.spec.objectives]
    numbers = ("trial", *objectives)
    table = grid((*numbers, "lost against the best of each"), right=numbers, title="trade-offs")
    for item in pareto.trade_offs[:_SHOWN_TRIALS]:
        pairs = zip(objectives, item.objective_values, strict=True)
        table.add_row(
            item.trial.rpartition("/")[2],
            *(metric_value(name, number) for name, number in pairs),
            ", ".join(f"{regret:.0%}" for regret in item.regret_ratios),
        )
    if pareto.trade_offs:
        emit_table(table)
    for trial, told in (
        (pareto.knee_trial, "the knee, where each objective begins to cost much of another"),
        (pareto.best_rank_trial, "the best by the sum of ranks"),
    ):
        if trial:
            emit(f"{told}: trial {trial.rpartition('/')[2]}")
    if pareto.hypervolume_history:
        drawn = sparkline(list(pareto.hypervolume_history))
        emit(f"volume dominated after each generation: {drawn}")


def suggestions(report: StudyReport) -> Table:
    """Return what can be fixed, and what that would have cost."""
    columns = ("value", "would have cost", "trials near it")
    table = grid(("parameter", *columns), right=columns, title="matters little, can be fixed")
    aim = report.study.spec.objectives[0].metric
    for item in report.freeze_suggestions:
        table.add_row(
            item.name,
            value(item.value),
            metric_value(aim, item.objective_cost),
            f"{item.near_trial_count:,}",
        )
    return table


def tried(entry: LedgerEntry) -> str:
    """Return how much was tried on the same dataset with the same strategy."""
    name = entry.strategy.removeprefix("strategies/")[:24]
    studies = "study" if entry.study_count == 1 else "studies"
    return (
        f"tried so far on {entry.dataset} with {name}: {entry.trial_count:,} trials in "
        f"{entry.study_count:,} {studies}; the more were tried, the more luck the best one holds"
    )


def comparison(report: StudyReport, title: str) -> Table:
    """Return the best trial's metrics beside those of buy-and-hold."""
    columns = (title, "buy and hold")
    table = grid(("metric", *columns), right=columns)
    best = report.best_trials[0].metrics
    for name in COMPARED_METRICS:
        table.add_row(name, metric(best, name), metric(report.buy_and_hold, name))
    return table
