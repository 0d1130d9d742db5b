"""What the cells of a walk-forward matrix found: a grid of lengths, and the best cell in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.optimizer.v1.study_pb2 import StudySpec
from assay.optimizer.v1.walk_forward_matrix_pb2 import (
    WalkForwardCell,
    WalkForwardMatrixReport,
    WalkForwardRanking,
)
from assay.optimizer.v1.walk_forward_pb2 import BarSpan, StitchedMetrics, WalkForwardSpec

from cli import walk_forward_view
from cli.figures import metric_value
from cli.output import emit, emit_table, grid

if TYPE_CHECKING:
    from rich.table import Table


def show(report: WalkForwardMatrixReport, spec: StudySpec) -> None:
    """Print the grid, what it comes to, and the walk of the best cell by Sharpe ratio."""
    emit_table(cells(report, spec))
    emit_table(rankings(report))
    emit(passed(report))
    if report.by_sharpe.HasField("best_cell_number"):
        best = report.cells[report.by_sharpe.best_cell_number]
        emit(f"best cell by Sharpe ratio: {named(best)}")
        walk_forward_view.show(best.report, spec)


def cells(report: WalkForwardMatrixReport, spec: StudySpec) -> Table:
    """Return a row per in-sample length with a column per step: return, Sharpe ratio, passed."""
    width = len(spec.walk_forward.matrix.steps)
    steps = tuple(f"step {length(step)}" for step in spec.walk_forward.matrix.steps)
    title = "walk-forward matrix: out-of-sample return, Sharpe ratio; * passed"
    table = grid(("in sample", *steps), right=steps, title=title)
    for first in range(0, len(report.cells), width):
        row = report.cells[first : first + width]
        table.add_row(length(row[0].in_sample), *(_told(cell, spec) for cell in row))
    return table


def rankings(report: WalkForwardMatrixReport) -> Table:
    """Return the best, the middle and the worst cell by return and by Sharpe ratio."""
    columns = ("best", "median", "worst")
    table = grid(("cells by", *columns), right=columns)
    for words, name, ranking in (
        ("return", "total_return_ratio", report.by_total_return),
        ("Sharpe ratio", "sharpe_ratio", report.by_sharpe),
    ):
        table.add_row(words, *(_ranked(ranking, place, name) for place in columns))
    return table


def passed(report: WalkForwardMatrixReport) -> str:
    """Return how many cells passed, and whether the best one stands among others that did."""
    told = f"{report.passed_cell_count} of {len(report.cells)} cells passed"
    if not report.HasField("plateau"):
        return f"{told} ({report.passed_cell_rate:.0%})"
    near = report.neighbor_cell_numbers
    good = sum(report.cells[number].report.passed for number in near)
    word = "a plateau" if report.plateau else "no plateau"
    return (
        f"{told} ({report.passed_cell_rate:.0%}); {good} of {len(near)} beside the best one did: "
        f"{word}"
    )


def named(cell: WalkForwardCell) -> str:
    """Return a cell by its lengths."""
    return (
        f"cell {cell.number}, {length(cell.in_sample)} in sample, {length(cell.out_of_sample)} out "
        f"of sample, step {length(cell.step)}"
    )


def length(span: BarSpan) -> str:
    """Return a length as it was given."""
    return f"{span.days:,} d" if span.HasField("days") else f"{span.bars:,} bars"


def _told(cell: WalkForwardCell, spec: StudySpec) -> str:
    if not cell.report.HasField("stitched_curve"):
        return "no feasible trial"
    curve = cell.report.stitched_curve
    compounded = spec.walk_forward.capital == WalkForwardSpec.CAPITAL_COMPOUNDED
    metrics: StitchedMetrics = curve.compounded if compounded else curve.reset
    sharpe = f"{metrics.sharpe_ratio:.2f}" if metrics.HasField("sharpe_ratio") else "-"
    earned = metric_value("total_return_ratio", metrics.total_return_ratio)
    return f"{earned}, {sharpe}{' *' if cell.report.passed else ''}"


def _ranked(ranking: WalkForwardRanking, place: str, metric: str) -> str:
    if not ranking.HasField(f"{place}_value"):  # type: ignore[arg-type]
        return "-"
    value = metric_value(metric, getattr(ranking, f"{place}_value"))
    return f"{value} (cell {getattr(ranking, f'{place}_cell_number')})"
