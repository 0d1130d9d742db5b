"""Arrays without owners: what kernels index inside their loops.

numba counts the references to an array wherever one is named, taken out of a tuple or handed on, by
atomic additions that cost more than the work on a quiet bar. So a kernel takes the arrays it was
given as bare pointers first; the caller keeps the arrays alive. A pointer has no length, knows no
negative index, and must only be written to where the array may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def _unowned(_context: Any, array: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        make: Any = cgutils.create_struct_proxy
        return make(signature.args[0])(context, builder, value=arguments[0]).data

    pointer: Any = types.CPointer
    return pointer(array.dtype)(array), build


@intrinsic
def _numbers_at(_context: Any, _address: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    pointer: Any = types.CPointer
    return pointer(types.float64)(types.int64), build


@intrinsic
def _beyond(_context: Any, pointer: Any, _elements: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), build


@intrinsic
def _fetched(_context: Any, pointer: Any, _element: Any) -> Any:
    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        number = ir.IntType(32)
        address = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        declare: Any = cgutils.get_or_insert_function
        fetch = declare(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), address)
        builder.call(fetch, [place, number(0), number(3), number(1)])

    return types.void(pointer, types.int64), build


unowned: Final = cast("Callable[[Any], Any]", _unowned)
"""Returns a pointer to the first element of a contiguous array."""

numbers_at: Final = cast("Callable[[int], Any]", _numbers_at)
"""Returns a pointer to float64 numbers by their address, as of arrays whose count is not known."""

beyond: Final = cast("Callable[[Any, int], Any]", _beyond)
"""Returns a pointer that many elements further on."""

fetch: Final = cast("Callable[[Any, int], None]", _fetched)
"""Asks for an element that will be read soon; memory may answer many such wishes at a time."""
