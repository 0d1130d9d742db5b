"""How compiled functions are compiled here: one set of options for all of them.

The bits of a result must not depend on the processor. So kernels add, subtract, multiply, divide
and take square roots in a written order; they call no transcendental function and no numpy
reduction, and they are compiled without fastmath. They release the interpreter lock.

Machine code is kept on disk. numba alone would look only at the age of a kernel's own file and
serve code made of constants and functions that have changed in other files since; here the stamp is
a digest of all sources of the core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core.caching import IndexDataCacheFile

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

F = TypeVar("F", bound=Callable[..., Any])


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES: Final = _digest_of_sources()


def kernel(function: F) -> F:
    """Compile what Python calls, or load it from disk."""
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    cache = dispatcher._cache  # noqa: SLF001 - numba offers no other way to stamp its cache
    make_file = cast("Callable[..., Any]", IndexDataCacheFile)
    cache._cache_file = make_file(  # noqa: SLF001 - the same
        cache_path=cache.cache_path,
        filename_base=cache._impl.filename_base,  # noqa: SLF001 - the same
        source_stamp=_SOURCES,
    )
    return cast("F", dispatcher)


inner: Final = cast("Callable[[F], F]", numba.njit(nogil=True, error_model="numpy"))
"""Compiles what kernels call."""

merged: Final = cast(
    "Callable[[F], F]", numba.njit(nogil=True, error_model="numpy", inline="always")
)
"""As `inner`, for what takes arrays: a call would count references to each of them."""


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view.

    Kernels see every input as read-only, whatever its origin, so that each is compiled once.
    """
    view = array.view()
    view.flags.writeable = False
    return view
