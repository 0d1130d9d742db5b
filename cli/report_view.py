"""A study's report as tables: best trials, importance, comparison with buy-and-hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import ParameterImportance, StudyReport, Trial

from cli.figures import metric, parameters, sparkline
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
    """Print a report."""
    if not report.best_trials:
        emit("no feasible trial: nothing to report")
        return
    spec = report.study.spec
    several = len(spec.objectives) > 1
    if several:
        emit(f"the Pareto front has {len(report.best_trials)} trials")
        emit_table(trials(report.best_trials[:_SHOWN_TRIALS], spec))
    else:
        emit(f"best trial: {described(report.best_trials[0])}")
    for item in report.importances:
        emit(importance(item))
    emit_table(comparison(report, "trial with the lowest number" if several else "best trial"))
    if report.parameters_at_edge:
        names = ", ".join(report.parameters_at_edge)
        emit(f"at the edge of the range, a wider one may hold better: {names}")
    if report.best_value_history:
        emit(f"best value after each generation: {sparkline(list(report.best_value_history))}")


def described(trial: Trial) -> str:
    """Return a trial's number and parameters."""
    return f"{trial.name or trial.number} with {parameters(trial.parameters)}"


def importance(item: ParameterImportance) -> str:
    """Return the shares of the parameters, or why there are none."""
    if not item.shares:
        reason = item.undefined_reason.replace("_", " ").lower() or "none"
        return f"importance for {item.metric}: undefined ({reason})"
    shares = ", ".join(f"{share.name} {share.share_ratio:.0%}" for share in item.shares)
    return f"importance for {item.metric}: {shares} ({item.evaluator})"


def comparison(report: StudyReport, title: str) -> Table:
    """Return the best trial's metrics beside those of buy-and-hold."""
    columns = (title, "buy and hold")
    table = grid(("metric", *columns), right=columns)
    best = report.best_trials[0].metrics
    for name in COMPARED_METRICS:
        table.add_row(name, metric(best, name), metric(report.buy_and_hold, name))
    return table
