"""What speaks against a best trial under stress."""

from __future__ import annotations

from typing import Any

import pytest

from services.optimizer.core.analysis.stress.judgement import (
    Shaken,
    Stressed,
    StressEvidence,
    StressKind,
    findings_of,
    permutation_p_value,
)


def kinds(*, maximize: bool = True, objective: float = 2.0, **evidence: Any) -> list[StressKind]:
    """Return what is found."""
    found = findings_of(StressEvidence(objective, maximize, **evidence))
    return [one.kind for one in found]


def test_what_stands_up_has_nothing_against_it() -> None:
    """Numbers at the edge count as good."""
    assert not kinds(
        costs=[Stressed(0.1, 1.0, 2.0), Stressed(-0.5, -1.0, 3.0), Stressed(-1.0, None, 1.5)],
        delay=Stressed(0.01, 1.0),
        noise=Shaken(0.75, 1.0),
        drop_quantile=0.001,
        entry_p_value=0.049,
        bar_p_value=0.01,
    )


@pytest.mark.parametrize(
    "run", [Stressed(0.0, 2.0, 2.0), Stressed(0.1, 0.99, 2.0), Stressed(0.1, None, 2.0)]
)
def test_a_run_without_profit_or_with_less_than_half_is_fragile(run: Stressed) -> None:
    """Under costs and under a delay alike."""
    assert kinds(costs=[run], delay=run) == [StressKind.COST_FRAGILE, StressKind.DELAY_FRAGILE]


def test_a_run_that_is_not_told_speaks_against_nothing() -> None:
    """Nothing is known of it."""
    unknown = Stressed(None, None, 2.0)
    assert not kinds(costs=[unknown], delay=unknown, noise=Shaken(None, None))


def test_the_smaller_is_kept_the_other_way_round() -> None:
    """A drawdown that doubles keeps half."""
    assert not kinds(maximize=False, objective=0.1, delay=Stressed(0.1, 0.2))
    assert kinds(maximize=False, objective=0.1, delay=Stressed(0.1, 0.21))


@pytest.mark.parametrize("noise", [Shaken(0.74, 2.0), Shaken(0.9, 0.9), Shaken(0.9, None)])
def test_noise_needs_profits_and_half_of_the_objective(noise: Shaken) -> None:
    """In the middle of the runs."""
    assert kinds(noise=noise) == [StressKind.NOISE_FRAGILE]


def test_p_values_and_few_trades_are_found() -> None:
    """In the order of the parts."""
    assert kinds(drop_quantile=0.0, entry_p_value=0.05, bar_p_value=0.5) == [
        StressKind.FEW_TRADES_CARRY,
        StressKind.NO_BETTER_THAN_RANDOM_ENTRIES,
        StressKind.NO_BETTER_THAN_ON_PERMUTED_BARS,
    ]


def test_the_p_value_counts_markets_that_are_as_good() -> None:
    """Ties among them; markets where nothing was found are none."""
    assert permutation_p_value(1.0, [0.5, 1.0, None, 2.0], maximize=True) == 3 / 5
    assert permutation_p_value(1.0, [0.5, 1.0, None, 2.0], maximize=False) == 3 / 5
    assert permutation_p_value(1.0, [], maximize=True) == 1.0


def test_too_few_permuted_markets_are_not_said_to_do_as_well() -> None:
    """None of three does as well, yet the p-value cannot be below 0.25."""
    (few,) = findings_of(StressEvidence(2.0, maximize=True, bar_p_value=0.25, bar_market_count=3))
    assert few.message == (
        "On 0 of 3 markets of bars in random order the same search does as well: p = 0.250. 20 are "
        "the least that can tell."
    )
    many = StressEvidence(2.0, maximize=True, bar_p_value=3 / 21, bar_market_count=20)
    assert [one.message for one in findings_of(many)] == [
        "On 2 of 20 markets of bars in random order the same search does as well: p = 0.143."
    ]


def test_random_entries_are_told_by_how_many_do_as_well() -> None:
    """Not as if all of them did."""
    (many,) = findings_of(
        StressEvidence(2.0, maximize=True, entry_p_value=71 / 1001, entry_placement_count=1000)
    )
    assert many.message == (
        "70 of 1,000 random placements of the same trades do as well: p = 0.071."
    )
    few = StressEvidence(2.0, maximize=True, entry_p_value=1 / 6, entry_placement_count=5)
    (told,) = findings_of(few)
    assert told.message == (
        "0 of 5 random placements of the same trades do as well: p = 0.167. 20 are the least that "
        "can tell."
    )
