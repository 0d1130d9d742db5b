"""Rows in whole numbers of 16 bits, in which four times as many are compared at once.

In a block of 64 bars all values v of the rows become levels by one map. With `low` and `high` the
least and the greatest value of the block in any row, and scale = 65534 / (high - low),

    level(v) = truncated((v - low) * scale - 32767).

It never falls where v rises. Subtracting a number, multiplying by a positive one and truncating are
monotone on the real numbers, and so is rounding to the nearest double: of two exact results the
greater one cannot be rounded to less. What is made of monotone steps is monotone. So

    level(a) > level(b) implies a > b,    level(a) < level(b) implies a < b,

whatever was rounded on the way, and only equal levels tell nothing: there the values are compared.

Levels fit 16 bits: v - low lies between 0 and the rounded high - low, for rounding is monotone. So
the product is at most 65534 (1 + 2^-53)^2 < 65534.5, and with 32767 less it lies between -32767 and
32767.5, which is truncated to 32767 at most.

A block has no map where a value is no number or infinite, where the values differ by more than a
double can hold, or by nothing, or by so little that the scale outgrows a double. Its levels are all
equal: then all comparisons are of the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba.core import types
from numba.extending import intrinsic

from services.backtest.core.kernel import Integers, Numbers, kernel
from services.backtest.core.planes.bits import WORD_BARS, half_word, narrowed, quads_of
from services.backtest.core.unowned import unowned

Levels = npt.NDArray[np.int16]

# numba's own types are partly unknown.
_tuple_of: Final[Any] = types.Tuple

_MOST: Final = 65_534.0
_MIDDLE: Final = 32_767.0
_LANES: Final = 16
_LANE: Final = ir.VectorType(ir.IntType(16), _LANES)
_WORD: Final = ir.IntType(64)
_WHOLE: Final = ir.IntType(256)


def _bounded(_: Any, values: Any, start: Any) -> Any:
    result = _tuple_of((types.float64, types.float64, types.float64))

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        quads = quads_of(context, builder, signature.args[0], given[0], given[1])
        low = high = total = quads(0)
        for at in range(1, WORD_BARS // 4):
            quad = quads(at)
            low = builder.select(builder.fcmp_ordered("<", quad, low), quad, low)
            high = builder.select(builder.fcmp_ordered(">", quad, high), quad, high)
            total = builder.fadd(total, quad)
        lows, highs, totals = (
            [builder.extract_element(one, ir.Constant(ir.IntType(32), at)) for at in range(4)]
            for one in (low, high, total)
        )
        while len(lows) > 1:
            one, other = lows.pop(), lows.pop()
            lows.insert(0, builder.select(builder.fcmp_ordered("<", one, other), one, other))
            one, other = highs.pop(), highs.pop()
            highs.insert(0, builder.select(builder.fcmp_ordered(">", one, other), one, other))
            totals.insert(0, builder.fadd(totals.pop(), totals.pop()))
        return context.make_tuple(builder, result, [lows[0], highs[0], totals[0]])

    sound = isinstance(values, types.CPointer) and values.dtype == types.float64
    sound = sound and isinstance(start, types.Integer)
    return (result(values, types.intp), generate) if sound else None


_bounds64: Final = cast("Callable[[Any, int], tuple[float, float, float]]", intrinsic(_bounded))
"""`_bounds64(a, i)`: the least, the greatest and the sum of 64 values from a[i] on.

The sum is finite only where all values are, and the others are right only where it is.
"""


@kernel
def fill_levels(flat: Numbers, starts: Integers, words: int, levels: Levels) -> None:
    """Fill the levels of some rows, each from a word's worth of columns behind its start on.

    Args:
        flat: The row table, see `fill_planes`.
        starts: Where the slots of the rows begin in it, shape (rows,).
        words: Blocks of 64 bars.
        levels: Gets the level of flat[i] at i, for these rows; others are left as they are.
    """
    values = unowned(flat)
    for begin in range(WORD_BARS, (words + 1) * WORD_BARS, WORD_BARS):
        least, most, sound = np.inf, -np.inf, True
        for start in starts:
            low, high, total = _bounds64(values, start + begin)
            least, most = min(least, low), max(most, high)
            sound &= abs(total) < np.inf
        spread = most - least
        scale = _MOST / spread
        sound &= spread < np.inf and scale < np.inf
        for start in starts:
            block = flat[start + begin : start + begin + WORD_BARS]
            own = levels[start + begin : start + begin + WORD_BARS]
            for place in range(WORD_BARS if sound else 0):
                own[place] = np.int32((block[place] - least) * scale - _MIDDLE)
            if not sound:
                own[:] = 0


def _ordered(_: Any, levels: Any, one: Any, other: Any) -> Any:
    result = _tuple_of((types.uint64, types.boolean))

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        def load(start: Any, at: int) -> Any:
            place = builder.gep(given[0], [builder.add(start, ir.Constant(_WORD, at * _LANES))])
            return builder.load(builder.bitcast(place, ir.PointerType(_LANE)), align=2, typ=_LANE)

        masks, equal = [], ir.Constant(_LANE, [0] * _LANES)
        for at in range(WORD_BARS // _LANES):
            left, right = load(given[1], at), load(given[2], at)
            masks.append(builder.sext(builder.icmp_signed(">", left, right), _LANE))
            same = builder.sext(builder.icmp_signed("==", left, right), _LANE)
            equal = builder.or_(equal, same)
        low, high = (narrowed(builder, masks[at], masks[at + 1], 8) for at in (0, 2))
        order = [quad * 8 + at for quad in (0, 2, 1, 3) for at in range(8)]
        above = builder.or_(
            half_word(builder, low, order),
            builder.shl(half_word(builder, high, order), ir.Constant(_WORD, 32)),
        )
        tied = builder.icmp_unsigned("!=", builder.bitcast(equal, _WHOLE), ir.Constant(_WHOLE, 0))
        return context.make_tuple(builder, result, [above, tied])

    sound = isinstance(levels, types.CPointer) and levels.dtype == types.int16
    sound = sound and isinstance(one, types.Integer) and isinstance(other, types.Integer)
    return (result(levels, types.intp, types.intp), generate) if sound else None


ordered64: Final = cast("Callable[[Any, int, int], tuple[np.uint64, bool]]", intrinsic(_ordered))
"""`ordered64(q, i, j)`: the word of q[i + k] > q[j + k], k from 0 to 63, and whether any are equal.

`q` is a pointer to levels.
"""
