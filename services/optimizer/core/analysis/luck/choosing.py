"""Which trials are run again to see how likely the best one is luck."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.luck.sharpe import DAYS_PER_YEAR
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.trial import TrialState

SHARPE_RATIO: Final = "sharpe_ratio"

MOST_TRIALS: Final = 2_000
"""Trials looked at."""

MOST_BARS: Final = 400_000_000
"""Bars run for them together: seconds of one worker."""

FEWEST_TRIALS: Final = 50
"""So many are looked at however long the window."""

FEWEST_OF_WINDOW: Final = 10
"""So many are looked at in each window of a walk, however many there are."""

MOST_COMPARED: Final = 500
"""Trials whose daily returns are kept."""

MOST_RETURNS: Final = 250_000
"""Daily returns of theirs together: half a second of resampling."""

_ALL: Final = slice(None)


def complete_numbers(table: TrialTable, among: slice = _ALL) -> npt.NDArray[np.int64]:
    """Return the numbers of complete trials with parameters that no earlier one has, rising.

    Only those among some rows of the table, such as the trials of one window, are looked at.
    """
    numbers, states = table.numbers[among], table.states[among]
    rows = np.flatnonzero(states == TrialState.COMPLETE.value)
    if not len(rows) or not table.parameters:
        return numbers[rows[:1]]
    columns = [
        np.unique(column[among][rows], return_inverse=True)[1]
        for column in table.parameters.values()
    ]
    _, first = np.unique(np.column_stack(columns), axis=0, return_index=True)
    return numbers[rows[np.sort(first)]]


def sharpe_variance(table: TrialTable) -> float | None:
    """Return the variance (n - 1) of the Sharpe ratios per day of complete trials, each point once.

    The table must hold `SHARPE_RATIO`. None with fewer than two that have one.
    """
    ratios = table.metrics[SHARPE_RATIO][complete_numbers(table)]
    defined = ratios[np.isfinite(ratios)]
    if len(defined) < 2:
        return None
    return float(np.var(defined, ddof=1)) / DAYS_PER_YEAR


def covering(
    numbers: npt.NDArray[np.int64], best: int, bar_count: int, window_count: int = 1
) -> npt.NDArray[np.int64]:
    """Return trials that stand for all: evenly spaced by number, the best always among them.

    Windows share what is looked at in all.

    Spaced by number and not by merit: what is asked is how often the search as a whole, its poor
    trials included, would have been mistaken.
    """
    most = min(MOST_TRIALS, max(FEWEST_TRIALS, MOST_BARS // max(bar_count, 1)))
    if window_count > 1:
        most = max(most // window_count, FEWEST_OF_WINDOW)
    return numbers[spaced(numbers, best, most)]


def compared(numbers: npt.NDArray[np.int64], best: int, day_count: int) -> npt.NDArray[np.int64]:
    """Return the places of those trials whose daily returns are kept, chosen as by `covering`."""
    most = min(MOST_COMPARED, max(FEWEST_TRIALS, MOST_RETURNS // max(day_count, 1)))
    return spaced(numbers, best, most)


def spaced(numbers: npt.NDArray[np.int64], best: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many places in rising numbers, evenly spaced, that of the best included."""
    if len(numbers) <= most:
        return np.arange(len(numbers))
    places = np.arange(most) * len(numbers) // most
    own = int(np.searchsorted(numbers, best))
    # The best takes the place of the one before it.
    places[np.searchsorted(places, own, side="right") - 1] = own
    return places
