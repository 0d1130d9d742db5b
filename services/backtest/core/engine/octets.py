"""Eight numbers at a time: a type of its own for kernels, and what is done with it.

Every lane does what a loop over single numbers would do, with the same operations in the same
order: + - * / and comparisons give the same bits whatever the width of the registers they run in.
Sums are added up lane after lane, in the order of time. LLVM's own vector code, which any processor
can run, is written out because loops that carry sums are not turned into it. Octets live in
registers: they are never kept in arrays, and Python does not see them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.extending import intrinsic, models, register_model

LANES: Final = 8

Octet = Any
"""Eight numbers; numba knows what they are."""
_Pointer = Any

_NUMBER: Final = types.float64
_PLACE: Final = types.int64
_LANE: Final = ir.IntType(32)
VECTOR: Final = ir.VectorType(ir.DoubleType(), LANES)


class _OctetType(types.Type):
    """Eight float64 in one value."""

    def __init__(self) -> None:
        super().__init__(name="Octet")


_OCTET: Final = _OctetType()


@register_model(_OctetType)
class _OctetModel(models.PrimitiveModel):
    """Says that an octet is a vector."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)  # type: ignore[no-untyped-call]  # numba's own


def spread(builder: Any, number: Any) -> Any:
    """Return a number in all lanes."""
    none = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(none, number, _LANE(0))
    return shuffled(builder, one, none, [0] * LANES)


def shuffled(builder: Any, one: Any, other: Any, order: list[int]) -> Any:
    """Return lanes of two vectors, those of the other counted from 8 on."""
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_LANE, LANES), order))


def loaded(builder: Any, pointer: Any, at: Any) -> Any:
    """Return eight numbers of an unowned array."""
    start = builder.bitcast(builder.gep(pointer, [at]), ir.PointerType(VECTOR))
    return builder.load(start, align=8, typ=VECTOR)


def chosen(builder: Any, sign: str, one: Any, other: Any) -> Any:
    """Return the lower (<) or the higher (>) of numbers, none of them NaN."""
    return builder.select(builder.fcmp_ordered(sign, one, other), one, other)


def extreme(builder: Any, sign: str, values: Any) -> Any:
    """Return the lowest (<) or highest (>) of the lanes."""
    for step in (4, 2, 1):
        order = [(lane + step) % LANES for lane in range(LANES)]
        values = chosen(builder, sign, values, shuffled(builder, values, values, order))
    return builder.extract_element(values, _LANE(0))


def first_lanes(builder: Any, count: Any) -> Any:
    """Return which lanes are among the first so many."""
    kind = ir.VectorType(ir.IntType(64), LANES)
    none = ir.Constant(kind, ir.Undefined)
    most = builder.insert_element(none, count, _LANE(0))
    most = shuffled(builder, most, none, [0] * LANES)
    return builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), most)


def marks_of(builder: Any, flags: Any) -> Any:
    """Return flags as the bits of an integer."""
    return builder.zext(builder.bitcast(flags, ir.IntType(LANES)), ir.IntType(64))


@intrinsic
def _eight(_: Any, _number: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return spread(builder, given[0])

    return _OCTET(_NUMBER), build


@intrinsic
def _parted(_: Any, _early: Any, _late: Any, _lane: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        early, late = (spread(builder, one) for one in given[:2])
        return builder.select(first_lanes(builder, given[2]), early, late)

    return _OCTET(_NUMBER, _NUMBER, _PLACE), build


@intrinsic
def _equities(_: Any, closes: Any, _at: Any, _cashes: Any, _quantity: Any, _entry: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        pointer, at, cashes, quantity, entry = given
        moves = builder.fsub(loaded(builder, pointer, at), spread(builder, entry))
        return builder.fadd(cashes, builder.fmul(spread(builder, quantity), moves))

    return _OCTET(closes, _PLACE, _OCTET, _NUMBER, _NUMBER), build


@intrinsic
def _changes(_: Any, _values: Any, _before: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values, before = given
        order = [LANES - 1, *range(LANES, 2 * LANES - 1)]
        earlier = shuffled(builder, before, values, order)
        one = ir.Constant(VECTOR, [1.0] * LANES)
        return builder.fsub(builder.fdiv(values, earlier), one)

    return _OCTET(_OCTET, _OCTET), build


@intrinsic
def _squared(_: Any, _values: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.fmul(given[0], given[0])

    return _OCTET(_OCTET), build


@intrinsic
def _counted(_: Any, _values: Any, _count: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        zeros = ir.Constant(VECTOR, [0.0] * LANES)
        return builder.select(first_lanes(builder, given[1]), given[0], zeros)

    return _OCTET(_OCTET, _PLACE), build


@intrinsic
def _repeated(_: Any, _values: Any, _count: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        values = given[0]
        first = shuffled(builder, values, values, [0] * LANES)
        return builder.select(first_lanes(builder, given[1]), values, first)

    return _OCTET(_OCTET, _PLACE), build


@intrinsic
def _added(_: Any, _total: Any, _values: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        total, values = given
        for lane in range(LANES):
            total = builder.fadd(total, builder.extract_element(values, _LANE(lane)))
        return total

    return _NUMBER(_NUMBER, _OCTET), build


@intrinsic
def _lower(_: Any, _one: Any, _other: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return chosen(builder, "<", *given)

    return _OCTET(_OCTET, _OCTET), build


@intrinsic
def _lowest(_: Any, _values: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return extreme(builder, "<", given[0])

    return _NUMBER(_OCTET), build


@intrinsic
def _is_within(_: Any, _values: Any, _most: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        zeros = ir.Constant(VECTOR, [0.0] * LANES)
        beyond = builder.fcmp_unordered(">=", given[0], spread(builder, given[1]))
        beyond = builder.or_(beyond, builder.fcmp_unordered("<=", given[0], zeros))
        marks = marks_of(builder, beyond)
        return builder.icmp_unsigned("==", marks, ir.Constant(marks.type, 0))

    return types.boolean(_OCTET, _NUMBER), build


eight: Final = cast("Callable[[float], Octet]", _eight)
"""`eight(number)`: a number in all lanes."""

parted: Final = cast("Callable[[float, float, int], Octet]", _parted)
"""`parted(early, late, lane)`: one number, and from a lane on another."""

equities: Final = cast("Callable[[_Pointer, int, Octet, float, float], Octet]", _equities)
"""`equities(closes, at, cashes, quantity, entry)`: cash + quantity (close - entry), eight
bars."""

changes: Final = cast("Callable[[Octet, Octet], Octet]", _changes)
"""`changes(values, before)`: each value over the one before it, the last of `before` for the first,
less 1."""

squared: Final = cast("Callable[[Octet], Octet]", _squared)
"""`squared(values)`: their squares."""

counted: Final = cast("Callable[[Octet, int], Octet]", _counted)
"""`counted(values, count)`: the first ones, and 0, which no sum that begins at 0 can tell."""

repeated: Final = cast("Callable[[Octet, int], Octet]", _repeated)
"""`repeated(values, count)`: the first ones, at least one, and the very first for the others."""

added: Final = cast("Callable[[float, Octet], float]", _added)
"""`added(total, values)`: a sum, to which the values are added one after another."""

lower: Final = cast("Callable[[Octet, Octet], Octet]", _lower)
"""`lower(one, other)`: lane by lane, none of them NaN."""

lowest: Final = cast("Callable[[Octet], float]", _lowest)
"""`lowest(values)`: the lowest lane, none of them NaN."""

is_within: Final = cast("Callable[[Octet, float], bool]", _is_within)
"""`is_within(values, most)`: whether all are above 0 and below a number, and none is NaN."""
