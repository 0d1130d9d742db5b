"""Four numbers that kernels add, subtract, multiply, divide and compare at once.

Every lane is what the same operations on single numbers make of it, to the bit, on any processor:
the code is LLVM's own for vectors. numba has no such type, so it is told of one here.

    spread(x)               x in all lanes
    gathered(p, i, k)       p[i[0] + k], p[i[1] + k], p[i[2] + k] and p[i[3] + k]
    stored(p, k, a)         p[k] to p[k + 3] become the lanes of a
    smaller(a, b), larger(a, b)   a where it is less or greater, otherwise b: NaN is neither
    ones_above(a, b)        1 where a > b, otherwise 0
    where_unlike(i, j, a)   a where i[0..3] and j[0..3] differ, otherwise 0

`p` is a pointer to doubles, `i` and `j` are pointers to four int64, see `unowned`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.typing import templates
from numba.extending import intrinsic, lower_builtin

LANES: Final = 4

Quad = Any
"""Four numbers, inside kernels."""

_LANE: Final = ir.IntType(32)
_NUMBERS: Final = ir.VectorType(ir.DoubleType(), LANES)
_PLACES: Final = ir.VectorType(ir.IntType(64), LANES)


# numba's own types are partly unknown.
_typing: Final[Any] = templates
_lowered: Final[Any] = lower_builtin


class _QuadType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Quad")


_quad: Final = _QuadType()


@register_default(_QuadType)
class _QuadModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _NUMBERS)  # type: ignore[no-untyped-call]


def _operate(function: Any, instruction: str) -> None:
    """Teach numba what an operator does with two quads."""
    cases = {"cases": [_typing.signature(_quad, _quad, _quad)]}
    _typing.infer_global(function)(type("Operator", (_typing.ConcreteTemplate,), cases))

    def lower(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return getattr(builder, instruction)(*given)

    _lowered(function, _quad, _quad)(lower)


_operate(operator.add, "fadd")
_operate(operator.sub, "fsub")
_operate(operator.mul, "fmul")
_operate(operator.truediv, "fdiv")


@intrinsic
def _spread(_context: Any, _number: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
        none = ir.Constant(_NUMBERS, ir.Undefined)
        one = builder.insert_element(none, given[0], _LANE(0))
        return builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(_LANE, LANES), None))

    return _quad(types.float64), build


@intrinsic
def _gathered(_context: Any, numbers: Any, places: Any, _column: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
        found = ir.Constant(_NUMBERS, ir.Undefined)
        for lane in range(LANES):
            place = builder.load(builder.gep(given[1], [_LANE(lane)]), typ=ir.IntType(64))
            at = builder.gep(given[0], [builder.add(place, given[2])])
            number = builder.load(at, typ=ir.DoubleType())
            found = builder.insert_element(found, number, _LANE(lane))
        return found

    return _quad(numbers, places, types.int64), build


@intrinsic
def _stored(_context: Any, numbers: Any, _place: Any, _values: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
        at = builder.bitcast(builder.gep(given[0], [given[1]]), ir.PointerType(_NUMBERS))
        builder.store(given[2], at, align=8)

    return types.void(numbers, types.int64, _quad), build


def _chosen(sign: str) -> Any:
    def choose(_context: Any, _one: Any, _other: Any) -> Any:
        def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
            return builder.select(builder.fcmp_ordered(sign, *given), *given)

        return _quad(_quad, _quad), build

    return intrinsic(choose)


@intrinsic
def _ones_above(_context: Any, _one: Any, _other: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
        ones, zeros = (ir.Constant(_NUMBERS, [number] * LANES) for number in (1.0, 0.0))
        return builder.select(builder.fcmp_ordered(">", *given), ones, zeros)

    return _quad(_quad, _quad), build


@intrinsic
def _where_unlike(_context: Any, one: Any, other: Any, _values: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, given: Any) -> Any:
        kind = ir.PointerType(_PLACES)
        places = [
            builder.load(builder.bitcast(pointer, kind), align=8, typ=_PLACES)
            for pointer in given[:2]
        ]
        zeros = ir.Constant(_NUMBERS, [0.0] * LANES)
        return builder.select(builder.icmp_signed("!=", *places), given[2], zeros)

    return _quad(one, other, _quad), build


spread: Final = cast("Callable[[float], Quad]", _spread)
gathered: Final = cast("Callable[[Any, Any, int], Quad]", _gathered)
stored: Final = cast("Callable[[Any, int, Quad], None]", _stored)
smaller: Final = cast("Callable[[Quad, Quad], Quad]", _chosen("<"))
larger: Final = cast("Callable[[Quad, Quad], Quad]", _chosen(">"))
ones_above: Final = cast("Callable[[Quad, Quad], Quad]", _ones_above)
where_unlike: Final = cast("Callable[[Any, Any, Quad], Quad]", _where_unlike)
