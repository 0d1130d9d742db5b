"""A number over many variants, summed up. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values over variants.

    Attributes:
        count: Values there are.
        mean: Their mean; None without any, as all below.
        deviation: Their sample deviation; None for fewer than two.
        minimum: The smallest.
        quantiles: Those of `QUANTILES`, interpolated linearly; empty without values.
        maximum: The largest.
        positive_ratio: Share above 0.
    """

    count: int
    mean: float | None = None
    deviation: float | None = None
    minimum: float | None = None
    quantiles: tuple[float, ...] = ()
    maximum: float | None = None
    positive_ratio: float | None = None


def distribution_of(values: npt.NDArray[np.float64]) -> Distribution:
    """Sum values up; those that are NaN are none. Sums are rounded once, whatever the machine."""
    known = values[~np.isnan(values)]
    count = len(known)
    if not count:
        return Distribution(0)
    mean = math.fsum(known.tolist()) / count
    squares = math.fsum(((known - mean) ** 2).tolist())
    return Distribution(
        count=count,
        mean=mean,
        deviation=math.sqrt(squares / (count - 1)) if count > 1 else None,
        minimum=float(known.min()),
        quantiles=tuple(np.quantile(known, QUANTILES).tolist()),
        maximum=float(known.max()),
        positive_ratio=float((known > 0.0).mean()),
    )
