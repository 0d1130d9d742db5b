"""How the points of a generation run over several datasets, all at once."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.study.window_runs import Run, outcomes_over_windows
from services.optimizer.core.trial import Outcome, Point


async def outcomes_over_datasets(
    points: Sequence[Point], dataset_count: int, run: Run
) -> list[tuple[Outcome, ...]]:
    """Return for each point its outcomes in the order of the datasets.

    `run` runs points over the dataset of a number, from 0.

    Raises:
        AssayError: the points cannot be run over one dataset; the others are given up.
    """
    numbers = range(dataset_count)
    everywhere = [point for _ in numbers for point in points]
    owners = [number for number in numbers for _ in points]
    told = await outcomes_over_windows(everywhere, owners, run)
    return [tuple(told[place :: len(points)]) for place in range(len(points))]
