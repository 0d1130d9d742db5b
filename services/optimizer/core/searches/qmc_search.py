"""Quasi-random search: a scrambled Sobol sequence, which fills a space more evenly than chance.

Scipy makes direction numbers, scrambles them (a random lower triangular matrix and a shift, both
of bits drawn as whole numbers by PCG-64) and steps through the sequence in whole numbers; what it
returns are multiples of 2^-53, which doubles hold exactly. From there on all arithmetic is exact,
so no bit depends on the CPU.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.searches.random_search import ATTEMPT_LIMIT, space_infeasible, value_of
from services.optimizer.core.searches.seeds import RESOLUTION, draw
from services.optimizer.core.spec.space import Filter, Parameter, Space, accepts
from services.optimizer.core.trial import Point, Trial, Value

BITS: Final = 53
"""Binary digits of a coordinate: as many as a double holds."""

BLOCK: Final = 1_024
"""Points of the sequence made together; a power of two, which its balance asks for."""


class QmcSearch:
    """A `Search` along a Sobol sequence: trial n is its n-th point that fulfils the constraints.

    Any generation may be asked for. What lies before it is then looked through once for what the
    constraints refuse, at the cost of the constrained parameters alone; without constraints
    nothing is.
    """

    def __init__(
        self, space: Space, filters: Sequence[Filter], seed: int, generation_size: int
    ) -> None:
        self._space = space
        self._filters = tuple(filters)
        self._generation_size = generation_size
        self._places = {one.name: place for place, one in enumerate(space.searched)}
        self._sequence = _Sequence(max(len(self._places), 1), seed)
        named = frozenset().union(*(condition.names for condition in self._filters))
        self._watched = tuple(one for one in space.parameters if one.name in named)
        # Places in the sequence of the points accepted so far, by rising trial number.
        self._accepted = array("Q")
        self._looked_at = 0

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's first points.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE, a long stretch of the sequence fulfils
                the constraints not once.
        """
        first = generation_number * self._generation_size
        return [
            self._point(self._space.parameters, self._sequence.row(index))
            for index in self._indices(first, first + count)
        ]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing: the sequence is what it is."""

    def _indices(self, first: int, last: int) -> Iterator[int]:
        """Return the places in the sequence of trials `first` to `last` - 1."""
        if not self._filters:
            return iter(range(first, last))
        refused = 0
        while len(self._accepted) < last:
            row = self._sequence.row(self._looked_at)
            if accepts(self._point(self._watched, row), self._filters):
                self._accepted.append(self._looked_at)
                refused = 0
            elif (refused := refused + 1) == ATTEMPT_LIMIT:
                raise space_infeasible(
                    f"{ATTEMPT_LIMIT:,} points of the sequence fulfilled the constraints not once"
                )
            self._looked_at += 1
        return iter(self._accepted[first:last])

    def _point(
        self, parameters: Sequence[Parameter], row: npt.NDArray[np.float64]
    ) -> Mapping[str, Value]:
        return {one.name: value_of(one.domain, self._fraction(one.name, row)) for one in parameters}

    def _fraction(self, name: str, row: npt.NDArray[np.float64]) -> int:
        place = self._places.get(name)
        if place is None:
            return 0
        return int(row[place] * 2.0**BITS) * (RESOLUTION >> BITS)


class _Sequence:
    """The rows of a scrambled Sobol sequence, multiples of 2^-53 below 1, by their places."""

    def __init__(self, dimension_count: int, seed: int) -> None:
        # Loading it takes a second that starting up need not wait for; scipy ships no types.
        from scipy.stats import qmc  # type: ignore[import-untyped]  # noqa: PLC0415

        bits = np.random.PCG64(draw(seed, "qmc"))
        self._engine = qmc.Sobol(dimension_count, bits=BITS, rng=np.random.Generator(bits))
        self._next_block = 0
        self._block: npt.NDArray[np.float64] = np.empty((0, dimension_count))

    def row(self, index: int) -> npt.NDArray[np.float64]:
        """Return the row at a place; neighbours cost nothing."""
        number, place = divmod(index, BLOCK)
        if number < self._next_block - 1:
            self._engine.reset()
            self._next_block = 0
        # Scipy's fast_forward takes no sequence of more than 32 bits; drawing is as fast.
        while self._next_block <= number:
            self._block = self._engine.random(BLOCK)
            self._next_block += 1
        row: npt.NDArray[np.float64] = self._block[place]
        return row
