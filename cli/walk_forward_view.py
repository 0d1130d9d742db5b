"""What a walk forward found, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import StudySpec
from assay.optimizer.v1.walk_forward_pb2 import (
    CriterionResult,
    ParameterPath,
    StitchedMetrics,
    WalkForwardReport,
    WalkForwardSpec,
    WindowResult,
)

from cli.figures import metric, metric_value, parameters, span, sparkline, value
from cli.output import emit, emit_table, facts, grid

if TYPE_CHECKING:
    from rich.table import Table

_OUTCOMES = {
    WindowResult.OUTCOME_TRADED: "",
    WindowResult.OUTCOME_NO_TRADES: "no trades",
    WindowResult.OUTCOME_NO_FEASIBLE_TRIAL: "no feasible trial",
}


def show(report: WalkForwardReport, spec: StudySpec) -> None:
    """Print what a walk forward found."""
    emit_table(windows(report, spec))
    emit_table(summary(report))
    if report.HasField("stitched_curve"):
        curve = report.stitched_curve
        emit_table(curves(curve.reset, curve.compounded))
        compounded = spec.walk_forward.capital == WalkForwardSpec.CAPITAL_COMPOUNDED
        drawn = curve.compounded_equity_quote if compounded else curve.reset_equity_quote
        emit(f"out-of-sample equity: {sparkline(list(drawn))}")
    if any(path.values for path in report.parameter_paths):
        emit_table(paths(report))
    emit_table(criteria(report))


def windows(report: WalkForwardReport, spec: StudySpec) -> Table:
    """Return a row per window: what was chosen, and what it earned inside and outside."""
    numbers = ("return in", "Sharpe in", "return out", "Sharpe out", "trades out")
    table = grid(("window", "out of sample", "chosen", *numbers, ""), right=("window", *numbers))
    for item in report.windows:
        window = spec.walk_forward.windows[item.number]
        table.add_row(
            str(item.number),
            span(window.out_of_sample.snapshot.window),
            parameters(item.parameters),
            metric(item.in_sample, "total_return_ratio"),
            metric(item.in_sample, "sharpe_ratio"),
            metric(item.out_of_sample, "total_return_ratio"),
            metric(item.out_of_sample, "sharpe_ratio"),
            metric(item.out_of_sample, "trade_count"),
            _OUTCOMES.get(item.outcome, ""),
        )
    return table


def summary(report: WalkForwardReport) -> Table:
    """Return the statistics over all windows; those undefined are left out."""
    told = [("windows with profit", f"{report.positive_window_rate:.0%}")]
    for name, words, form in (
        ("total_oos_profit", "total out-of-sample profit", "{:,.2f}"),
        ("std_oos_profit", "deviation of the windows' profits", "{:,.2f}"),
        ("average_oos_sharpe", "mean out-of-sample Sharpe ratio", "{:.2f}"),
        ("walk_forward_efficiency", "walk-forward efficiency", "{:.0%}"),
        ("largest_window_share", "largest share of one window", "{:.0%}"),
    ):
        if report.HasField(name):  # type: ignore[arg-type] # the names stand above
            told.append((words, form.format(getattr(report, name))))
    if report.undefined_sharpe_window_count:
        told.append(("windows without a Sharpe ratio", str(report.undefined_sharpe_window_count)))
    if report.overlapping_oos:
        told.append(("note", "out-of-sample spans overlap: profits are not added up"))
    return facts(told)


def curves(reset: StitchedMetrics, compounded: StitchedMetrics) -> Table:
    """Return the stitched curve's metrics in both ways to use the capital."""
    columns = ("profits added", "returns multiplied")
    table = grid(("out of sample, stitched", *columns), right=columns)
    for field in StitchedMetrics.DESCRIPTOR.fields:
        name = field.name
        told = [
            metric_value(name, getattr(one, name))
            if not field.has_presence or one.HasField(name)  # type: ignore[arg-type]
            else "-"
            for one in (reset, compounded)
        ]
        table.add_row(name, *told)
    return table


def paths(report: WalkForwardReport) -> Table:
    """Return how parameters moved from window to window."""
    columns = ("changed", "of the range")
    table = grid(("parameter", "by window", *columns), right=columns, title="stability")
    for item in report.parameter_paths:
        table.add_row(item.name, ", ".join(map(value, item.values)), *_moved(item))
    return table


def _moved(item: ParameterPath) -> tuple[str, str]:
    changed = f"{item.change_rate:.0%}" if item.HasField("change_rate") else "-"
    used = f"{item.used_range_ratio:.0%}" if item.HasField("used_range_ratio") else "-"
    return changed, used


def criteria(report: WalkForwardReport) -> Table:
    """Return the criteria and whether they are met."""
    word = "passed" if report.passed else "not passed"
    columns = ("wanted", "found")
    table = grid(("criterion", *columns, ""), right=columns, title=f"walk forward {word}")
    for item in report.criteria:
        table.add_row(item.name, f"{item.wanted:g}", _found(item), _met(item))
    return table


def _found(item: CriterionResult) -> str:
    return f"{item.found:.4g}" if item.HasField("found") else "undefined"


def _met(item: CriterionResult) -> str:
    return "met" if item.passed else "not met"
