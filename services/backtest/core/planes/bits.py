"""Words of 64 bars: comparisons of rows, and the scanning of bits.

Bit b of a word belongs to bar b of a block of 64 bars. A comparison is exact, whatever the width
of the registers it runs in, so these are the one place where vectors are written out: as LLVM's
own vector code, which any processor can run. Comparisons with NaN are false.

Rows are float64 arrays in C order, or pointers into such, read from their data's start plus an
offset, whatever their shape; each comparison reads 64 values from there, so rows are padded to
whole blocks (`aligned`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from services.backtest.core.kernel import Numbers

WORD_BARS: Final = 64
"""Bars of a word."""

_LINE_BYTES: Final = 64
_LANES: Final = 4
_HALF_BARS: Final = 32

_Compare = Callable[[Numbers, int, Numbers, int], np.uint64]
_CompareScalar = Callable[[Numbers, int, float], np.uint64]
_CompareTwice = Callable[[Numbers, int, Numbers, int], tuple[np.uint64, np.uint64]]
_Scan = Callable[[np.uint64], int]
Quads = Callable[[int], Any]

# numba's own types are partly unknown.
_array_of: Final[Any] = make_array
_tuple_of: Final[Any] = types.UniTuple

_BIT: Final = ir.IntType(1)
_WORD: Final = ir.IntType(64)
_QUAD: Final = ir.VectorType(ir.DoubleType(), _LANES)
_MASK: Final = ir.VectorType(_WORD, _LANES)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array, its contents unset, that starts at a cache line."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    memory = np.empty(size + _LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % _LINE_BYTES
    return memory[start : start + size].view(kind).reshape(shape)


def _is_row(kind: Any) -> bool:
    if isinstance(kind, types.CPointer):
        return bool(kind.dtype == types.float64)
    return isinstance(kind, types.Array) and kind.dtype == types.float64 and kind.layout == "C"


def quads_of(context: Any, builder: Any, kind: Any, row: Any, offset: Any) -> Quads:
    """Return what loads the four values at a multiple of four from an offset on."""
    values = (
        row if isinstance(kind, types.CPointer) else _array_of(kind)(context, builder, row).data
    )
    start = builder.gep(values, [offset])
    pointer = builder.bitcast(start, ir.PointerType(_QUAD))

    def load(at: int) -> Any:
        return builder.load(builder.gep(pointer, [ir.Constant(_WORD, at)]), align=8, typ=_QUAD)

    return load


def broadcast(builder: Any, value: Any) -> Quads:
    """Return what gives a number four times."""
    none = ir.Constant(_QUAD, ir.Undefined)
    one = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    quad = _shuffled(builder, one, none, [0] * _LANES)
    return lambda _: quad


def _shuffled(builder: Any, one: Any, other: Any, order: list[int]) -> Any:
    places = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
    return builder.shuffle_vector(one, other, places)


def narrowed(builder: Any, one: Any, other: Any, bits: int) -> Any:
    """Drop every other element of `bits` bits, keeping to the halves of 128 bits.

    Packing instructions do just this; one that crosses the halves would take two more each time.
    """
    count = 256 // bits
    kind = ir.VectorType(ir.IntType(bits), count)
    kept = range(0, count // 2, 2)
    order = [
        source * count + half * (count // 2) + at
        for half in (0, 1)
        for source in (0, 1)
        for at in kept
    ]
    return _shuffled(builder, builder.bitcast(one, kind), builder.bitcast(other, kind), order)


def _packed(builder: Any, masks: list[Any]) -> None:
    """Add a mask to those of the bars before it, narrowing two of a width into one.

    `masks` holds widths and masks of falling width. Packing as early as can be keeps few registers
    busy.
    """
    while len(masks) > 1 and masks[-1][0] == masks[-2][0]:
        (width, one), (_, other) = masks[-2:]
        masks[-2:] = [(width // 2, narrowed(builder, one, other, min(16, width // 2)))]


def half_word(builder: Any, marks: Any, order: list[int]) -> Any:
    """Return the bits of 32 bars from their marks of a byte each, and the place of each bar's."""
    kind = ir.VectorType(ir.IntType(8), _HALF_BARS)
    none = ir.Constant(kind, ir.Undefined)
    marks = _shuffled(builder, builder.bitcast(marks, kind), none, order)
    raised = builder.icmp_signed("<", marks, ir.Constant(kind, [0] * _HALF_BARS))
    return builder.zext(builder.bitcast(raised, ir.IntType(_HALF_BARS)), _WORD)


def _words_of(builder: Any, signs: tuple[str, ...], ones: Quads, others: Quads) -> list[Any]:
    """Return a word for each of several comparisons of the same values."""

    def flags(at: int) -> list[Any]:
        one, other = ones(at), others(at)
        return [builder.fcmp_ordered(sign, one, other) for sign in signs]

    return words_of_flags(builder, len(signs), flags)


def words_of_flags(builder: Any, count: int, flags: Callable[[int], list[Any]]) -> list[Any]:
    """Return words of the flags of four bars at a time; `flags` gives so many for a multiple."""
    halves: list[list[Any]] = [[] for _ in range(count)]
    # Packing leaves bars 0 and 1 of all quads in the lower half and bars 2 and 3 in the upper.
    order = [(half * 8 + quad) * 2 + at for quad in range(8) for half in (0, 1) for at in (0, 1)]
    for half in (0, 1):
        masks: list[list[Any]] = [[] for _ in range(count)]
        for at in range(8 * half, 8 * half + 8):
            for flag, kept in zip(flags(at), masks, strict=True):
                kept.append((64, builder.sext(flag, _MASK)))
                _packed(builder, kept)
        for found, kept in zip(halves, masks, strict=True):
            found.append(half_word(builder, kept[0][1], order))
    shift = ir.Constant(_WORD, _HALF_BARS)
    return [builder.or_(low, builder.shl(high, shift)) for low, high in halves]


def _returned(context: Any, builder: Any, kind: Any, words: list[Any]) -> Any:
    return words[0] if len(words) == 1 else context.make_tuple(builder, kind, words)


def _words(count: int) -> Any:
    return types.uint64 if count == 1 else _tuple_of(types.uint64, count)


def _rows_compared(*signs: str) -> Any:
    result = _words(len(signs))

    def compare(_: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            ones = quads_of(context, builder, signature.args[0], given[0], given[1])
            others = quads_of(context, builder, signature.args[2], given[2], given[3])
            words = _words_of(builder, signs, ones, others)
            return _returned(context, builder, result, words)

        sound = _is_row(a) and _is_row(b) and isinstance(i, types.Integer)
        sound = sound and isinstance(j, types.Integer)
        return (result(a, types.intp, b, types.intp), generate) if sound else None

    return intrinsic(compare)


def _row_compared(sign: str) -> Any:
    def compare(_: Any, a: Any, i: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            ones = quads_of(context, builder, signature.args[0], given[0], given[1])
            return _words_of(builder, (sign,), ones, broadcast(builder, given[2]))[0]

        sound = _is_row(a) and isinstance(i, types.Integer) and isinstance(x, types.Number)
        return (types.uint64(a, types.intp, types.float64), generate) if sound else None

    return intrinsic(compare)


greater64: Final = cast("_Compare", _rows_compared(">"))
"""`greater64(a, i, b, j)`: the word of a[i + k] > b[j + k], k from 0 to 63; so the next ones."""
greater_equal64: Final = cast("_Compare", _rows_compared(">="))
less_equal64: Final = cast("_Compare", _rows_compared("<="))
equal64: Final = cast("_Compare", _rows_compared("=="))
greater_and_less64: Final = cast("_CompareTwice", _rows_compared(">", "<"))
"""`greater_and_less64(a, i, b, j)`: the words of > and <, for half again the cost of one."""

greater64_scalar: Final = cast("_CompareScalar", _row_compared(">"))
"""`greater64_scalar(a, i, x)`: the word of a[i + k] > x, k from 0 to 63; so the next ones."""
greater_equal64_scalar: Final = cast("_CompareScalar", _row_compared(">="))
less64_scalar: Final = cast("_CompareScalar", _row_compared("<"))
less_equal64_scalar: Final = cast("_CompareScalar", _row_compared("<="))
equal64_scalar: Final = cast("_CompareScalar", _row_compared("=="))


def _scanned(scan: Callable[[Any, Any], Any]) -> Any:
    def apply(_: Any, word: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            return scan(builder, given[0])

        return (types.int64(types.uint64), generate) if isinstance(word, types.Integer) else None

    return intrinsic(apply)


trailing_zeros: Final = cast(
    "_Scan", _scanned(lambda builder, word: builder.cttz(word, ir.Constant(_BIT, 0)))
)
"""`trailing_zeros(word)`: the zeros below the lowest one; 64 for the word 0."""
leading_zeros: Final = cast(
    "_Scan", _scanned(lambda builder, word: builder.ctlz(word, ir.Constant(_BIT, 0)))
)
"""`leading_zeros(word)`: the zeros above the highest one; 64 for the word 0."""
count_ones: Final = cast("_Scan", _scanned(lambda builder, word: builder.ctpop(word)))
"""`count_ones(word)`: the ones of a word."""
