"""Choices by return and drawdown and on fronts, against brute force over random tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.optimizer.core.analysis.fronts import best_numbers
from services.optimizer.core.analysis.pareto import trade_offs
from services.optimizer.core.analysis.recommendation.choices import (
    ChoiceKind,
    front_picks,
    judged,
    money_picks,
)
from services.optimizer.core.analysis.trial_table import TrialTable
from tests.unit.optimizer.tables import OBJECTIVES, table_of

MONEY = (ChoiceKind.CONSERVATIVE, ChoiceKind.BALANCED, ChoiceKind.AGGRESSIVE)


def random_table(seed: int, count: int = 60, most_trades: int = 90) -> TrialTable:
    """Return trials with few different numbers, so that many tie; some undefined or infeasible."""
    rng = np.random.default_rng(seed)
    earned = rng.integers(-3, 6, count) / 4
    fallen = rng.integers(0, 5, count) / 8
    earned[rng.random(count) < 0.1] = np.nan
    fallen[rng.random(count) < 0.1] = np.nan
    return table_of(
        rng.normal(0.0, 1.0, (count, 1)),
        feasible=(rng.random(count) < 0.8).tolist(),
        states=rng.choice([1, 1, 1, 2, 3], count).tolist(),
        metrics={
            "total_return_ratio": earned,
            "max_drawdown_ratio": fallen,
            "trade_count": rng.integers(0, most_trades, count).astype(np.float64),
        },
    )


def chosen_slowly(table: TrialTable) -> dict[ChoiceKind, int]:
    """Return the choices trial by trial."""
    trials = []
    for row in range(len(table)):
        earned, fallen, trades = (
            float(table.metrics[name][row])
            for name in ("total_return_ratio", "max_drawdown_ratio", "trade_count")
        )
        if bool(table.feasible[row]) and earned > 0 and not math.isnan(fallen):
            trials.append((row, earned, fallen, trades))
    often = [one for one in trials if one[3] >= 30]
    trials = often or trials
    if not trials:
        return {}
    return {
        ChoiceKind.CONSERVATIVE: min(trials, key=lambda one: (one[2], one[0]))[0],
        ChoiceKind.BALANCED: min(
            trials, key=lambda one: (-one[1] / one[2] if one[2] else -math.inf, one[0])
        )[0],
        ChoiceKind.AGGRESSIVE: min(trials, key=lambda one: (-one[1], one[0]))[0],
    }


@pytest.mark.parametrize("most_trades", [90, 30])
def test_they_are_those_of_brute_force(most_trades: int) -> None:
    """With ties, undefined numbers, and with nothing that traded thirty times."""
    for seed in range(60):
        table = random_table(seed, count=1 + seed, most_trades=most_trades)
        picks, absent = money_picks(table)
        assert {one.kind: one.number for one in picks} == chosen_slowly(table)
        assert {one.kind for one in absent} == (set() if picks else set(MONEY))


def test_few_trades_are_told() -> None:
    """Nothing has thirty trades: the choices are there, and say what they are worth."""
    picks, _ = money_picks(random_table(1, most_trades=30))
    assert picks
    assert all("none of them has 30 closed trades" in one.reason for one in picks)


def test_without_profit_there_is_no_choice_by_money() -> None:
    """And the reason is told; so it is where the worker tells no returns."""
    table = random_table(2)
    for earned in (np.full(60, -0.1), np.full(60, np.nan), np.zeros(60)):
        poor = table_of(
            table.objective_values, metrics={**table.metrics, "total_return_ratio": earned}
        )
        picks, absent = money_picks(poor)
        assert not picks
        assert [one.kind for one in absent] == list(MONEY)
        assert all(one.reason for one in absent)


@pytest.mark.parametrize("count", [2, 3])
def test_the_extremes_of_a_front_are_the_best_of_all_feasible_trials(count: int) -> None:
    """In each objective; among equals the front's lowest number."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 8, (40, count)).astype(np.float64)
        objectives = OBJECTIVES[:count]
        table = table_of(values, feasible=(rng.random(40) < 0.7).tolist())
        front = best_numbers(table, objectives)
        picks, absent = front_picks(trade_offs(table, front, objectives), objectives)
        extremes = [one for one in picks if one.kind is ChoiceKind.EXTREME]
        assert [one.objective for one in extremes] == [one.metric for one in objectives]
        for axis, (pick, objective) in enumerate(zip(extremes, objectives, strict=True)):
            column = values[table.feasible, axis]
            wanted = column.max() if objective.maximize else column.min()
            assert pick.number == min(n for n in front.tolist() if values[n, axis] == wanted)
        kinds = {one.kind for one in picks} | {one.kind for one in absent}
        assert kinds == {ChoiceKind.KNEE, ChoiceKind.BEST_RANK, ChoiceKind.EXTREME}
        assert bool(absent) is (len(front) < 3)


def test_an_empty_front_has_nothing_to_choose() -> None:
    """Nor anything to say about it: that no trial is feasible is told once."""
    table = table_of([[1.0, 2.0]], feasible=[False])
    front = best_numbers(table, OBJECTIVES[:2])
    assert front_picks(trade_offs(table, front, OBJECTIVES[:2]), OBJECTIVES[:2]) == ([], [])


def test_the_plateau_is_judged_before_the_peak() -> None:
    """Then the peak; the choices by money are never judged."""
    peak, plateau = ChoiceKind.BEST_OBJECTIVE, ChoiceKind.BEST_NEIGHBORHOOD
    assert judged([peak, plateau, ChoiceKind.AGGRESSIVE]) == 1
    assert judged([peak, ChoiceKind.AGGRESSIVE]) == 0
    assert judged([ChoiceKind.BEST_RANK, ChoiceKind.EXTREME]) == 0
    assert judged([ChoiceKind.AGGRESSIVE]) is None
