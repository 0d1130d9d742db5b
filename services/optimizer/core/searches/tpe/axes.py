"""Parameters as axes: numbers an estimator can work with, from values and back.

A place on a numeric axis lies between 0 and the axis's width. On a lattice of K values the width is
K and value i owns the cell from i to i + 1, with its place in the middle; every other range has
width 1. Words have their index as place.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Protocol

import numpy as np

from services.optimizer.core.searches.tpe.elementary import Floats, exponential, logarithm
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    exact,
)
from services.optimizer.core.trial import Value

FINEST_LATTICE: Final = 2**40
"""Values of a lattice above which its cells are not told apart by floats: it counts as a range."""

LARGEST_LOG_WHOLE: Final = 2**36
"""Whole numbers above which, on a logarithm, the same goes for them."""

SHORTEST_LOG: Final = 1.000001
"""A range whose ends are nearer to each other than by this factor counts as one without logarithm:
there is no difference but in lost digits."""

_REMEMBERED_VALUES: Final = 4_096


class Axis(Protocol):
    """A searched parameter."""

    @property
    def name(self) -> str:
        """The parameter's name."""

    @property
    def width(self) -> float:
        """Where the places end that begin with 0; 0 for words."""

    def places(self, values: Sequence[Value]) -> Floats:
        """Return the places of values of the domain, those outside moved to its ends."""

    def settled(self, places: Floats) -> Floats:
        """Return the places of the nearest values of the domain."""

    def numbers(self, places: Floats) -> Floats:
        """Return what `value` needs of settled places: a number, or an index, for each."""

    def value(self, number: float) -> Value:
        """Return the value of one of `numbers`, in the parameter's own type."""


class RangeAxis:
    """Any number of a range, or its logarithm; or a lattice too fine to tell its values apart."""

    width: Final = 1.0

    def __init__(self, name: str, domain: IntRange | DoubleRange) -> None:
        self.name = name
        self._domain = domain
        self._log = _has_logarithm(domain)
        # Halved where the range is too long for a double.
        self._unit = 1.0 if math.isfinite(float(domain.high) - float(domain.low)) else 0.5
        ends = self._scaled([domain.low, domain.high])
        self._low, self._high = float(ends[0]), float(ends[1])

    def _scaled(self, values: Sequence[Value]) -> Floats:
        numbers = np.array([float(value) for value in values])
        if self._log:
            return logarithm(np.maximum(numbers, _SMALLEST_NORMAL))
        return numbers * self._unit

    def places(self, values: Sequence[Value]) -> Floats:
        """Return how far through the range values lie."""
        shares = (self._scaled(values) - self._low) / (self._high - self._low)
        return np.minimum(np.maximum(shares, 0.0), 1.0)

    def settled(self, places: Floats) -> Floats:
        """Return the places: every one has a value."""
        return places

    def numbers(self, places: Floats) -> Floats:
        """Return the numbers at places."""
        scaled = self._low * (1.0 - places) + self._high * places
        numbers = exponential(scaled) if self._log else scaled / self._unit
        return np.minimum(np.maximum(numbers, float(self._domain.low)), float(self._domain.high))

    def value(self, number: float) -> Value:
        """Return the number, or the nearest value of the lattice."""
        if isinstance(self._domain, DoubleRange) and self._domain.step is None:
            # Without the sign of zero, which SQLite does not keep.
            return number + 0.0
        steps = (exact(number) - exact(self._domain.low)) / Fraction(exact(self._domain.step or 1))
        return self._domain.value_at(min(max(round(steps), 0), (self._domain.point_count or 1) - 1))


class LatticeAxis:
    """Whole numbers, or numbers a step apart."""

    def __init__(self, name: str, domain: IntRange | DoubleRange) -> None:
        self.name = name
        self.width = float(domain.point_count or 1)
        self._low, self._step = float(domain.low), float(domain.step or 1)
        self._value_at = functools.lru_cache(_REMEMBERED_VALUES)(domain.value_at)

    def places(self, values: Sequence[Value]) -> Floats:
        """Return the middles of the cells of values."""
        numbers = np.array([float(value) for value in values])
        return self.settled(np.floor((numbers - self._low) / self._step + 0.5) + 0.5)

    def settled(self, places: Floats) -> Floats:
        """Return the middles of the cells that places lie in."""
        return np.minimum(np.maximum(np.floor(places), 0.0), self.width - 1.0) + 0.5

    def numbers(self, places: Floats) -> Floats:
        """Return the indices of cells."""
        return places - 0.5

    def value(self, number: float) -> Value:
        """Return the value of a cell, exactly as a grid has it."""
        return self._value_at(int(number))


class LogWholeAxis:
    """Whole numbers searched by logarithm: each owns the numbers that round to it."""

    width: Final = 1.0

    def __init__(self, name: str, domain: IntRange) -> None:
        self.name = name
        self.cell_count = domain.point_count or 1
        self._first, self._last = float(domain.low), float(domain.high)
        ends = logarithm(np.array([self._first - 0.5, self._last + 0.5]))
        self._low, self._length = float(ends[0]), float(ends[1]) - float(ends[0])

    def places(self, values: Sequence[Value]) -> Floats:
        """Return the places of values."""
        return self._places_of(np.array([float(value) for value in values]))

    def settled(self, places: Floats) -> Floats:
        """Return the places of the whole numbers that places round to."""
        return self._places_of(self.numbers(places))

    def numbers(self, places: Floats) -> Floats:
        """Return the whole numbers that places round to."""
        numbers = np.rint(exponential(self._low + places * self._length))
        return np.minimum(np.maximum(numbers, self._first), self._last)

    def value(self, number: float) -> Value:
        """Return the whole number."""
        return int(number)

    def cells(self, places: Floats) -> tuple[Floats, Floats]:
        """Return where the cells of settled places begin and end."""
        numbers = self.numbers(places)
        return self._shares(numbers - 0.5), self._shares(numbers + 0.5)

    def _places_of(self, numbers: Floats) -> Floats:
        return self._shares(np.minimum(np.maximum(numbers, self._first), self._last))

    def _shares(self, numbers: Floats) -> Floats:
        return (logarithm(numbers) - self._low) / self._length


class WordAxis:
    """Words of a list."""

    width: Final = 0.0

    def __init__(self, name: str, domain: Categories) -> None:
        self.name = name
        self.words = domain.values
        self._index = {word: index for index, word in enumerate(domain.values)}

    def places(self, values: Sequence[Value]) -> Floats:
        """Return the indices of words."""
        return np.array([float(self._index[str(value)]) for value in values])

    def settled(self, places: Floats) -> Floats:
        """Return the indices as they are."""
        return places

    def numbers(self, places: Floats) -> Floats:
        """Return the indices."""
        return places

    def value(self, number: float) -> Value:
        """Return the word at an index."""
        return self.words[int(number)]


_SMALLEST_NORMAL: Final = 2.0**-1022


def axis_of(parameter: Parameter) -> Axis | None:
    """Return the axis of a parameter; None where it can only have one value."""
    name, domain = parameter.name, parameter.domain
    if domain.point_count == 1 or isinstance(domain, Fixed):
        return None
    if isinstance(domain, Categories):
        return WordAxis(name, domain)
    if domain.point_count is None:
        return None if domain.low == domain.high else RangeAxis(name, domain)
    if isinstance(domain, IntRange) and _has_logarithm(domain):
        few = domain.high <= LARGEST_LOG_WHOLE
        return LogWholeAxis(name, domain) if few else RangeAxis(name, domain)
    few = domain.point_count <= FINEST_LATTICE
    return LatticeAxis(name, domain) if few else RangeAxis(name, domain)


def only_value(parameter: Parameter) -> Value:
    """Return the value of a parameter without an axis."""
    domain = parameter.domain
    return domain.low if isinstance(domain, DoubleRange) else domain.value_at(0)


def _has_logarithm(domain: IntRange | DoubleRange) -> bool:
    return domain.log and domain.high > domain.low * SHORTEST_LOG
