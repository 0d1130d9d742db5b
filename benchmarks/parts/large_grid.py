"""A grid of 100,000 points: run, listed and paged, in how much memory."""

from __future__ import annotations

import asyncio
import resource
import time

import numpy as np

from benchmarks.parts.search_loop import METRIC, LoopStudy, plan_of
from services.optimizer.core.analysis.trial_order import TrialOrder, ordered

_POINTS = 316 * 316
_PAGE = 1_000


def figures(url: str) -> dict[str, float]:
    """Run the grid and page through it by number and by a metric."""
    before = _peak_mb()
    seconds, by_metric = asyncio.run(_run(url))
    return {
        "grid_100k_seconds": seconds,
        "grid_100k_trials_per_s": _POINTS / seconds,
        "grid_100k_all_pages_by_metric_seconds": by_metric,
        "grid_100k_peak_rss_mb": _peak_mb(),
        "grid_100k_added_rss_mb": _peak_mb() - before,
    }


async def _run(url: str) -> tuple[float, float]:
    plan = plan_of("grid", _POINTS)
    async with await LoopStudy.made(url, "large", plan, 0) as study:
        began = time.perf_counter()
        await study.runner.run()
        seconds = time.perf_counter() - began
        if study.runner.stored.finished != _POINTS:
            raise SystemExit(f"{study.runner.stored.finished} trials stored, not {_POINTS}")
        began = time.perf_counter()
        table = await study.store.table("large", [METRIC])
        numbers = ordered(table, TrialOrder(METRIC, falling=True), None)
        last = np.inf
        for first in range(0, _POINTS, _PAGE):
            page = await study.store.trials_numbered(
                "large", [int(number) for number in numbers[first : first + _PAGE]]
            )
            for trial in page:
                value = trial.outcome.metrics[METRIC]
                if value > last:
                    raise SystemExit("the pages are out of order")
                last = value
        return seconds, time.perf_counter() - began


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
