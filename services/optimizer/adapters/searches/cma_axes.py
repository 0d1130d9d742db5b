"""The numbers that CMA-ES adapts, as axes of a unit cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.optimizer.core.searches.random_search import fraction_of, value_of
from services.optimizer.core.searches.seeds import RESOLUTION
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Fixed,
    IntRange,
    Space,
)
from services.optimizer.core.trial import Value

FINEST_LATTICE: Final = 1_000
"""Values up to which a lattice is told to CMA-ES as one; a finer one is a line with rounding."""

_DIGITS: Final = 2**64
"""Parts of the axis told apart."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A number with more than one value, over [0, 1].

    Attributes:
        name: The parameter's name.
        domain: Its domain.
        value_count: Values of a coarse lattice, which lie evenly from 0 to 1; None for a line, on
            which the domain lies as it does for random draws: by its logarithm, if it has one.
    """

    name: str
    domain: Domain
    value_count: int | None

    @property
    def step(self) -> float:
        """Distance of the values; 0 on a line."""
        return 0.0 if self.value_count is None else 1.0 / (self.value_count - 1)

    def value(self, coordinate: float) -> Value:
        """Return the value at a place from 0 to 1; a place beyond is that at the end."""
        inside = min(max(coordinate, 0.0), 1.0)
        if self.value_count is not None:
            return self.domain.value_at(round(inside * (self.value_count - 1)))
        fraction = int(inside * _DIGITS) * (RESOLUTION // _DIGITS)
        return value_of(self.domain, min(fraction, RESOLUTION - 1))

    def coordinate(self, value: Value) -> float:
        """Return where a value lies."""
        return self.drawn(fraction_of(self.domain, value))

    def drawn(self, fraction: int) -> float:
        """Return where the value of a draw of 0 to 2^128 - 1 lies."""
        if self.value_count is None:
            return fraction / RESOLUTION
        return (fraction * self.value_count // RESOLUTION) * self.step


def axes_of(space: Space) -> tuple[Axis, ...]:
    """Return the axes of a space: its numbers, but those with one value."""
    return tuple(
        Axis(one.name, one.domain, _value_count(one.domain))
        for one in space.parameters
        if not isinstance(one.domain, (Categories, Fixed)) and _spread(one.domain)
    )


def _spread(domain: IntRange | DoubleRange) -> bool:
    return domain.low < domain.high and domain.point_count != 1


def _value_count(domain: IntRange | DoubleRange) -> int | None:
    count = domain.point_count
    return None if domain.log or count is None or count > FINEST_LATTICE else count
