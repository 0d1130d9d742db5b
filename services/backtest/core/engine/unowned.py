"""Arrays without owners: what kernels index inside their loops.

numba counts the references to an array wherever one is named, taken out of a tuple or handed on, by
atomic additions that cost more than the work on a quiet bar. So a kernel takes the arrays it was
given as bare pointers first; the caller keeps the arrays alive. A pointer has no length, knows no
negative index, and must only be written to where the array may be.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def unowned(_context: Any, array: Any) -> Any:
    """Return a pointer to the first element of a contiguous array."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return cgutils.create_struct_proxy(signature.args[0])(
            context, builder, value=arguments[0]
        ).data

    return types.CPointer(array.dtype)(array), build


@intrinsic
def beyond(_context: Any, pointer: Any, elements: Any) -> Any:
    """Return a pointer that many elements further on."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), build
