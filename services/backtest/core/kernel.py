"""How compiled functions are compiled here: one set of options for all of them.

The bits of a result must not depend on the processor. So kernels add, subtract, multiply, divide and
take square roots in a written order; they call no transcendental function and no numpy reduction,
and they are compiled without fastmath. They release the interpreter lock.

A kernel never calls a function of another file: the cache on disk looks at the age of the kernel's
own file only and would go on serving machine code made of the other file's past.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

F = TypeVar("F", bound=Callable[..., Any])

kernel: Final[Callable[[F], F]] = numba.njit(nogil=True, error_model="numpy", cache=True)
"""Compiles what Python calls; machine code is kept on disk."""

inner: Final[Callable[[F], F]] = numba.njit(nogil=True, error_model="numpy")
"""Compiles what kernels of the same file call."""


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view.

    Kernels see every input as read-only, whatever its origin, so that each is compiled once.
    """
    view = array.view()
    view.flags.writeable = False
    return view
