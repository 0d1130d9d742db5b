"""Which points a study has tried already, so that none is run twice."""

from __future__ import annotations

from collections.abc import Sequence

from services.optimizer.core.study.digest import value_bytes
from services.optimizer.core.study.judge import OBJECTIVE_UNDEFINED
from services.optimizer.core.trial import Point, Trial, TrialState


class TriedPoints:
    """The points of a study's trials with the number of the first trial at each.

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
                self._numbers.setdefault(_key(trial.parameters), trial.number)

    def number_of(self, point: Point) -> int | None:
        """Return the number of the first trial at a point; None for a new one."""
        return self._numbers.get(_key(point))


def firsts_of(points: Sequence[Point]) -> list[int]:
    """Return for each point the place of the first equal one among them, its own if it is that."""
    seen: dict[bytes, int] = {}
    return [seen.setdefault(_key(point), place) for place, point in enumerate(points)]


def _key(point: Point) -> bytes:
    return b"".join(map(value_bytes, point.values()))
