"""One search per window, side by side: generation g of the study is generation g of every window.

Trial n of the study is trial n // windows of window n mod windows. So the first trials of a
generation are shared out evenly, and whose trial one is follows from its number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.optimizer.core.ports import Search
from services.optimizer.core.trial import Point, Trial


class WalkForwardSearch:
    """A `Search` made of those of the windows; none learns of another's trials."""

    def __init__(self, searches: Sequence[Search]) -> None:
        """Take the windows' searches, in the order of the windows."""
        self._searches = tuple(searches)

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points, window by window in turn."""
        total = len(self._searches)
        asked = [
            search.ask(generation_number, (count - window + total - 1) // total)
            for window, search in enumerate(self._searches)
        ]
        return [asked[place % total][place // total] for place in range(count)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell each window's search its trials of a finished generation, numbered as its own."""
        total = len(self._searches)
        for window, search in enumerate(self._searches):
            search.tell([_as_of_window(trial, total) for trial in trials[window::total]])


def _as_of_window(trial: Trial, window_count: int) -> Trial:
    first = trial.reused_trial_number
    return replace(
        trial,
        number=trial.number // window_count,
        reused_trial_number=None if first is None else first // window_count,
    )
