"""Parameters of strategies and of the execution model: their types, bounds and defaults."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Value = int | float | str


@dataclass(frozen=True, slots=True, eq=False)
class WordColumn:
    """Words, one per set, each as its place in a list.

    Attributes:
        words: The list; words in it may be the same.
        indexes: Place of each set's word, shape (sets,), from 0.
    """

    words: tuple[str, ...]
    indexes: npt.NDArray[np.int64]


Column = npt.NDArray[np.int64] | npt.NDArray[np.float64] | WordColumn
"""One parameter's values over many sets: whole numbers, numbers or words."""


class ParameterType(enum.IntEnum):
    """What values a parameter takes; numbers of `ParameterInfo.Type` in the contract."""

    INT = 1
    DOUBLE = 2
    CATEGORY = 3


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter.

    Attributes:
        name: Its name, for example "fast_period".
        type: What values it takes.
        unit: "bars", "fraction", "index points", "deviations", "bps", "quote", or "" for a word.
        description: What it means.
        minimum: Smallest value allowed; None for categories.
        maximum: Largest value allowed; None for categories.
        categories: Allowed words; empty for numbers.
        default: The value used where none is given; None when it is required, or, for a parameter
            of the execution model, when the feature is off.
    """

    name: str
    type: ParameterType
    unit: str
    description: str
    minimum: float | None
    maximum: float | None
    categories: tuple[str, ...] = ()
    default: Value | None = None


def problem_with(info: ParameterInfo, value: Value) -> str | None:
    """Return what is wrong with a value of this parameter, or None."""
    if info.type is ParameterType.CATEGORY:
        return _problem_with_word(info, value)
    whole = info.type is ParameterType.INT
    if isinstance(value, (bool, str)) or (whole and not isinstance(value, int)):
        return f"must be a {'whole ' if whole else ''}number, not {value!r}"
    if not math.isfinite(value):
        return f"must be finite, not {value!r}"
    below = info.minimum is not None and value < info.minimum
    above = info.maximum is not None and value > info.maximum
    return f"must be {bounds(info)}, not {value!r}" if below or above else None


def bounds(info: ParameterInfo) -> str:
    """Return the bounds of a number in words: "at least 1 and at most 100"."""
    low, high = info.minimum, info.maximum
    words = []
    if low is not None:
        words.append("above 0" if low == math.ulp(0.0) else f"at least {low:.15g}")
    if high is not None:
        below_one = high == math.nextafter(1.0, 0.0)
        words.append("below 1" if below_one else f"at most {high:.15g}")
    return " and ".join(words)


def _problem_with_word(info: ParameterInfo, value: Value) -> str | None:
    if isinstance(value, str) and value in info.categories:
        return None
    return f"must be one of {', '.join(info.categories)}, not {value!r}"
