"""What the cells of a walk-forward matrix say together: a plateau counts for more than a peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.optimizer.core.walk_forward.stitching import StitchedMetrics


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of a cell.

    Attributes:
        in_sample_bars: Its in-sample length.
        step_bars: Its step.
        passed: Whether its walk meets all criteria.
        metrics: Those of the stitched curve that the criteria look at; None without a winner.
    """

    in_sample_bars: int
    step_bars: int
    passed: bool
    metrics: StitchedMetrics | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Cells by a number; the fields of `assay.optimizer.v1.WalkForwardRanking`, None if unset."""

    undefined_cell_count: int
    best_cell_number: int | None = None
    best_value: float | None = None
    median_cell_number: int | None = None
    median_value: float | None = None
    worst_cell_number: int | None = None
    worst_value: float | None = None


@dataclass(frozen=True, slots=True)
class MatrixSummary:
    """The fields of `assay.optimizer.v1.WalkForwardMatrixReport` but for the cells."""

    passed_cell_count: int
    passed_cell_rate: float
    by_total_return: Ranking
    by_sharpe: Ranking
    neighbor_cell_numbers: tuple[int, ...]
    plateau: bool | None


def matrix_summary(cells: Sequence[Cell]) -> MatrixSummary:
    """Return what at least one cell, by rising number, comes to."""
    passed = sum(cell.passed for cell in cells)
    by_sharpe = ranking(
        [None if cell.metrics is None else cell.metrics.sharpe_ratio for cell in cells]
    )
    best = by_sharpe.best_cell_number
    near = () if best is None else neighbors_of(cells, best)
    plateau = None
    if best is not None and near:
        plateau = all(cells[number].passed for number in (best, *near))
    return MatrixSummary(
        passed_cell_count=passed,
        passed_cell_rate=passed / len(cells),
        by_total_return=ranking(
            [None if cell.metrics is None else cell.metrics.total_return_ratio for cell in cells]
        ),
        by_sharpe=by_sharpe,
        neighbor_cell_numbers=near,
        plateau=plateau,
    )


def ranking(values: Sequence[float | None]) -> Ranking:
    """Rank cells by a number, the larger the better; the lowest cell first among equals."""
    known = [(value, number) for number, value in enumerate(values) if value is not None]
    if not known:
        return Ranking(len(values))
    order = sorted(known, key=lambda one: (-one[0], one[1]))
    best, middle, worst = order[0], order[len(order) // 2], order[-1]
    return Ranking(
        undefined_cell_count=len(values) - len(known),
        best_cell_number=best[1],
        best_value=best[0],
        median_cell_number=middle[1],
        median_value=middle[0],
        worst_cell_number=worst[1],
        worst_value=worst[0],
    )


def neighbors_of(cells: Sequence[Cell], number: int) -> tuple[int, ...]:
    """Return the cells beside one, by rising number: up to eight, one length away or both.

    Lengths count by their size, in whichever order they were given.
    """
    rows = sorted({cell.in_sample_bars for cell in cells})
    columns = sorted({cell.step_bars for cell in cells})

    def place(cell: Cell) -> tuple[int, int]:
        return rows.index(cell.in_sample_bars), columns.index(cell.step_bars)

    row, column = place(cells[number])
    return tuple(
        other
        for other, cell in enumerate(cells)
        if other != number and abs(place(cell)[0] - row) <= 1 and abs(place(cell)[1] - column) <= 1
    )
