"""PSR, DSR and MinTRL: the worked examples of the papers, and what must hold of any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.optimizer.core.analysis.luck.sharpe import (
    TrackRecord,
    deflated_sharpe,
    effective_trials,
    expected_max_sharpe,
    min_track_record,
    probabilistic_sharpe,
)

HEDGE_FUND = 0.458
"""Monthly Sharpe ratio of the example of Bailey and Lopez de Prado 2012: 1.59 a year."""


@pytest.mark.parametrize(
    ("skewness", "kurtosis", "months", "expected"),
    [(0.0, 3.0, 24, 0.982), (-2.448, 10.164, 24, 0.913), (-2.448, 10.164, 36, 0.953)],
)
def test_the_hedge_fund_of_2012(
    skewness: float, kurtosis: float, months: int, expected: float
) -> None:
    """Two years seem enough, are not once the shape is minded, and three are."""
    record = TrackRecord(HEDGE_FUND, skewness, kurtosis, months)
    assert probabilistic_sharpe(record) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("periods", "skewness", "kurtosis", "years"),
    [
        (252, 0.0, 3.0, 2.73),
        (52, 0.0, 3.0, 2.83),
        (12, 0.0, 3.0, 3.24),
        (12, -0.72, 5.78, 4.99),
    ],
)
def test_the_track_records_of_2012(
    periods: int, skewness: float, kurtosis: float, years: float
) -> None:
    """Years until a yearly Sharpe ratio of 2 shows that the true one is above 1, at 95 %."""
    root = math.sqrt(periods)
    needed = min_track_record(TrackRecord(2.0 / root, skewness, kurtosis, 0), 1.0 / root)
    assert needed is not None
    assert needed / periods == pytest.approx(years, abs=0.006)


def test_the_example_of_2014() -> None:
    """Yearly Sharpe 2.5 over 1,250 days, skewness -3, kurtosis 10, best of 100 or of 46 trials."""
    record = TrackRecord(2.5 / math.sqrt(250), -3.0, 10.0, 1_250)
    of_hundred = expected_max_sharpe(0.5 / 250, 100)
    assert of_hundred == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(record, of_hundred) == pytest.approx(0.9004, abs=5e-5)
    of_fewer = expected_max_sharpe(0.5 / 250, 46)
    assert deflated_sharpe(record, of_fewer) == pytest.approx(0.9505, abs=5e-5)


def test_normal_returns_allow_for_more_trials() -> None:
    """The same example: as sure of the best of 88 as of the best of 46 with that shape."""
    record = TrackRecord(2.5 / math.sqrt(250), 0.0, 3.0, 1_250)
    assert deflated_sharpe(record, expected_max_sharpe(0.5 / 250, 88)) == pytest.approx(
        0.9505, abs=5e-4
    )


def test_one_trial_deflates_nothing() -> None:
    """The deflated Sharpe ratio is then the probabilistic one, whatever the variance."""
    record = TrackRecord(0.1, -0.3, 5.0, 300)
    for variance in (None, 0.5):
        assert deflated_sharpe(record, expected_max_sharpe(variance, 1)) == probabilistic_sharpe(
            record
        )
    assert expected_max_sharpe(None, 2) is None


@pytest.mark.parametrize("count", [10, 100, 1_000])
def test_the_expected_maximum_is_that_of_normal_draws(count: int) -> None:
    """Within the error of the approximation, by Monte Carlo."""
    draws = np.random.default_rng(7).normal(0.0, 0.2, (4_000, count)).max(axis=1)
    assert expected_max_sharpe(0.04, count) == pytest.approx(draws.mean(), rel=0.04)


def test_the_expected_maximum_rises_with_the_trials_and_never_falls_below_zero() -> None:
    """Also between one and two, where correlated trials may amount to that."""
    counts = [1.0, 1.01, 1.2, 1.5, 2.0, 3.0, 10.0, 1e6]
    found = [expected_max_sharpe(1.0, count) for count in counts]
    assert found == sorted(found, key=float)  # type: ignore[arg-type]
    assert found[0] == 0.0


def test_a_track_record_as_long_as_needed_has_the_probability_asked_for() -> None:
    """The two formulas are one."""
    record = TrackRecord(0.08, -1.0, 7.0, 0)
    needed = min_track_record(record)
    assert needed is not None
    for days, enough in ((math.floor(needed), False), (math.ceil(needed), True)):
        found = probabilistic_sharpe(TrackRecord(0.08, -1.0, 7.0, days))
        assert found is not None
        assert (found >= 0.95) is enough


def test_what_the_formulas_cannot_tell_is_none() -> None:
    """No returns, a variance not above 0, a benchmark not beaten."""
    assert probabilistic_sharpe(TrackRecord(0.1, 0.0, 3.0, 1)) is None
    assert probabilistic_sharpe(TrackRecord(1.0, 4.0, 3.0, 100)) is None
    assert min_track_record(TrackRecord(0.0, 0.0, 3.0, 100)) is None
    assert min_track_record(TrackRecord(1.0, 4.0, 3.0, 100)) is None


def test_correlated_trials_amount_to_fewer() -> None:
    """All of them without correlation, one with all of it."""
    assert effective_trials(100, 0.0) == 100.0
    assert effective_trials(100, 1.0) == 1.0
    assert effective_trials(100, 0.25) == 75.25
