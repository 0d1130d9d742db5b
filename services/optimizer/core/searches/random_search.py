"""Random search: trial n is a function of the seed and n alone.

Every draw is a hash of the seed, the trial, the attempt and the parameter's name, turned into a
value by exact arithmetic; logarithms are taken in decimals. No bit depends on the CPU, on the
order of the draws, or on other parameters of the space.
"""

from __future__ import annotations

import decimal
import functools
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from services.common.errors import AssayError, Code
from services.optimizer.core.searches.seeds import RESOLUTION, draw
from services.optimizer.core.spec.space import (
    Categories,
    Domain,
    DoubleRange,
    Filter,
    Fixed,
    IntRange,
    Space,
    accepts,
    exact,
    over_one_denominator,
)
from services.optimizer.core.trial import Point, Trial, Value

ATTEMPT_LIMIT: Final = 100_000
"""Draws for one trial before the space counts as infeasible."""

CHECK_DRAWS: Final = 10_000
CHECK_ACCEPTED: Final = 10
"""A space must yield this many points in `CHECK_DRAWS`; then no trial ever meets the limit."""

_DECIMALS = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)


class RandomSearch:
    """A `Search` by independent draws; a point may come twice."""

    def __init__(
        self, space: Space, filters: Sequence[Filter], seed: int, generation_size: int
    ) -> None:
        self._space = space
        self._filters = tuple(filters)
        self._seed = seed
        self._generation_size = generation_size

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return the generation's points.

        Raises:
            AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE, no draw fulfils the constraints.
        """
        first = generation_number * self._generation_size
        return [self.point(number) for number in range(first, first + count)]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing: draws are independent."""

    def point(self, number: int) -> Point:
        """Return the point of a trial: the first of its draws that fulfils the constraints."""
        return feasible_point(self._space, self._filters, self._seed, "random", number)


def feasible_point(space: Space, filters: Sequence[Filter], seed: int, *names: object) -> Point:
    """Return the first uniform draw for a purpose that fulfils the constraints.

    Args:
        space: The parameters.
        filters: The constraints.
        seed: The study's seed.
        names: What the point is for, as for `seeds.draw`.

    Raises:
        AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE, no draw fulfils the constraints.
    """
    for attempt in range(ATTEMPT_LIMIT):
        point = drawn_point(space, seed, *names, attempt)
        if accepts(point, filters):
            return point
    raise space_infeasible(f"{ATTEMPT_LIMIT:,} draws fulfilled the constraints not once")


def drawn_point(space: Space, seed: int, *names: object) -> Point:
    """Return one uniform draw for a purpose, whether or not it fulfils any constraint."""
    return {
        parameter.name: value_of(parameter.domain, draw(seed, *names, parameter.name))
        for parameter in space.parameters
    }


def check_feasible(space: Space, filters: Sequence[Filter], seed: int) -> None:
    """Refuse a space of which chance finds too little.

    Raises:
        AssayError: INVALID_ARGUMENT/SPACE_INFEASIBLE.
    """
    if not filters:
        return
    accepted = 0
    for attempt in range(CHECK_DRAWS):
        accepted += accepts(drawn_point(space, seed, "random", -1, attempt), filters)
        if accepted == CHECK_ACCEPTED:
            return
    raise space_infeasible(
        f"of {CHECK_DRAWS:,} random points {accepted} fulfil the constraints on parameters, "
        f"at least {CHECK_ACCEPTED} are needed"
    )


def space_infeasible(message: str) -> AssayError:
    """Return INVALID_ARGUMENT/SPACE_INFEASIBLE."""
    return AssayError(Code.INVALID_ARGUMENT, "SPACE_INFEASIBLE", message)


def value_of(domain: Domain, fraction: int) -> Value:
    """Return the value a draw of 0 to 2^128 - 1 stands for, uniform over the domain."""
    if isinstance(domain, (IntRange, DoubleRange)) and domain.log:
        return _on_logarithm(domain, fraction)
    if isinstance(domain, DoubleRange) and domain.step is None:
        low, high, denominator = over_one_denominator(domain.low, domain.high)
        return (low * RESOLUTION + (high - low) * fraction) / (denominator * RESOLUTION)
    if isinstance(domain, (IntRange, DoubleRange, Categories, Fixed)):
        count = domain.point_count or 1
        return domain.value_at(fraction * count // RESOLUTION)
    raise TypeError(f"{domain!r} is no domain")


def fraction_of(domain: Domain, value: Value) -> int:
    """Return a draw that `value_of` turns into this value of the domain, or next to it.

    The middle of the draws that a value of a lattice owns; next to it only where a range without
    lattice is searched by its logarithm.
    """
    if isinstance(domain, (IntRange, DoubleRange)) and not isinstance(value, str):
        if domain.log:
            return _from_logarithm(domain, value)
        low, high = exact(domain.low), exact(domain.high)
        if domain.step is None and isinstance(domain, DoubleRange):
            share = Fraction(exact(value) - low) / (high - low) if high > low else Fraction(0)
            return _bounded(math.floor(share * RESOLUTION))
        index = round((exact(value) - low) / Fraction(exact(domain.step or 1)))
    else:
        index = domain.values.index(str(value)) if isinstance(domain, Categories) else 0
    return (2 * index + 1) * RESOLUTION // (2 * (domain.point_count or 1))


def _bounded(fraction: int) -> int:
    return min(max(fraction, 0), RESOLUTION - 1)


def _ends(domain: IntRange | DoubleRange) -> tuple[Decimal, Decimal]:
    """Return the logarithms between which draws lie; a whole number owns half a step around it."""
    half = Decimal("0.5") if isinstance(domain, IntRange) else Decimal(0)
    return (
        _logarithm(Decimal(repr(domain.low)) - half),
        _logarithm(Decimal(repr(domain.high)) + half),
    )


def _from_logarithm(domain: IntRange | DoubleRange, value: float) -> int:
    first, last = _ends(domain)
    if first == last:
        return 0
    beyond = _DECIMALS.subtract(_logarithm(Decimal(repr(value))), first)
    share = _DECIMALS.divide(beyond, _DECIMALS.subtract(last, first))
    scaled = _DECIMALS.multiply(share, Decimal(RESOLUTION))
    return _bounded(int(scaled.to_integral_value(decimal.ROUND_HALF_EVEN)))


def _on_logarithm(domain: IntRange | DoubleRange, fraction: int) -> Value:
    """Return low x (high / low)^fraction."""
    first, last = _ends(domain)
    share = _DECIMALS.divide(Decimal(fraction), Decimal(RESOLUTION))
    exponent = _DECIMALS.fma(_DECIMALS.subtract(last, first), share, first)
    drawn = _DECIMALS.exp(exponent)
    if isinstance(domain, IntRange):
        nearest = int(drawn.to_integral_value(decimal.ROUND_HALF_EVEN))
        return min(max(nearest, domain.low), domain.high)
    return min(max(float(drawn), domain.low), domain.high)


@functools.lru_cache(maxsize=256)
def _logarithm(number: Decimal) -> Decimal:
    return _DECIMALS.ln(number)
