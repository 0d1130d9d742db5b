"""Durable trials a second: Assay's search loop against Optuna's own ask and tell.

Run alone: `python benchmarks/search.py [--json] [--runs N]`. Starts a private PostgreSQL (durable:
fsync on) and uses a SQLite file; both sides search the same space (two whole numbers, a number on
its logarithm, a word) with an objective that costs nothing, on studies that already hold 100, 1,000
or 10,000 trials, in this process, one after the other in turns. A trial counts when it is stored.
Ours stores its 50 metrics with each trial, the peer its value alone.

    random_vs_stock_{store}         ours over stock at 1,000 trials of history, random search
    tpe_10k_vs_stock_{store}        the same at 10,000, TPE, generations of 8 (the default)
    random_trials_per_s_{store}     ours
    tpe_10k_trials_per_s_{store}    ours
    grid_trials_per_s_{store}       ours, a grid of 10,000 points
    grid_100k_{...}                 a grid of 100,000 points on SQLite: seconds, peak memory of this
                                    process, seconds for all pages of a listing by a metric
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import large_grid, search_loop, stock_search
from benchmarks.parts.printing import print_figures
from tests.private_servers import PostgresServer

STOCK_TRIALS = {"random": 40, "tpe": 20}
OUR_TRIALS = {"random": 4_096, "tpe": 512, "grid": 10_000}
HISTORIES = (100, 1_000, 10_000)

Figures = dict[str, float]


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the URLs of an empty database of each kind."""
    server = PostgresServer(durable=True)
    try:
        yield {
            "postgres": server.new_database(),
            "sqlite": f"sqlite:///{folder / 'studies.sqlite3'}",
        }
    finally:
        server.stop()


def compared(url: str, store: str, runs: int) -> Figures:
    """Measure both sides on one database, in turns; medians over the runs."""
    ours: dict[tuple[str, int], list[float]] = {}
    stock: dict[tuple[str, int], list[float]] = {}
    for run in range(runs):
        for history in HISTORIES:
            for search in ("random", "tpe"):
                name = f"{search}-{history}-{run}"
                rate = asyncio.run(
                    search_loop.trials_per_second(
                        url, f"ours-{name}", search, history, OUR_TRIALS[search]
                    )
                )
                ours.setdefault((search, history), []).append(rate)
                asyncio.run(search_loop.make_study(url, f"stock-{name}", search, history))
                rate = stock_search.trials_per_second(
                    url, f"stock-{name}", search, STOCK_TRIALS[search]
                )
                stock.setdefault((search, history), []).append(rate)
    grid = [
        asyncio.run(
            search_loop.trials_per_second(url, f"ours-grid-{run}", "grid", 0, OUR_TRIALS["grid"])
        )
        for run in range(runs)
    ]
    figures: Figures = {}
    for (search, history), rates in ours.items():
        mine, theirs = statistics.median(rates), statistics.median(stock[search, history])
        label = f"{search}_{history // 1000}k" if history >= 1_000 else f"{search}_{history}"
        figures[f"{label}_trials_per_s_{store}"] = mine
        figures[f"{label}_stock_trials_per_s_{store}"] = theirs
        figures[f"{label}_vs_stock_{store}"] = mine / theirs
    figures[f"random_vs_stock_{store}"] = figures[f"random_1k_vs_stock_{store}"]
    figures[f"random_trials_per_s_{store}"] = figures[f"random_1k_trials_per_s_{store}"]
    figures[f"grid_trials_per_s_{store}"] = statistics.median(grid)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--json", action="store_true", help="one flat JSON object")
    parser.add_argument("--runs", type=int, default=3, help="rounds; medians are printed")
    arguments = parser.parse_args()
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as home, stores(Path(home)) as urls:
        # First, while this process is still small.
        figures |= large_grid.figures(f"sqlite:///{Path(home) / 'large.sqlite3'}")
        for store, url in urls.items():
            figures |= compared(url, store, arguments.runs)
    print_figures(figures, as_json=arguments.json)


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


if __name__ == "__main__":
    main()
