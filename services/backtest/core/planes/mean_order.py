"""Which of two means is the higher one, bar by bar, without dividing.

A mean is a sum s >= 0, exact, divided by d > 0: q = s / d, rounded once. The products of s with
1 / d, made a little smaller and a little larger, lie on either side of q: its rounding and theirs,
of the reciprocal, the factor and the product, are less than 2^-50 together, the factor was moved by
2^-48. So where the lower bound of one mean lies above the upper bound of another the quotients
differ in the same way. Where the bounds overlap, which is next to nowhere, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from services.backtest.core.kernel import Numbers
from services.backtest.core.planes.bits import Quads, broadcast, quads_of, words_of_flags

_SLACK: Final = 2.0**-48

_Order = Callable[..., tuple[np.uint64, np.uint64]]

# numba's own types are partly unknown.
_pair: Final[Any] = types.UniTuple(types.uint64, 2)  # type: ignore[no-untyped-call]


def bounding_factors(divisors: Numbers) -> Numbers:
    """Return what sums are multiplied by to lie below and above their means, shape (rows, 2)."""
    reciprocals = 1.0 / divisors
    return np.stack([reciprocals * (1.0 - _SLACK), reciprocals * (1.0 + _SLACK)], axis=1)


def _bounds(context: Any, builder: Any, signature: Any, given: Any, first: int) -> Quads:
    """Return what gives the lower and the upper bounds of four means."""
    kind, sums = signature.args[first], given[first]
    ends = quads_of(context, builder, kind, sums, given[first + 1])
    starts = quads_of(context, builder, kind, sums, given[first + 2])
    low, high = (broadcast(builder, given[first + place])(0) for place in (3, 4))

    def bounds(at: int) -> tuple[Any, Any]:
        total = builder.fsub(ends(at), starts(at))
        return builder.fmul(total, low), builder.fmul(total, high)

    return bounds


@intrinsic
def _mean_order64(
    _: Any,
    one: Any,
    _end: Any,
    _start: Any,
    _low: Any,
    _high: Any,
    other: Any,
    _other_end: Any,
    _other_start: Any,
    _other_low: Any,
    _other_high: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        ones, others = (_bounds(context, builder, signature, given, first) for first in (0, 5))

        def flags(at: int) -> list[Any]:
            (low, high), (other_low, other_high) = ones(at), others(at)
            return [
                builder.fcmp_ordered(">", low, other_high),
                builder.fcmp_ordered(">", other_low, high),
            ]

        return context.make_tuple(builder, _pair, words_of_flags(builder, 2, flags))

    number, place = types.float64, types.int64
    row = place, place, number, number
    return _pair(one, *row, other, *row), build


mean_order64: Final = cast("_Order", _mean_order64)
"""`mean_order64(a, end, start, low, high, b, ...)`: the words of "the mean of a is higher" and "the
mean of b is higher", k from 0 to 63; both bits are 0 where it is not sure.

A mean is (a[end + k] - a[start + k]) / d with `bounding_factors` low and high of d; a and b are
pointers to sums that do not fall.
"""
