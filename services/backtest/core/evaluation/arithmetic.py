"""Operations on columns, element by element: exact on every processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.backtest.core.kernel import Numbers


def _finite(values: Numbers) -> Numbers:
    """Return values with what is not finite undefined."""
    return np.where(np.isfinite(values), values, np.nan)


def _if_else(condition: Numbers, then: Numbers, other: Numbers) -> Numbers:
    return np.where(condition > 0.5, then, other)


ELEMENTWISE: Final[Mapping[str, Callable[..., Numbers]]] = {
    "add": lambda a, b: _finite(a + b),
    "subtract": lambda a, b: _finite(a - b),
    "multiply": lambda a, b: _finite(a * b),
    "divide": lambda a, b: _finite(a / b),
    "negate": lambda a: -a,
    "absolute": np.abs,
    "smaller": np.minimum,
    "larger": np.maximum,
    "square_root": lambda a: _finite(np.sqrt(a)),
    "if_else": _if_else,
}
"""Operations that need only the values at a bar; a result that is not finite is undefined."""

_COMPARISONS: Final[Mapping[str, Callable[..., npt.NDArray[np.bool_]]]] = {
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    # Undefined values compare false, also here.
    "not_equal": lambda a, b: (a < b) | (a > b),
}


def compared(operation: str, inputs: Sequence[Numbers]) -> Numbers:
    """Return a condition of columns as 1 and 0; crossings have no value at the first bar."""
    if operation in _COMPARISONS:
        return _COMPARISONS[operation](*inputs).astype(np.float64)
    if operation == "not":
        return 1.0 - inputs[0]
    left, right = inputs
    if operation == "and":
        return np.minimum(left, right)
    if operation == "or":
        return np.maximum(left, right)
    if operation == "crosses_below":
        left, right = right, left
    crosses = np.zeros(len(left))
    crosses[1:] = (left[:-1] <= right[:-1]) & (left[1:] > right[1:])
    return crosses
