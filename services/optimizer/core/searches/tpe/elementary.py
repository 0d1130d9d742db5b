"""Exponential, logarithm and the normal distribution, to the same bits on every CPU.

numpy and the C library choose other code for other processors, whose last bits differ. Here is
nothing but elementwise + - * /, square roots, comparisons and integers, of which IEEE 754 fixes
every bit, in a fixed order.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALLEST_EXPONENT: Final = -700.0
LARGEST_EXPONENT: Final = 700.0
"""Exponents are cut to these ends, far from where doubles lose digits."""

SMALLEST_TAIL: Final = 1.4e-11
"""Probabilities of the normal distribution nearer to 0 or 1 than this are taken for it."""

_PARTS: Final = 256
_DECIMALS: Final = Context(prec=40)
_ROOTS: Final[Floats] = np.array(
    [float(_DECIMALS.power(Decimal(2), Decimal(part) / _PARTS)) for part in range(_PARTS)]
)
"""2^(part / 256)."""

# ln 2 in two pieces, the first short enough that whole multiples of it are exact (FreeBSD e_log.c).
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_PER_LN2: Final = _PARTS / 0.693147180559945309417
_ROUNDER: Final = 1.5 * 2.0**52
"""Added to a double below 2^51 it leaves the nearest whole number in the lowest bits."""

# FreeBSD e_log.c: (log(1 + s) - log(1 - s)) / s - 2 as a polynomial in s^2, highest power first.
_LOG_SERIES: Final = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_ROOT_HALF_BITS: Final = 0x3FE6A09E00000000
_EXPONENT_BITS: Final = -0x10000000000000

# J. F. Hart, Computer Approximations (1968), no. 5666, as in G. West, Better approximations to
# cumulative normal functions (2005); its quotient tends to the density over z, so it has no end.
_TAIL_OVER: Final = (
    3.52624965998911e-02,
    0.700383064443688,
    6.37396220353165,
    33.912866078383,
    112.079291497871,
    221.213596169931,
    220.206867912376,
)
_TAIL_UNDER: Final = (
    8.83883476483184e-02,
    1.75566716318264,
    16.064177579207,
    86.7807322029461,
    296.564248779674,
    637.333633378831,
    793.826512519948,
    440.413735824752,
)

# M. J. Wichura, Algorithm AS 241: the percentage points of the normal distribution (1988), PPND16.
_MIDDLE_OVER: Final = (
    2.5090809287301226727e3,
    3.3430575583588128105e4,
    6.7265770927008700853e4,
    4.5921953931549871457e4,
    1.3731693765509461125e4,
    1.9715909503065514427e3,
    1.3314166789178437745e2,
    3.3871328727963666080e0,
)
_MIDDLE_UNDER: Final = (
    5.2264952788528545610e3,
    2.8729085735721942674e4,
    3.9307895800092710610e4,
    2.1213794301586595867e4,
    5.3941960214247511077e3,
    6.8718700749205790830e2,
    4.2313330701600911252e1,
    1.0,
)
_OUTER_OVER: Final = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258e0,
    3.64784832476320460504e0,
    5.76949722146069140550e0,
    4.63033784615654529590e0,
    1.42343711074968357734e0,
)
_OUTER_UNDER: Final = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940e0,
    2.05319162663775882187e0,
    1.0,
)
_MIDDLE: Final = 0.425

_NARROW: Final = 16
"""Rows this short are turned to columns: numpy is slow where the last axis is short."""


def exponential(exponents: Floats) -> Floats:
    """Return e to the exponents, cut to +-700, within 1 unit in the last place or so.

    e^x = 2^k x 2^(part / 256) x e^r with |r| < 0.0014, the last by its series.
    """
    cut = np.maximum(exponents, SMALLEST_EXPONENT)
    np.minimum(cut, LARGEST_EXPONENT, out=cut)
    shifted = cut * _PER_LN2
    shifted += _ROUNDER
    whole = shifted - _ROUNDER
    rest = cut
    scratch = whole * (_LN2_HIGH / _PARTS)
    rest -= scratch
    whole *= _LN2_LOW / _PARTS
    rest -= whole
    series = np.multiply(rest, 1 / 24, out=scratch)
    for coefficient in (1 / 6, 0.5, 1.0):
        series += coefficient
        series *= rest
    bits = shifted.view(np.int64)
    # Two's complement keeps the low eight bits of negative numbers right.
    places = np.bitwise_and(bits, _PARTS - 1, out=rest.view(np.int64))
    roots = np.take(_ROOTS, places, mode="clip", out=whole)
    series *= roots
    series += roots
    bits >>= 8
    bits <<= 52
    powers = series.view(np.int64)
    powers += bits
    return series


def logarithm(numbers: Floats) -> Floats:
    """Return the natural logarithm of positive normal numbers (FreeBSD e_log.c), within 1 ulp."""
    bits = np.ascontiguousarray(numbers).view(np.int64)
    distance = bits - _ROOT_HALF_BITS
    power = (distance >> 52).astype(np.float64)
    # Between the roots of 1/2 and of 2, less one.
    part = (bits - (distance & _EXPONENT_BITS)).view(np.float64) - 1.0
    ratio = part / (part + 2.0)
    square = ratio * ratio
    series = polynomial(square, _LOG_SERIES)
    series *= square
    half = part * part
    half *= 0.5
    series += half
    series *= ratio
    series += power * _LN2_LOW
    series -= half
    series += part
    series += power * _LN2_HIGH
    return series


def upper_tail(distances: Floats) -> Floats:
    """Return the probability that a standard normal variable exceeds distances of 0 or more.

    To 1e-14 of it up to 7; beyond to some digits of what is below 1e-12, and never below 1e-304.
    """
    tails = polynomial(distances, _TAIL_OVER)
    tails /= polynomial(distances, _TAIL_UNDER)
    squares = distances * distances
    squares *= -0.5
    tails *= exponential(squares)
    return tails


def mass_between(low: Floats, high: Floats) -> Floats:
    """Return the probability of a standard normal variable between `low` and `high`, low < high.

    Taken from the nearer tail, so that it keeps its digits far out.
    """
    below, above = upper_tail(np.abs(low)), upper_tail(np.abs(high))
    astride = (low < 0.0) & (high > 0.0)
    return np.where(astride, 1.0 - below - above, np.abs(below - above))


def normal_quantile(probabilities: Floats) -> Floats:
    """Return the point below which a standard normal variable lies with these probabilities.

    Within some units in the last place (AS 241); cut to about +-6.66, see `SMALLEST_TAIL`.
    """
    centred = probabilities - 0.5
    middle = np.abs(centred)
    np.minimum(middle, _MIDDLE, out=middle)
    square = _MIDDLE * _MIDDLE - middle * middle
    found = polynomial(square, _MIDDLE_OVER)
    found /= polynomial(square, _MIDDLE_UNDER)
    found *= centred
    outer = np.nonzero(np.abs(centred) > _MIDDLE)
    upper = centred[outer] > 0.0
    told = probabilities[outer]
    tail = np.maximum(np.where(upper, 1.0 - told, told), SMALLEST_TAIL)
    root = np.sqrt(-logarithm(tail)) - 1.6
    distance = polynomial(root, _OUTER_OVER) / polynomial(root, _OUTER_UNDER)
    found[outer] = np.where(upper, distance, -distance)
    return found


def polynomial(numbers: Floats, coefficients: tuple[float, ...]) -> Floats:
    """Return a polynomial by Horner's rule; the coefficient of the highest power comes first."""
    value = numbers * coefficients[0]
    for coefficient in coefficients[1:-1]:
        value += coefficient
        value *= numbers
    value += coefficients[-1]
    return value


def row_sums(terms: Floats) -> Floats:
    """Return the sums of rows, added up by halves; shape (m, n), n at least 1."""
    while terms.shape[1] > _NARROW:
        half = terms.shape[1] // 2
        left = terms[:, 2 * half :]
        terms = terms[:, :half] + terms[:, half : 2 * half]
        terms[:, : left.shape[1]] += left
    return column_sums(np.ascontiguousarray(terms.T))


def column_sums(terms: Floats) -> Floats:
    """Return the sums over the first axis, at least 1 long, added up by halves."""
    while len(terms) > 1:
        half = len(terms) // 2
        left = terms[2 * half :]
        terms = terms[:half] + terms[half : 2 * half]
        terms[: len(left)] += left
    total: Floats = terms[0]
    return total
