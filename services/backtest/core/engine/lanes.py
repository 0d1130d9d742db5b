"""Eight held bars at a time: what a walk does at each of them, in vectors.

Every lane does what the loop over single bars would do, with the same operations in the same
order: + - * / and comparisons give the same bits whatever the width of the registers they run in.
Sums are added up lane after lane, in the order of time. LLVM's own vector code, which any processor
can run, is written out because loops that carry sums are not turned into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.extending import intrinsic

LANES: Final = 8

_Pointer = Any
_Sums = tuple[float, float, float, float, float]
_Advance = Callable[[_Pointer, int, float, float, float, float, float, float, float], _Sums]
_AdvanceSome = Callable[
    [int, _Pointer, int, float, float, float, float, float, float, float], _Sums
]
_Highest = Callable[[_Pointer, int, float, int, float], float]
_Touch = Callable[[_Pointer, _Pointer, int, float, float], int]
_Trail = Callable[
    [_Pointer, _Pointer, int, float, float, float, float, float, float], tuple[int, float]
]

# numba's own types are partly unknown.
_tuple_of: Final[Any] = types.UniTuple
_pair_of: Final[Any] = types.Tuple
_NUMBER: Final = types.float64
_PLACE: Final = types.int64
_LANE: Final = ir.IntType(32)
_VECTOR: Final = ir.VectorType(ir.DoubleType(), LANES)


def _spread(builder: Any, number: Any) -> Any:
    """Return a number in all lanes."""
    none = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(none, number, _LANE(0))
    return _shuffled(builder, one, none, [0] * LANES)


def _shuffled(builder: Any, one: Any, other: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_LANE, LANES), order))


def _loaded(builder: Any, pointer: Any, at: Any) -> Any:
    start = builder.bitcast(builder.gep(pointer, [at]), ir.PointerType(_VECTOR))
    return builder.load(start, align=8, typ=_VECTOR)


def _chosen(builder: Any, sign: str, one: Any, other: Any) -> Any:
    """Return the lower (<) or the higher (>) of numbers, none of them NaN."""
    return builder.select(builder.fcmp_ordered(sign, one, other), one, other)


def _extreme(builder: Any, sign: str, values: Any) -> Any:
    """Return the lowest (<) or highest (>) of the lanes."""
    for step in (4, 2, 1):
        order = [(lane + step) % LANES for lane in range(LANES)]
        values = _chosen(builder, sign, values, _shuffled(builder, values, values, order))
    return builder.extract_element(values, _LANE(0))


def _first_lanes(builder: Any, count: Any) -> Any:
    """Return which lanes are among the first so many."""
    kind = ir.VectorType(ir.IntType(64), LANES)
    none = ir.Constant(kind, ir.Undefined)
    most = builder.insert_element(none, count, _LANE(0))
    most = _shuffled(builder, most, none, [0] * LANES)
    return builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), most)


def _marks(builder: Any, flags: Any) -> Any:
    """Return flags as the bits of an integer."""
    return builder.zext(builder.bitcast(flags, ir.IntType(LANES)), ir.IntType(64))


def _drawn(builder: Any, given: Any, count: Any = None) -> list[Any]:
    """Return the sums after eight closes, or after fewer, and the extremes of equity.

    Lanes that do not count add 0, which no sum that begins at 0 can tell.
    """
    pointer, at, cash, quantity, entry, previous, *sums = given
    moves = builder.fsub(_loaded(builder, pointer, at), _spread(builder, entry))
    gains = builder.fmul(_spread(builder, quantity), moves)
    values = builder.fadd(_spread(builder, cash), gains)
    earlier = _shuffled(builder, values, _spread(builder, previous), [LANES, *range(LANES - 1)])
    one = ir.Constant(_VECTOR, [1.0] * LANES)
    changes = builder.fsub(builder.fdiv(values, earlier), one)
    terms = [values, changes, builder.fmul(changes, changes)]
    if count is not None:
        counted = _first_lanes(builder, count)
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        terms = [builder.select(counted, term, zeros) for term in terms]
        first = _shuffled(builder, values, values, [0] * LANES)
        values = builder.select(counted, values, first)
    for place, term in enumerate(terms):
        for lane in range(LANES):
            sums[place] = builder.fadd(sums[place], builder.extract_element(term, _LANE(lane)))
    return [*sums, *(_extreme(builder, sign, values) for sign in ("<", ">"))]


@intrinsic
def _advance(
    _: Any,
    closes: Any,
    _at: Any,
    _cash: Any,
    _quantity: Any,
    _entry: Any,
    _previous: Any,
    _total: Any,
    _returns: Any,
    _squares: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, _drawn(builder, given))

    return _tuple_of(_NUMBER, 5)(closes, _PLACE, *[_NUMBER] * 7), build


@intrinsic
def _advance_some(
    _: Any,
    _count: Any,
    closes: Any,
    _at: Any,
    _cash: Any,
    _quantity: Any,
    _entry: Any,
    _previous: Any,
    _total: Any,
    _returns: Any,
    _squares: Any,
) -> Any:
    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        drawn = _drawn(builder, given[1:], given[0])
        return context.make_tuple(builder, signature.return_type, drawn)

    return _tuple_of(_NUMBER, 5)(_PLACE, closes, _PLACE, *[_NUMBER] * 7), build


@intrinsic
def _touch(_: Any, lows: Any, highs: Any, _at: Any, _lower: Any, _upper: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        low, high, at, lower, upper = given
        below = builder.fcmp_ordered("<=", _loaded(builder, low, at), _spread(builder, lower))
        above = builder.fcmp_ordered(">=", _loaded(builder, high, at), _spread(builder, upper))
        return _marks(builder, builder.or_(below, above))

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
        side, fixed, target, starts, factor, best = (_spread(builder, one) for one in numbers)
        risen = builder.fmul(side, _loaded(builder, gain, at))
        fallen = builder.fmul(side, _loaded(builder, fall, at))
        most = risen
        for step in (1, 2, 4):
            order = [max(lane - step, 0) for lane in range(LANES)]
            most = _chosen(builder, ">", most, _shuffled(builder, most, most, order))
        most = _chosen(builder, ">", best, most)
        before = _shuffled(builder, most, best, [LANES, *range(LANES - 1)])
        works = builder.fcmp_ordered(">=", before, starts)
        none = ir.Constant(_VECTOR, [ir.Constant(ir.DoubleType(), float("-inf"))] * LANES)
        moved = builder.select(works, builder.fmul(before, factor), none)
        level = _chosen(builder, ">", fixed, moved)
        ends = builder.fcmp_ordered("<=", fallen, level)
        marks = _marks(builder, builder.or_(ends, builder.fcmp_ordered(">=", risen, target)))
        last = builder.extract_element(most, _LANE(LANES - 1))
        return context.make_tuple(builder, signature.return_type, [marks, last])

    result = _pair_of([types.uint64, _NUMBER])
    return result(gains, falls, _PLACE, *[_NUMBER] * 6), build


@intrinsic
def _highest(_: Any, gains: Any, _at: Any, _side: Any, _count: Any, _best: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        gain, at, side, count, best = given
        risen = builder.fmul(_spread(builder, side), _loaded(builder, gain, at))
        held = _spread(builder, best)
        most = _chosen(builder, ">", risen, held)
        return _extreme(builder, ">", builder.select(_first_lanes(builder, count), most, held))

    return _NUMBER(gains, _PLACE, _NUMBER, _PLACE, _NUMBER), build


advance: Final = cast("_Advance", _advance)
"""`advance(closes, at, cash, quantity, entry, previous, total, returns, squares)`: draw the curve
over eight closes, see `after_close`.

Returns the three sums, then the lowest and the highest equity; these are for the caller to see
whether the account is ruined or at its peak.
"""

advance_some: Final = cast("_AdvanceSome", _advance_some)
"""`advance_some(count, ...)`: the same over the first ones of eight closes, at least one."""

touch: Final = cast("_Touch", _touch)
"""`touch(lows, highs, at, lower, upper)`: bit k tells whether the bar at + k reaches a level."""

trail: Final = cast("_Trail", _trail)
"""`trail(gains, falls, at, side, fixed, target, starts, factor, best)`: bit k tells whether the bar
at + k touches a level, the trailing stop having moved on the bars before it; and the best price
times side of all eight and before."""

highest: Final = cast("_Highest", _highest)
"""`highest(gains, at, side, count, best)`: the best price times side of so many bars and before."""
