"""Which points a study has tried already, so that none is run twice."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.study.digest import value_bytes
from services.optimizer.core.study.judge import OBJECTIVE_UNDEFINED
from services.optimizer.core.trial import Point, Trial, TrialState


class TriedPoints:
    """The points of a study's trials with the number of the first trial at each.

    The same parameters in another window are another point.

    A trial that failed for a reason outside its point, such as a worker's, is not remembered: its
    point deserves another try.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def add(self, trials: Sequence[Trial]) -> None:
        """Remember trials."""
        for trial in trials:
            if trial.state is not TrialState.FAILED or (
                trial.outcome.failure_reason == OBJECTIVE_UNDEFINED
            ):
                self._numbers.setdefault(_key(trial.parameters, trial.window_number), trial.number)

    def number_of(self, point: Point, window_number: int | None = None) -> int | None:
        """Return the number of the first trial at a point; None for a new one."""
        return self._numbers.get(_key(point, window_number))


def firsts_of(points: Sequence[Point], windows: Sequence[int | None]) -> list[int]:
    """Return for each point the place of the first equal one in its window, its own if it is that.

    `windows` are the points' windows.
    """
    seen: dict[bytes, int] = {}
    keys = map(_key, points, windows)
    return [seen.setdefault(key, place) for place, key in enumerate(keys)]


def _key(point: Point, window_number: int | None) -> bytes:
    of_window = b"" if window_number is None else value_bytes(window_number)
    return of_window + b"".join(map(value_bytes, point.values()))
