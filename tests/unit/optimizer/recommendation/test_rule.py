"""What each kind of evidence does to the verdict, at its thresholds, and the words for it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from services.optimizer.core.analysis.luck.verdict import Verdict as LuckVerdict
from services.optimizer.core.analysis.recommendation.evidence import (
    ChoiceFacts,
    Findings,
    ReasonKind,
    Verdict,
    Weight,
)
from services.optimizer.core.analysis.recommendation.rule import judge
from services.optimizer.core.analysis.recommendation.words import paragraph

CHOICE = ChoiceFacts(
    name="trial 17 with fast_period=10",
    total_return_ratio=0.3,
    max_drawdown_ratio=0.1,
    trade_count=45,
    deflated_sharpe=0.97,
    neighborhood_weak=False,
    neighborhood_kept=0.9,
)
GOOD = Findings(choice=CHOICE, luck=LuckVerdict.PROMISING)

AGAINST, DOUBT, FOR = Weight.AGAINST, Weight.DOUBT, Weight.FOR
OF = {
    AGAINST: Verdict.NOT_RECOMMENDED,
    DOUBT: Verdict.CAUTION,
    FOR: Verdict.REASONABLE,
}


@pytest.mark.parametrize(
    ("changes", "kind", "weight"),
    [
        ({"luck": LuckVerdict.LIKELY_LUCK}, "LUCK", AGAINST),
        ({"luck": LuckVerdict.INCONCLUSIVE}, "LUCK", DOUBT),
        ({"luck": LuckVerdict.PROMISING}, "LUCK", FOR),
        ({"luck": None}, "UNPROVEN", DOUBT),
        ({"walk_forward_passed": False}, "WALK_FORWARD", AGAINST),
        ({"walk_forward_passed": True}, "WALK_FORWARD", FOR),
        ({"luck": None, "walk_forward_passed": True}, "WALK_FORWARD", FOR),
        ({"superior_to_cash_p": 0.05}, "SUPERIOR_TO_CASH", FOR),
        ({"superior_to_cash_p": 0.051}, "SUPERIOR_TO_CASH", DOUBT),
        ({"superior_to_cash_p": 0.5}, "SUPERIOR_TO_CASH", AGAINST),
        ({"superior_to_buy_and_hold_p": 0.05}, "SUPERIOR_TO_BUY_AND_HOLD", FOR),
        ({"superior_to_buy_and_hold_p": 0.9}, "SUPERIOR_TO_BUY_AND_HOLD", DOUBT),
        ({"random_entry_p": 0.05}, "RANDOM_ENTRIES", FOR),
        ({"random_entry_p": 0.2}, "RANDOM_ENTRIES", DOUBT),
        ({"random_entry_p": 0.5}, "RANDOM_ENTRIES", AGAINST),
        ({"losing_path_share": 0.2}, "CROSS_VALIDATION", FOR),
        ({"losing_path_share": 0.21}, "CROSS_VALIDATION", DOUBT),
        ({"losing_path_share": 0.5}, "CROSS_VALIDATION", AGAINST),
        ({"double_cost_return_ratio": 0.01}, "DOUBLE_COSTS", FOR),
        ({"double_cost_return_ratio": 0.0}, "DOUBLE_COSTS", DOUBT),
        ({"delay_kept_ratio": 0.5}, "DELAY", FOR),
        ({"delay_kept_ratio": 0.49}, "DELAY", DOUBT),
        ({"delay_kept_ratio": -1.2}, "DELAY", DOUBT),
    ],
)
def test_each_part_of_a_report_has_its_say(
    changes: dict[str, Any], kind: str, weight: Weight
) -> None:
    """Alone among good evidence it decides the verdict."""
    judgement = judge(replace(GOOD, **changes))
    (reason,) = [one for one in judgement.reasons if one.kind is ReasonKind[kind]]
    assert reason.weight is weight
    assert reason.message.endswith(".")
    assert judgement.verdict is OF[weight]


@pytest.mark.parametrize(
    ("changes", "kind", "weight"),
    [
        ({"total_return_ratio": 0.0}, "PROFIT", AGAINST),
        ({"total_return_ratio": -0.2}, "PROFIT", AGAINST),
        ({"total_return_ratio": None}, "PROFIT", DOUBT),
        ({"trade_count": 29}, "TRADE_COUNT", DOUBT),
        ({"deflated_sharpe": 0.949}, "DEFLATED_SHARPE", DOUBT),
        ({"deflated_sharpe": 0.95}, "DEFLATED_SHARPE", FOR),
        ({"neighborhood_weak": True, "neighborhood_kept": 0.3}, "NEIGHBORHOOD", DOUBT),
        ({"neighborhood_weak": True, "neighborhood_kept": None}, "NEIGHBORHOOD", DOUBT),
        ({}, "NEIGHBORHOOD", FOR),
    ],
)
def test_the_choices_own_numbers_have_theirs(
    changes: dict[str, Any], kind: str, weight: Weight
) -> None:
    """Thirty trades, and a deflated Sharpe ratio of 0.95, are enough."""
    judgement = judge(replace(GOOD, choice=replace(CHOICE, **changes)))
    (reason,) = [one for one in judgement.reasons if one.kind is ReasonKind[kind]]
    assert (reason.weight, judgement.verdict) == (weight, OF[weight])


@pytest.mark.parametrize(
    ("held", "held_fallen", "weight"),
    [
        (0.2, 0.4, FOR),
        (0.3, 0.1, DOUBT),
        (1.2, 0.2, DOUBT),
        # Holding earned more, but fell far more for it: neither better nor worse.
        (0.6, 0.5, None),
        (0.29, 0.05, None),
        (0.2, None, FOR),
        (0.4, None, DOUBT),
    ],
)
def test_buy_and_hold_is_compared_by_return_and_by_drawdown(
    held: float, held_fallen: float | None, weight: Weight | None
) -> None:
    """A doubt only where holding was at least as good in both."""
    findings = replace(
        GOOD, buy_and_hold_return_ratio=held, buy_and_hold_drawdown_ratio=held_fallen
    )
    told = [one for one in judge(findings).reasons if one.kind is ReasonKind.BUY_AND_HOLD]
    assert [one.weight for one in told] == ([] if weight is None else [weight])


def test_without_a_choice_nothing_else_matters() -> None:
    """However good the rest."""
    judgement = judge(replace(GOOD, choice=None))
    assert judgement.verdict is Verdict.NOT_RECOMMENDED
    assert [one.kind for one in judgement.reasons] == [ReasonKind.NOTHING_FEASIBLE]
    told = paragraph(None, judgement)
    assert told == (
        "Not recommended: nothing here is worth trading. No trial is feasible: there is nothing to "
        "choose."
    )


@pytest.mark.parametrize(
    ("finished", "failed", "told"),
    [
        (0, 0, "No trial has finished yet: there is nothing to choose."),
        (1, 1, "The only trial failed: there is nothing to choose."),
        (90, 90, "All 90 trials failed: there is nothing to choose."),
        (90, 89, "No trial is feasible: there is nothing to choose."),
    ],
)
def test_why_there_is_nothing_to_choose_is_told(finished: int, failed: int, told: str) -> None:
    """Trials that failed are another matter than those that break a constraint."""
    judgement = judge(Findings(finished_trial_count=finished, failed_trial_count=failed))
    assert [one.message for one in judgement.reasons] == [told]


@pytest.mark.parametrize(
    ("mean", "weight"), [(-0.1, Weight.DOUBT), (0.0, Weight.DOUBT), (0.1, Weight.FOR)]
)
def test_paths_that_do_not_earn_speak_for_nothing(mean: float, weight: Weight) -> None:
    """Such as those of a strategy that never trades: none of them loses either."""
    judgement = judge(replace(GOOD, losing_path_share=0.0, mean_path_sharpe=mean))
    told = [one.weight for one in judgement.reasons if one.kind is ReasonKind.CROSS_VALIDATION]
    assert told == [weight]


def test_the_numbers_of_a_walked_choice_are_no_evidence() -> None:
    """The walk forward is: with it alone the verdict follows from it."""
    walked = ChoiceFacts("trial 3 with a=1", walked=True)
    for passed, verdict in ((True, Verdict.REASONABLE), (False, Verdict.NOT_RECOMMENDED)):
        findings = Findings(
            choice=walked, walk_forward_passed=passed, buy_and_hold_return_ratio=9.0
        )
        judgement = judge(findings)
        assert judgement.verdict is verdict
        assert [one.kind for one in judgement.reasons] == [ReasonKind.WALK_FORWARD]


def test_the_gravest_reason_decides_and_comes_first() -> None:
    """In every mixture of evidence for, doubtful and against."""
    values = {
        "luck": (None, *LuckVerdict),
        "walk_forward_passed": (None, True, False),
        "superior_to_cash_p": (None, 0.01, 0.2, 0.7),
        "losing_path_share": (None, 0.1, 0.3, 0.6),
        "double_cost_return_ratio": (None, 0.1, -0.1),
        "random_entry_p": (None, 0.01, 0.1, 0.9),
    }
    for mixture in itertools.product(*values.values()):
        judgement = judge(replace(GOOD, **dict(zip(values, mixture, strict=True))))
        weights = [one.weight.value for one in judgement.reasons]
        assert weights == sorted(weights)
        assert judgement.verdict is OF[judgement.reasons[0].weight]
        proven = {ReasonKind.LUCK, ReasonKind.WALK_FORWARD}
        if judgement.verdict is Verdict.REASONABLE:
            assert proven & {one.kind for one in judgement.reasons}


def test_unknown_evidence_never_makes_a_verdict_better() -> None:
    """Leaving anything but grave findings and doubts out is no step towards REASONABLE."""
    order = [Verdict.NOT_RECOMMENDED, Verdict.CAUTION, Verdict.REASONABLE]
    favourable = {
        "walk_forward_passed": True,
        "superior_to_cash_p": 0.01,
        "superior_to_buy_and_hold_p": 0.01,
        "losing_path_share": 0.0,
        "double_cost_return_ratio": 0.2,
        "delay_kept_ratio": 0.9,
        "random_entry_p": 0.001,
        "luck": LuckVerdict.PROMISING,
    }
    whole = judge(replace(GOOD, **favourable))  # type: ignore[arg-type]
    assert whole.verdict is Verdict.REASONABLE
    for count in range(len(favourable)):
        for names in itertools.combinations(favourable, count):
            part: dict[str, Any] = {name: favourable[name] for name in names}
            judgement = judge(Findings(choice=CHOICE, **part))
            assert order.index(judgement.verdict) <= order.index(whole.verdict)
            known = {"luck", "walk_forward_passed"} & set(names)
            assert (judgement.verdict is Verdict.REASONABLE) is bool(known)


def test_the_paragraph_tells_what_with_which_numbers_and_why() -> None:
    """One sentence after the other, the reasons word for word, the gravest warning with them."""
    findings = replace(
        GOOD,
        luck=LuckVerdict.INCONCLUSIVE,
        luck_warnings=("12 days are few.",),
        walk_forward_passed=True,
    )
    judgement = judge(findings)
    assert paragraph(CHOICE, judgement) == (
        "With caution: trial 17 with fast_period=10. On the bars it was chosen by it returned "
        "30.00%, fell by 10.00% at worst and closed 45 trades. Doubtful: Luck is not ruled out. 12 "
        "days are few. In its favour: Its deflated Sharpe ratio is 0.970, after all that was "
        "tried. Small changes of parameters leave much of its objective: the neighbours' median "
        "keeps 90%. What the search chose held on bars it had not seen: the walk forward is "
        "passed. What other bars will bring, none of this says."
    )
    lost = judge(replace(findings, walk_forward_passed=False))
    told = paragraph(CHOICE, lost)
    assert told.startswith(
        "Not recommended: nothing here is worth trading. The choice looked at is"
    )
    assert "Gravely against it: What the search chose did not hold" in told
    sure = judge(GOOD)
    assert paragraph(CHOICE, sure).startswith("Reasonable to try: trial 17 with fast_period=10.")
