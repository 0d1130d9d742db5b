"""Powers without the mathematical library, whose bits differ between processors.

Logarithm and exponential are series in double-double arithmetic: pairs of doubles whose sum carries
about 106 bits (Dekker 1971). The error of the result is below one unit in its last place.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from services.backtest.core.kernel import Numbers, inner, kernel

_LOG_TERMS: Final = 24
_EXP_TERMS: Final = 28
_SPLITTER: Final = 134217729.0
_ROOT_OF_TWO: Final = 1.4142135623730951


def _pairs(fractions: list[Fraction]) -> Numbers:
    """Return fractions as double-doubles, shape (fractions, 2)."""
    return np.array([(float(one), float(one - Fraction(float(one)))) for one in fractions])


def _log_of_two() -> Fraction:
    """Return ln 2 = 2 artanh(1/3), to more than 120 bits."""
    return sum((Fraction(2, (2 * k + 1) * 3 ** (2 * k + 1)) for k in range(44)), Fraction(0))


def _inverse_factorials() -> list[Fraction]:
    inverses = [Fraction(1)]
    for factor in range(1, _EXP_TERMS):
        inverses.append(inverses[-1] / factor)
    return inverses


_ODD_INVERSES: Final = _pairs([Fraction(1, 2 * k + 1) for k in range(_LOG_TERMS)])
_FACTORIALS: Final = _pairs(_inverse_factorials())
_LOG_2: Final = _pairs([_log_of_two()])

Pair = tuple[float, float]


@inner
def _sum(x: Pair, y: Pair) -> Pair:
    total = x[0] + y[0]
    back = total - x[0]
    rest = (x[0] - (total - back)) + (y[0] - back)
    rest += x[1] + y[1]
    high = total + rest
    return high, rest - (high - total)


@inner
def _split(x: float) -> Pair:
    high = _SPLITTER * x
    high -= high - x
    return high, x - high


@inner
def _product(x: Pair, y: Pair) -> Pair:
    total = x[0] * y[0]
    x_high, x_low = _split(x[0])
    y_high, y_low = _split(y[0])
    rest = ((x_high * y_high - total) + x_high * y_low + x_low * y_high) + x_low * y_low
    rest += x[0] * y[1] + x[1] * y[0]
    high = total + rest
    return high, rest - (high - total)


@inner
def _quotient(x: Pair, y: Pair) -> Pair:
    first = x[0] / y[0]
    part = _product(y, (first, 0.0))
    left = _sum(x, (-part[0], -part[1]))
    return _sum((first, 0.0), (left[0] / y[0], 0.0))


@inner
def _logarithm(base: float) -> Pair:
    """Return ln(2^k m) = k ln 2 + 2 artanh((m - 1) / (m + 1)), m within sqrt(2) of 1."""
    doublings = 0
    while base > _ROOT_OF_TWO:
        base *= 0.5
        doublings += 1
    while base < 1.0 / _ROOT_OF_TWO:
        base *= 2.0
        doublings -= 1
    ratio = _quotient(_sum((base, 0.0), (-1.0, 0.0)), _sum((base, 0.0), (1.0, 0.0)))
    square = _product(ratio, ratio)
    series = (0.0, 0.0)
    for term in range(_LOG_TERMS - 1, -1, -1):
        inverse = (_ODD_INVERSES[term, 0], _ODD_INVERSES[term, 1])
        series = _sum(_product(series, square), inverse)
    series = _product(_product(series, ratio), (2.0, 0.0))
    return _sum(_product((_LOG_2[0, 0], _LOG_2[0, 1]), (float(doublings), 0.0)), series)


@kernel
def power_less_one(base: float, exponent: float) -> float:
    """Return base^exponent - 1 for a base above 0 and an exponent above 0; inf where too large."""
    power = _product(_logarithm(base), (exponent, 0.0))
    log_2 = (_LOG_2[0, 0], _LOG_2[0, 1])
    doublings = int(power[0] / log_2[0])
    if doublings > 1023:
        return np.inf
    if doublings < -1000:
        return -1.0
    rest = _sum(power, _product(log_2, (-float(doublings), 0.0)))
    series = (0.0, 0.0)
    for term in range(_EXP_TERMS - 1, -1, -1):
        inverse = (_FACTORIALS[term, 0], _FACTORIALS[term, 1])
        series = _sum(_product(series, rest), inverse)
    scale = 1.0
    for _ in range(abs(doublings)):
        scale *= 2.0 if doublings > 0 else 0.5
    result = _sum((series[0] * scale, series[1] * scale), (-1.0, 0.0))
    return result[0] + result[1]
