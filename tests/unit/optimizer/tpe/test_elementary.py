"""Our own functions against decimals of forty digits and the C library."""

from __future__ import annotations

import math
import statistics
from decimal import Context, Decimal

import numpy as np
import pytest

from services.optimizer.core.searches.tpe.elementary import (
    SMALLEST_TAIL,
    Floats,
    column_sums,
    exponential,
    logarithm,
    mass_between,
    normal_quantile,
    row_sums,
    upper_tail,
)

EXACTLY = Context(prec=40)


@pytest.fixture
def numbers() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


def test_exponentials_are_right_to_the_last_bits(numbers: np.random.Generator) -> None:
    """Against decimals, over all exponents there are."""
    exponents = np.concatenate([numbers.uniform(-700, 700, 2_000), numbers.uniform(-1, 1, 500)])
    for exponent, found in zip(exponents.tolist(), exponential(exponents).tolist(), strict=True):
        true = EXACTLY.exp(Decimal(exponent))
        assert abs(Decimal(found) / true - 1) < Decimal("3e-16")


def test_exponents_are_cut_far_out() -> None:
    """Nothing overflows, nothing becomes so small that processors slow down."""
    found = exponential(np.array([-1e9, -701.0, 0.0, 701.0, 1e9]))
    assert found[0] == found[1] == pytest.approx(math.exp(-700), rel=1e-14)
    assert found[2] == 1.0
    assert found[3] == found[4] == pytest.approx(math.exp(700), rel=1e-14)


def test_logarithms_are_right_to_the_last_bits(numbers: np.random.Generator) -> None:
    """Against decimals, from the smallest normal number to the largest, and around 1."""
    wide = np.exp(numbers.uniform(-700, 700, 2_000))
    near = 1.0 + numbers.uniform(-0.3, 0.4, 1_000)
    ends = np.array([2.0**-1022, 1.0, np.nextafter(1.0, 2.0), np.finfo(float).max])
    given = np.concatenate([wide, near, ends])
    for number, found in zip(given.tolist(), logarithm(given).tolist(), strict=True):
        true = EXACTLY.ln(Decimal(number))
        assert abs(Decimal(found) - true) <= Decimal("2.3e-16") * abs(true)


def test_tails_of_the_normal_distribution_have_their_digits() -> None:
    """14 digits where most of it lies, 8 out to 7 deviations, no error that a sum would show."""
    distances = np.linspace(0.0, 30.0, 3_001)
    true = np.array([0.5 * math.erfc(one / math.sqrt(2.0)) for one in distances.tolist()])
    found = upper_tail(distances)
    error = np.abs(found - true)
    assert (error < 3e-16).all()
    assert (error / true)[distances < 2.5].max() < 1e-14
    assert (error / true)[distances < 7.0].max() < 1e-8
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1.0, 2.0), (0.5, 0.6), (-0.6, -0.5), (0.0, 1.0), (-1.0, 0.0), (3.0, 3.1), (-40.0, 40.0)],
)
def test_masses_between_two_points_keep_their_digits(low: float, high: float) -> None:
    """Against the C library's error function, on either side of the middle and across it."""
    true = 0.5 * (math.erfc(low / math.sqrt(2.0)) - math.erfc(high / math.sqrt(2.0)))
    assert mass_between(np.array([low]), np.array([high]))[0] == pytest.approx(true, rel=2e-11)


def test_quantiles_are_those_of_the_standard_library(numbers: np.random.Generator) -> None:
    """The same published algorithm stands behind both."""
    given = np.concatenate([numbers.uniform(0, 1, 2_000), 10.0 ** numbers.uniform(-10.8, 0, 1_000)])
    true = np.array([statistics.NormalDist().inv_cdf(one) for one in given.tolist()])
    assert np.allclose(normal_quantile(given), true, rtol=3e-15, atol=1e-15)


def test_quantiles_are_cut_far_out() -> None:
    """Probabilities of 0 and 1 have a finite quantile."""
    least, middle, most = normal_quantile(np.array([0.0, 0.5, 1.0]))
    assert least == -most == pytest.approx(statistics.NormalDist().inv_cdf(SMALLEST_TAIL))
    assert middle == 0.0


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 257])
def test_sums_by_halves_leave_nothing_out(count: int, numbers: np.random.Generator) -> None:
    """Whole numbers add up exactly; the terms are left as they are."""
    terms: Floats = numbers.integers(-1_000, 1_000, (3, count)).astype(np.float64)
    before = terms.copy()
    assert row_sums(terms).tolist() == [sum(row) for row in before.tolist()]
    assert column_sums(terms.T).tolist() == [sum(row) for row in before.tolist()]
    assert (terms == before).all()
