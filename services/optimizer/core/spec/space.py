"""Parameter domains, their lattices and the space they span. Knows neither metrics nor searches.

Numbers are taken as the decimals people write: 0.1 is one tenth. So `high - low` is a multiple of
`step` exactly when it is one on paper, and a value of a lattice is the float nearest to its
decimal, however many steps it lies from the low end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Protocol

from services.optimizer.core.trial import Point, Value

LARGEST_INT: Final = 2**53
"""Whole numbers beyond this do not survive the way through a double."""

ENUMERATION_LIMIT: Final = 1_000_000
"""Points a constrained grid may have before its constraints: beyond it none is enumerated, since a
million take seconds."""

Exact = int | Fraction


def exact(number: float) -> Exact:
    """Return a number as the decimal it is written as: `exact(0.1)` is 1/10."""
    if isinstance(number, int):
        return number
    return Fraction(Decimal(repr(number)))


@functools.lru_cache(maxsize=1024)
def over_one_denominator(one: float, other: float) -> tuple[int, int, int]:
    """Return two decimals as numerators, and their denominator.

    Quotients of whole numbers are the floats nearest to them, like those of fractions, which take
    twenty times as long.
    """
    first, second = Fraction(exact(one)), Fraction(exact(other))
    denominator = math.lcm(first.denominator, second.denominator)
    return int(first * denominator), int(second * denominator), denominator


@functools.lru_cache(maxsize=1024)
def _step_count(low: float, high: float, step: float) -> int:
    return int((exact(high) - exact(low)) // exact(step))


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included, `step` apart (None: 1)."""

    low: int
    high: int
    step: int | None = None
    log: bool = False

    @property
    def point_count(self) -> int | None:
        """Number of values."""
        return (self.high - self.low) // (self.step or 1) + 1

    def value_at(self, index: int) -> Value:
        """Return the value `index` steps above the low end."""
        return self.low + index * (self.step or 1)


@dataclass(frozen=True, slots=True)
class DoubleRange:
    """Numbers from `low` to `high`, both included, `step` apart (None: any number between)."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def point_count(self) -> int | None:
        """Number of values; None without a step."""
        if self.step is None:
            return None
        return _step_count(self.low, self.high, self.step) + 1

    def value_at(self, index: int) -> Value:
        """Return the float nearest to low + index x step in decimals; needs a step."""
        if self.step is None:
            raise ValueError("a range without a step has no lattice")
        low, step, denominator = over_one_denominator(self.low, self.step)
        return (low + index * step) / denominator


@dataclass(frozen=True, slots=True)
class Categories:
    """A list of words."""

    values: tuple[str, ...]

    @property
    def point_count(self) -> int | None:
        """Number of words."""
        return len(self.values)

    def value_at(self, index: int) -> Value:
        """Return the word at a place."""
        return self.values[index]


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value, not searched."""

    value: Value

    @property
    def point_count(self) -> int | None:
        """Always 1."""
        return 1

    def value_at(self, index: int) -> Value:
        """Return the value; the index can only be 0."""
        del index
        return self.value


Domain = IntRange | DoubleRange | Categories | Fixed


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and where to search it."""

    name: str
    domain: Domain


class Filter(Protocol):
    """A condition on parameters; `Condition` of `constraints` is one."""

    @property
    def names(self) -> frozenset[str]:
        """The parameters it speaks of."""

    def holds(self, values: Mapping[str, Exact]) -> bool:
        """Tell whether it holds for these values."""


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters in the order of the spec, fixed ones included."""

    parameters: tuple[Parameter, ...]

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that are not fixed."""
        return tuple(one for one in self.parameters if not isinstance(one.domain, Fixed))

    @property
    def fixed(self) -> dict[str, Value]:
        """The values of the fixed parameters."""
        return {
            one.name: one.domain.value for one in self.parameters if isinstance(one.domain, Fixed)
        }

    @property
    def point_count(self) -> int | None:
        """Points of the full grid, before any constraint; None where a range has no step."""
        total = 1
        for parameter in self.parameters:
            count = parameter.domain.point_count
            if count is None:
                return None
            total *= count
        return total

    def point(self, values: Sequence[Value]) -> Point:
        """Return the point with these values, given in the order of the parameters."""
        return {
            parameter.name: value for parameter, value in zip(self.parameters, values, strict=True)
        }

    def point_at(self, rank: int) -> Point:
        """Return a point of the full grid by its rank, the last parameter varying fastest.

        Raises:
            ValueError: a range has no step.
        """
        values: list[Value] = []
        for parameter in reversed(self.parameters):
            rank, index = divmod(rank, parameter.domain.point_count or 0)
            values.append(_value_at(parameter.domain, index))
        return self.point(values[::-1])


def exact_values(point: Mapping[str, Value]) -> dict[str, Exact]:
    """Return the numbers of a point as exact decimals; words are left out."""
    return {name: exact(value) for name, value in point.items() if not isinstance(value, str)}


def accepts(point: Mapping[str, Value], filters: Sequence[Filter]) -> bool:
    """Tell whether a point fulfils all filters."""
    if not filters:
        return True
    values = exact_values(point)
    return all(condition.holds(values) for condition in filters)


def grid_ranks(space: Space, filters: Sequence[Filter]) -> Iterator[int]:
    """Yield the ranks of the grid's points that fulfil the filters, by rising rank.

    The rank of a point is its place in the full grid, the last parameter varying fastest. A filter
    is asked as soon as every parameter it names has a value, so that one refusal spares everything
    behind it.
    """
    return _Walk(space, filters).ranks()


def constrained_head(space: Space, filters: Sequence[Filter]) -> tuple[Space, int]:
    """Return the parameters up to the last one filtered, and the points of those behind it.

    Raises:
        ValueError: a range has no step.
    """
    constrained = [
        index
        for index, parameter in enumerate(space.parameters)
        if any(parameter.name in condition.names for condition in filters)
    ]
    head = Space(space.parameters[: max(constrained, default=-1) + 1])
    tail_count = Space(space.parameters[len(head.parameters) :]).point_count
    if tail_count is None or head.point_count is None:
        raise ValueError("a range without a step has no lattice")
    return head, tail_count


def grid_point_count(space: Space, filters: Sequence[Filter]) -> int:
    """Return how many points `grid_ranks` would yield, enumerating no further than needed.

    Raises:
        ValueError: a range has no step.
    """
    head, tail_count = constrained_head(space, filters)
    return tail_count * sum(1 for _ in grid_ranks(head, filters))


class _Walk:
    """A depth-first walk over the lattice, parameter by parameter."""

    def __init__(self, space: Space, filters: Sequence[Filter]) -> None:
        self._domains = [parameter.domain for parameter in space.parameters]
        self._names = [parameter.name for parameter in space.parameters]
        self._counts = [domain.point_count or 0 for domain in self._domains]
        place = {name: index for index, name in enumerate(self._names)}
        self._due: list[list[Filter]] = [[] for _ in self._names]
        for condition in filters:
            self._due[max(place[name] for name in condition.names)].append(condition)
        self._watched = frozenset(name for condition in filters for name in condition.names)
        self._numbers: dict[str, Exact] = {}

    def ranks(self, depth: int = 0, rank: int = 0) -> Iterator[int]:
        """Yield the rank of every completion of the values chosen so far."""
        if depth == len(self._names):
            yield rank
            return
        name, due = self._names[depth], self._due[depth]
        first = rank * self._counts[depth]
        for index, number in enumerate(self._values(depth)):
            if number is not None:
                self._numbers[name] = number
            if all(condition.holds(self._numbers) for condition in due):
                yield from self.ranks(depth + 1, first + index)

    def _values(self, depth: int) -> Iterator[Exact | None]:
        """Yield the numbers of a domain; None where no filter asks for them."""
        domain, watched = self._domains[depth], self._names[depth] in self._watched
        for index in range(self._counts[depth]):
            value = _value_at(domain, index) if watched else ""
            yield None if isinstance(value, str) else exact(value)


@functools.lru_cache(maxsize=65_536)
def _value_at(domain: Domain, index: int) -> Value:
    return domain.value_at(index)


def reachable_high(domain: IntRange | DoubleRange) -> float | None:
    """Return the largest value of a range that steps reach, if it is not `high`; else None."""
    if domain.step is None:
        return None
    low, high, step = exact(domain.low), exact(domain.high), exact(domain.step)
    reached = low + (high - low) // step * step
    if reached == high:
        return None
    return int(reached) if isinstance(domain, IntRange) else float(reached)
