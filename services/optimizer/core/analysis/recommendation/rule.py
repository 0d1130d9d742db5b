"""What evidence adds up to: one rule per kind of it, each with its thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.analysis.luck.sharpe import CONFIDENCE
from services.optimizer.core.analysis.luck.verdict import FEW_TRADES
from services.optimizer.core.analysis.luck.verdict import Verdict as LuckVerdict
from services.optimizer.core.analysis.recommendation.evidence import (
    ChoiceFacts,
    Findings,
    Reason,
    ReasonKind,
    Verdict,
    Weight,
)

SIGNIFICANT_P: Final = 0.05
"""Up to it a p-value speaks for a choice."""

HOPELESS_P: Final = 0.5
"""From it on a p-value speaks gravely against it."""

FEW_LOSING_PATHS: Final = 0.2
"""Up to it the share of losing paths speaks for a choice."""

MANY_LOSING_PATHS: Final = 0.5
"""From it on it speaks gravely against it."""

KEPT_AFTER_DELAY: Final = 0.5
"""From it on what a delay leaves of the return speaks for a choice."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons, the grave ones first, then doubts, then what speaks for it."""

    verdict: Verdict
    reasons: Sequence[Reason]


def judge(findings: Findings) -> Judgement:
    """Return what findings come to.

    NOT_RECOMMENDED where something speaks gravely against the choice, or there is none. REASONABLE
    where nothing speaks against it and the statistics of luck or a walk forward speak for it.
    CAUTION otherwise. Whatever else is not known speaks neither way.
    """
    if findings.choice is None:
        told = f"{_nothing_feasible(findings)}: there is nothing to choose."
        nothing = Reason(ReasonKind.NOTHING_FEASIBLE, Weight.AGAINST, told)
        return Judgement(Verdict.NOT_RECOMMENDED, [nothing])
    found = [
        *_of_choice(findings.choice),
        *_of_luck(findings),
        *_of_buy_and_hold(findings.choice, findings),
        *_of_other_bars(findings),
        *_of_p_values(findings),
        *_of_stress(findings),
    ]
    if findings.luck is None and findings.walk_forward_passed is None:
        told = "Neither the statistics of luck nor a walk forward say anything for it."
        found.append(Reason(ReasonKind.UNPROVEN, Weight.DOUBT, told))
    # Stable: within a weight the reasons stay in the order of the evidence.
    reasons = sorted(found, key=lambda one: one.weight.value)
    return Judgement(_VERDICTS[reasons[0].weight], reasons)


_VERDICTS: Final = {
    Weight.AGAINST: Verdict.NOT_RECOMMENDED,
    Weight.DOUBT: Verdict.CAUTION,
    Weight.FOR: Verdict.REASONABLE,
}


def _nothing_feasible(findings: Findings) -> str:
    finished, failed = findings.finished_trial_count, findings.failed_trial_count
    if finished == 0:
        return "No trial has finished yet"
    if finished == failed:
        return "The only trial failed" if failed == 1 else f"All {failed:,} trials failed"
    return "No trial is feasible"


def _of_choice(choice: ChoiceFacts) -> Iterator[Reason]:
    """Yield what its own numbers say; what was chosen by them says little for itself."""
    if choice.walked:
        return
    earned, trades, deflated = choice.total_return_ratio, choice.trade_count, choice.deflated_sharpe
    if earned is None:
        yield Reason(ReasonKind.PROFIT, Weight.DOUBT, "What it returned is not known.")
    elif earned <= 0.0:
        told = f"It earned nothing even on the bars it was chosen by: {earned:.2%}."
        yield Reason(ReasonKind.PROFIT, Weight.AGAINST, told)
    if trades is not None and trades < FEW_TRADES:
        told = f"{trades} closed trades are few; {FEW_TRADES} are the least."
        yield Reason(ReasonKind.TRADE_COUNT, Weight.DOUBT, told)
    if deflated is not None and deflated < CONFIDENCE:
        told = (
            f"After all that was tried its deflated Sharpe ratio is {deflated:.3f}, below "
            f"{CONFIDENCE}."
        )
        yield Reason(ReasonKind.DEFLATED_SHARPE, Weight.DOUBT, told)
    elif deflated is not None:
        told = f"Its deflated Sharpe ratio is {deflated:.3f}, after all that was tried."
        yield Reason(ReasonKind.DEFLATED_SHARPE, Weight.FOR, told)
    yield from _of_neighborhood(choice)


def _of_neighborhood(choice: ChoiceFacts) -> Iterator[Reason]:
    if choice.neighborhood_weak is None:
        return
    kept = choice.neighborhood_kept
    told = "" if kept is None else f": the neighbours' median keeps {kept:.0%}"
    if choice.neighborhood_weak:
        told = f"A small change of parameters loses much of its objective{told}."
        yield Reason(ReasonKind.NEIGHBORHOOD, Weight.DOUBT, told)
    elif kept is not None:
        told = f"Small changes of parameters leave much of its objective{told}."
        yield Reason(ReasonKind.NEIGHBORHOOD, Weight.FOR, told)


def _of_luck(findings: Findings) -> Iterator[Reason]:
    gravest = "".join(f" {one}" for one in findings.luck_warnings)
    if findings.luck is LuckVerdict.LIKELY_LUCK:
        told = f"The best result is likely luck.{gravest}"
        yield Reason(ReasonKind.LUCK, Weight.AGAINST, told)
    elif findings.luck is LuckVerdict.INCONCLUSIVE:
        yield Reason(ReasonKind.LUCK, Weight.DOUBT, f"Luck is not ruled out.{gravest}")
    elif findings.luck is LuckVerdict.PROMISING:
        told = "The best result is better than luck explains."
        yield Reason(ReasonKind.LUCK, Weight.FOR, told)


def _of_buy_and_hold(choice: ChoiceFacts, findings: Findings) -> Iterator[Reason]:
    """Yield a comparison in return and in return for the drawdown taken."""
    earned, fallen = choice.total_return_ratio, choice.max_drawdown_ratio
    held, held_fallen = findings.buy_and_hold_return_ratio, findings.buy_and_hold_drawdown_ratio
    if choice.walked or earned is None or held is None:
        return
    numbers = f"{held:.2%} by holding, {earned:.2%} by this choice"
    if fallen is not None and held_fallen is not None and earned > 0.0:
        # Multiplied out: without a drawdown there is no quotient.
        better_paid = earned * held_fallen > held * fallen
    else:
        better_paid = earned > held
    if earned > held and better_paid:
        told = f"It earned more than buy-and-hold, for the drawdown too: {numbers}."
        yield Reason(ReasonKind.BUY_AND_HOLD, Weight.FOR, told)
    elif not better_paid and earned <= held:
        told = f"Buy-and-hold earned as much or more, for the drawdown too: {numbers}."
        yield Reason(ReasonKind.BUY_AND_HOLD, Weight.DOUBT, told)


def _of_other_bars(findings: Findings) -> Iterator[Reason]:
    """Yield what was found on bars that choices had not seen."""
    passed, losing = findings.walk_forward_passed, findings.losing_path_share
    if passed is not None:
        told = (
            "What the search chose held on bars it had not seen: the walk forward is passed."
            if passed
            else "What the search chose did not hold on bars it had not seen: the walk forward "
            "is not passed."
        )
        weight = Weight.FOR if passed else Weight.AGAINST
        yield Reason(ReasonKind.WALK_FORWARD, weight, told)
    if losing is not None:
        told = f"{losing:.0%} of the paths of cross-validation lose money."
        weight = _weighed(losing, FEW_LOSING_PATHS, MANY_LOSING_PATHS)
        mean = findings.mean_path_sharpe
        if weight is Weight.FOR and mean is not None and mean <= 0.0:
            # Paths that trade nothing do not lose either.
            weight = Weight.DOUBT
            told = f"The paths of cross-validation have a mean Sharpe ratio of {mean:.3f}."
        yield Reason(ReasonKind.CROSS_VALIDATION, weight, told)


def _of_p_values(findings: Findings) -> Iterator[Reason]:
    cash, held = findings.superior_to_cash_p, findings.superior_to_buy_and_hold_p
    entries = findings.random_entry_p
    if cash is not None:
        told = f"That nothing tried is better than cash has a p-value of {cash:.3f}."
        weight = _weighed(cash, SIGNIFICANT_P, HOPELESS_P)
        yield Reason(ReasonKind.SUPERIOR_TO_CASH, weight, told)
    if held is not None:
        told = f"That nothing tried is better than buy-and-hold has a p-value of {held:.3f}."
        weight = Weight.FOR if held <= SIGNIFICANT_P else Weight.DOUBT
        yield Reason(ReasonKind.SUPERIOR_TO_BUY_AND_HOLD, weight, told)
    if entries is not None:
        told = f"Entries drawn by chance do as well as the best trial's {entries:.1%} of the time."
        weight = _weighed(entries, SIGNIFICANT_P, HOPELESS_P)
        yield Reason(ReasonKind.RANDOM_ENTRIES, weight, told)


def _of_stress(findings: Findings) -> Iterator[Reason]:
    dear, kept = findings.double_cost_return_ratio, findings.delay_kept_ratio
    if dear is not None:
        weight = Weight.FOR if dear > 0.0 else Weight.DOUBT
        told = f"At twice the costs the best trial returns {dear:.2%}."
        yield Reason(ReasonKind.DOUBLE_COSTS, weight, told)
    if kept is not None:
        weight = Weight.FOR if kept >= KEPT_AFTER_DELAY else Weight.DOUBT
        told = f"With every decision a bar later {kept:.0%} of the best trial's return is left."
        if kept <= 0.0:
            told = "With every decision a bar later nothing of the best trial's return is left."
        yield Reason(ReasonKind.DELAY, weight, told)


def _weighed(share: float, good: float, hopeless: float) -> Weight:
    """Return which way a share speaks that is better the smaller it is."""
    if share >= hopeless:
        return Weight.AGAINST
    return Weight.FOR if share <= good else Weight.DOUBT
