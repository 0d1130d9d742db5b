"""What our Bayesian search finds, and after how many evaluations: against chance, grid and Optuna.

    python benchmarks/quality.py [--data FILE.csv.gz] [--seeds 10] [--json]

Every crossover of a grid of 19,800 (two periods and the kind of average) is run once over a year
of hourly bars, of a made-up market or of a file; a study then only looks its Sharpe ratios up. Each
search runs with every seed. A share is the best value reached over the best one of the grid, so it
means something only where the latter is well above zero, and no share is told where it is not.
Where the values reached are below zero shares are below zero too: a made-up market, on which
crossovers can only lose, is better told by the way from the grid's median to its optimum.

    {search}_{n}_share_of_grid_optimum   median over the seeds after n evaluations
    tpe_100_over_random_100_median       ratio of the medians reached after 100 evaluations
    {search}_100_way_from_median         (median reached - grid median) / (optimum - grid median)
    tpe_100_better_grid_points           points of the grid above the median reached, of all
    evaluations_saved_at_98_percent      evaluations after which half of all random searches have
                                         98 % of the optimum, over those half of ours need
    generation_8_minus_1_median          generations of 8 less single trials: difference of median
                                         shares after 100 evaluations
    tpe_minus_optuna_100_median          ours less Optuna's, both with generations of 8
    share_noise_100                      standard error of a median share after 100 evaluations, by
                                         drawing seeds anew (bootstrap), the largest of the searches

Searches: `random`, `tpe` (generations of 8), `tpe_sequential`, `tpe_alone` (each parameter for
itself, generations of 8), `optuna` and `optuna_sequential` (stock TPE, in this process), and `grid`
(an even grid of at most n points, run whole).
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts.crossover_table import CrossoverTable, crossover_table
from benchmarks.parts.printing import print_figures
from benchmarks.parts.searches import Study, chance, optunas, ours

EVALUATIONS: Final = (25, 50, 100, 200)
NEAR: Final = 0.98
_LONGEST: Final = 600
"""Evaluations of our search to find when it comes near the optimum."""
_RESAMPLED: Final = 2_000

SEARCHES: Final[dict[str, Study]] = {
    "random": chance,
    "tpe": ours(8),
    "tpe_sequential": ours(1),
    "tpe_alone": ours(8, multivariate=False),
    "optuna": optunas(8),
    "optuna_sequential": optunas(1),
}

Figures = dict[str, float | None]
Reached = npt.NDArray[np.float64]


def reached(study: Study, table: CrossoverTable, seeds: int, count: int) -> Reached:
    """Return the best value so far after every evaluation, shape (seeds, count)."""
    values = np.array([study(table, seed, count) for seed in range(seeds)])
    return np.maximum.accumulate(values, axis=1)


def evaluations_of_chance(table: CrossoverTable, least: float) -> int:
    """Return after how many draws half of all random searches have a value, exactly."""
    share = float(np.mean(table.values >= least))
    return math.ceil(math.log(0.5) / math.log1p(-share))


def evaluations_of_ours(table: CrossoverTable, seeds: int, least: float) -> float | None:
    """Return the median of evaluations until a value; None where half of the studies miss it."""
    found = reached(SEARCHES["tpe"], table, seeds, _LONGEST) >= least
    first = np.where(found.any(axis=1), found.argmax(axis=1) + 1.0, np.inf)
    median = float(np.median(first))
    return median if math.isfinite(median) else None


def noise(values: Reached) -> float:
    """Return the standard error of a median, by drawing from the values anew."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (_RESAMPLED, len(values)))
    return float(np.median(drawn, axis=1).std())


def measure(table: CrossoverTable, seeds: int) -> Figures:
    """Run every search with every seed; returns the figures."""
    optimum = float(table.values.max())
    runs = {name: reached(study, table, seeds, EVALUATIONS[-1]) for name, study in SEARCHES.items()}
    medians = {
        (name, count): float(np.median(run[:, count - 1]))
        for name, run in runs.items()
        for count in EVALUATIONS
    }
    medians |= {("grid", count): table.evenly(count) for count in EVALUATIONS}
    figures: Figures = {
        "grid_points": table.values.size,
        "grid_optimum": optimum,
        "grid_median": float(np.median(table.values)),
        "grid_points_at_98_percent": float((table.values >= NEAR * optimum).sum()),
        "seeds": seeds,
        "tpe_100_better_grid_points": float((table.values > medians["tpe", 100]).sum()),
        "random_100_better_grid_points": float((table.values > medians["random", 100]).sum()),
        "tpe_100_over_random_100_median": None,
        "evaluations_saved_at_98_percent": None,
    }
    for name in ("tpe", "random"):
        way = (medians[name, 100] - np.median(table.values)) / (optimum - np.median(table.values))
        figures[f"{name}_100_way_from_median"] = float(way)
    if medians["random", 100] > 0:
        ratio = medians["tpe", 100] / medians["random", 100]
        figures["tpe_100_over_random_100_median"] = ratio
    if optimum <= 0:
        return figures
    return figures | _shares(medians, optimum, runs) | _saved(table, seeds, optimum)


def _shares(
    medians: dict[tuple[str, int], float], optimum: float, runs: dict[str, Reached]
) -> Figures:
    shares = {key: median / optimum for key, median in medians.items()}
    figures: Figures = {
        f"{name}_{count}_share_of_grid_optimum": share for (name, count), share in shares.items()
    }
    figures["generation_8_minus_1_median"] = shares["tpe", 100] - shares["tpe_sequential", 100]
    figures["tpe_minus_optuna_100_median"] = shares["tpe", 100] - shares["optuna", 100]
    figures["share_noise_100"] = max(noise(run[:, 99] / optimum) for run in runs.values())
    return figures


def _saved(table: CrossoverTable, seeds: int, optimum: float) -> Figures:
    by_chance = evaluations_of_chance(table, NEAR * optimum)
    own = evaluations_of_ours(table, seeds, NEAR * optimum)
    return {
        "random_evaluations_to_98_percent": by_chance,
        "tpe_evaluations_to_98_percent": own,
        "evaluations_saved_at_98_percent": None if own is None else by_chance / own,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="hourly candles, CSV or CSV.gz")
    parser.add_argument("--seeds", type=int, default=10, help="studies of each search")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures = measure(crossover_table(arguments.data), arguments.seeds)
    print_figures(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
