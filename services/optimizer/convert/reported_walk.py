"""The walk that the rest of a report is about: the only one, or the best cell of a matrix."""

from __future__ import annotations

from assay.optimizer.v1 import study_pb2, walk_forward_pb2


def reported_walk(report: study_pb2.StudyReport) -> walk_forward_pb2.WalkForwardReport | None:
    """Return the walk luck and recommendation look at; None for a study without windows.

    Of a matrix the cell with the best Sharpe ratio; where none has one, the first cell with a
    winner, or else the first.
    """
    if report.HasField("walk_forward"):
        return report.walk_forward
    if not report.HasField("walk_forward_matrix"):
        return None
    matrix = report.walk_forward_matrix
    if matrix.by_sharpe.HasField("best_cell_number"):
        return matrix.cells[matrix.by_sharpe.best_cell_number].report
    walks = [cell.report for cell in matrix.cells]
    return next((walk for walk in walks if walk.HasField("stitched_curve")), walks[0])
