"""The proposals of one generation, place by place; how many are wanted changes none of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.optimizer.core.searches.seeds import draw
from services.optimizer.core.searches.tpe.axes import Axis
from services.optimizer.core.searches.tpe.candidates import Candidates, Estimator
from services.optimizer.core.searches.tpe.elementary import Floats
from services.optimizer.core.trial import Value

CANDIDATE_COUNT: Final = 24
"""Candidates drawn for one point at a time, as in Optuna."""

ROUND_LIMIT: Final = 6
"""Times that candidates are drawn for one point."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Values that could be proposed.

    Attributes:
        values: One per axis.
        candidate: The same as a single candidate.
    """

    values: tuple[Value, ...]
    candidate: Candidates


class Proposals:
    """Candidates for every place of a generation, and what was proposed of them."""

    def __init__(self, estimator: Estimator, seed: int, generation_number: int, count: int) -> None:
        """Draw the first candidates of all places at once."""
        self._estimator = estimator
        self._seed = seed
        self._generation_number = generation_number
        self._pool = self._drawn(range(count), 0)
        self._taken: list[Candidates] = []

    def offers(self, place: int) -> Iterator[Offer]:
        """Yield what could be proposed at a place, the best first, then new candidates.

        Where axes are estimated each alone, the best of each come together, then the second best.
        """
        yield from self._by_merit(self._pool, place * CANDIDATE_COUNT)
        for attempt in range(1, ROUND_LIMIT):
            candidates = self._drawn([place], attempt)
            if self._taken:
                self._estimator.repel(candidates, 0, Candidates.joined(self._taken))
            yield from self._by_merit(candidates, 0)

    def take(self, place: int, candidate: Candidates) -> None:
        """Propose a candidate at a place: those of later places keep away from it."""
        self._taken.append(candidate)
        behind = (place + 1) * CANDIDATE_COUNT
        if behind < self._pool.places.shape[1]:
            self._estimator.repel(self._pool, behind, candidate)

    def take_values(self, place: int, values: Sequence[Value]) -> None:
        """Propose values of the axes at a place that came from elsewhere."""
        axes = self._estimator.axes.all
        places = [axis.places([value]) for axis, value in zip(axes, values, strict=True)]
        self.take(place, self._estimator.at(np.array(places)))

    def _drawn(self, places: Sequence[int], attempt: int) -> Candidates:
        shape = (CANDIDATE_COUNT, self._estimator.draw_count)
        draws = [
            uniform_draws(draw(self._seed, "tpe", self._generation_number, place, attempt), shape)
            for place in places
        ]
        return self._estimator.candidates(np.ascontiguousarray(np.concatenate(draws).T))

    def _by_merit(self, candidates: Candidates, first: int) -> Iterator[Offer]:
        axes = self._estimator.axes
        part = slice(first, first + CANDIDATE_COUNT)
        merits = candidates.good[:, part] / candidates.other[:, part]
        orders = np.argsort(-merits, axis=1, kind="stable") + first
        for of_groups in zip(*orders.tolist(), strict=True):
            candidate = candidates.one(axes, of_groups)
            numbers = candidate.numbers[:, 0].tolist()
            yield Offer(tuple(map(_value, axes.all, numbers)), candidate)


def _value(axis: Axis, number: float) -> Value:
    return axis.value(number)


def uniform_draws(seed: int, shape: tuple[int, ...]) -> Floats:
    """Return numbers above 0 and below 1, as fine as doubles there allow, the same everywhere.

    Args:
        seed: A draw of `seeds.draw`.
        shape: Shape of the result.
    """
    count = 1
    for length in shape:
        count *= length
    digest = hashlib.shake_128(seed.to_bytes(16, "little")).digest(8 * count)
    whole = np.frombuffer(digest, dtype="<u8").astype(np.uint64) >> np.uint64(12)
    return ((whole.astype(np.float64) + 0.5) * 2.0**-52).reshape(shape)
