"""A verdict as one paragraph of plain sentences."""

from __future__ import annotations

from services.optimizer.core.analysis.recommendation.evidence import ChoiceFacts, Verdict, Weight
from services.optimizer.core.analysis.recommendation.rule import Judgement


def paragraph(choice: ChoiceFacts | None, judgement: Judgement) -> str:
    """Return a verdict in words: what, with which numbers, what speaks against it and for it."""
    sentences = [_opening(choice, judgement.verdict)]
    if choice is not None:
        sentences += _numbers(choice)
    for weight, words in (
        (Weight.AGAINST, "Gravely against it:"),
        (Weight.DOUBT, "Doubtful:"),
        (Weight.FOR, "In its favour:"),
    ):
        told = [one.message for one in judgement.reasons if one.weight is weight]
        if told and choice is not None:
            sentences += [words, *told]
        else:
            sentences += told
    if judgement.verdict is not Verdict.NOT_RECOMMENDED:
        sentences.append("What other bars will bring, none of this says.")
    return " ".join(sentences)


def _opening(choice: ChoiceFacts | None, verdict: Verdict) -> str:
    name = "" if choice is None else choice.name
    if verdict is Verdict.NOT_RECOMMENDED:
        looked = f" The choice looked at is {name}." if name else ""
        return f"Not recommended: nothing here is worth trading.{looked}"
    if verdict is Verdict.CAUTION:
        return f"With caution: {name}."
    return f"Reasonable to try: {name}."


def _numbers(choice: ChoiceFacts) -> list[str]:
    earned, fallen, trades = (
        choice.total_return_ratio,
        choice.max_drawdown_ratio,
        choice.trade_count,
    )
    told = []
    if earned is not None:
        told.append(f"returned {earned:.2%}")
    if fallen is not None:
        told.append(f"fell by {fallen:.2%} at worst")
    if trades is not None:
        told.append(f"closed {trades:,} trades")
    if not told:
        return []
    listed = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    return [f"On the bars it was chosen by it {listed}."]
