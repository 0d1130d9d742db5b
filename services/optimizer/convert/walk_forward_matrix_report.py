"""The report of a walk-forward matrix as a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from assay.optimizer.v1 import walk_forward_matrix_pb2

from services.common.intervals import Interval
from services.optimizer.convert.walk_forward import bar_span_message
from services.optimizer.convert.walk_forward_report import CellWalk, walk_forward_message
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.walk_forward.matrix_summary import (
    Cell,
    MatrixSummary,
    Ranking,
    matrix_summary,
)
from services.optimizer.core.walk_forward.windows import lengths_of


def summary_of_cells(walks: Sequence[CellWalk], interval: Interval) -> MatrixSummary:
    """Return what the cells say together."""
    cells = []
    for walk in walks:
        lengths = lengths_of(walk.rule, interval)
        cells.append(Cell(lengths.in_sample, lengths.step, walk.passed, walk.stitched_metrics))
    return matrix_summary(cells)


def matrix_message(
    study_id: str,
    plan: StudyPlan,
    table: TrialTable,
    walks: Sequence[CellWalk],
    summary: MatrixSummary,
) -> walk_forward_matrix_pb2.WalkForwardMatrixReport:
    """Return the report of a matrix; its walks by rising cell."""
    return walk_forward_matrix_pb2.WalkForwardMatrixReport(
        cells=[
            walk_forward_matrix_pb2.WalkForwardCell(
                number=walk.number,
                in_sample=bar_span_message(walk.rule.in_sample),
                step=bar_span_message(walk.rule.step),
                out_of_sample=bar_span_message(walk.rule.out_of_sample),
                report=walk_forward_message(study_id, plan, table, walk),
            )
            for walk in walks
        ],
        passed_cell_count=summary.passed_cell_count,
        passed_cell_rate=summary.passed_cell_rate,
        by_total_return=_ranking_message(summary.by_total_return),
        by_sharpe=_ranking_message(summary.by_sharpe),
        neighbor_cell_numbers=summary.neighbor_cell_numbers,
        plateau=summary.plateau,
    )


def _ranking_message(ranking: Ranking) -> walk_forward_matrix_pb2.WalkForwardRanking:
    return walk_forward_matrix_pb2.WalkForwardRanking(**asdict(ranking))
