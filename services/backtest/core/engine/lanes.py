"""Eight held bars at a time: looking for the one that touches a level, in vectors.

See `octets` for why this gives the bits of a loop over single bars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.extending import intrinsic

from services.backtest.core.engine.octets import (
    LANES,
    VECTOR,
    chosen,
    extreme,
    first_lanes,
    loaded,
    marks_of,
    shuffled,
    spread,
)

_Pointer = Any
_Highest = Callable[[_Pointer, int, float, int, float], float]
_Touch = Callable[[_Pointer, _Pointer, int, float, float], int]
_Trail = Callable[
    [_Pointer, _Pointer, int, float, float, float, float, float, float], tuple[int, float]
]

# numba's own types are partly unknown.
_pair_of: Final[Any] = types.Tuple
_NUMBER: Final = types.float64
_PLACE: Final = types.int64
_LANE: Final = ir.IntType(32)


@intrinsic
def _touch(_: Any, lows: Any, highs: Any, _at: Any, _lower: Any, _upper: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        low, high, at, lower, upper = given
        below = builder.fcmp_ordered("<=", loaded(builder, low, at), spread(builder, lower))
        above = builder.fcmp_ordered(">=", loaded(builder, high, at), spread(builder, upper))
        return marks_of(builder, builder.or_(below, above))

    return types.uint64(lows, highs, _PLACE, _NUMBER, _NUMBER), build


@intrinsic
def _trail(
    _: Any,
    gains: Any,
    falls: Any,
    _at: Any,
    _side: Any,
    _fixed: Any,
    _target: Any,
    _starts: Any,
    _factor: Any,
    _best: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        gain, fall, at, *numbers = given
        side, fixed, target, starts, factor, best = (spread(builder, one) for one in numbers)
        risen = builder.fmul(side, loaded(builder, gain, at))
        fallen = builder.fmul(side, loaded(builder, fall, at))
        most = risen
        for step in (1, 2, 4):
            order = [max(lane - step, 0) for lane in range(LANES)]
            most = chosen(builder, ">", most, shuffled(builder, most, most, order))
        most = chosen(builder, ">", best, most)
        before = shuffled(builder, most, best, [LANES, *range(LANES - 1)])
        works = builder.fcmp_ordered(">=", before, starts)
        none = ir.Constant(VECTOR, [ir.Constant(ir.DoubleType(), float("-inf"))] * LANES)
        moved = builder.select(works, builder.fmul(before, factor), none)
        level = chosen(builder, ">", fixed, moved)
        ends = builder.fcmp_ordered("<=", fallen, level)
        marks = marks_of(builder, builder.or_(ends, builder.fcmp_ordered(">=", risen, target)))
        last = builder.extract_element(most, _LANE(LANES - 1))
        return context.make_tuple(builder, signature.return_type, [marks, last])

    result = _pair_of([types.uint64, _NUMBER])
    return result(gains, falls, _PLACE, *[_NUMBER] * 6), build


@intrinsic
def _highest(_: Any, gains: Any, _at: Any, _side: Any, _count: Any, _best: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        gain, at, side, count, best = given
        risen = builder.fmul(spread(builder, side), loaded(builder, gain, at))
        held = spread(builder, best)
        most = chosen(builder, ">", risen, held)
        return extreme(builder, ">", builder.select(first_lanes(builder, count), most, held))

    return _NUMBER(gains, _PLACE, _NUMBER, _PLACE, _NUMBER), build


touch: Final = cast("_Touch", _touch)
"""`touch(lows, highs, at, lower, upper)`: bit k tells whether the bar at + k reaches a level."""

trail: Final = cast("_Trail", _trail)
"""`trail(gains, falls, at, side, fixed, target, starts, factor, best)`: bit k tells whether the bar
at + k touches a level, the trailing stop having moved on the bars before it; and the best price
times side of all eight and before."""

highest: Final = cast("_Highest", _highest)
"""`highest(gains, at, side, count, best)`: the best price times side of so many bars and before."""
