"""What the statistics of luck of a walk add up to; thresholds are those of other studies."""

from __future__ import annotations

from collections.abc import Iterator

from services.optimizer.core.analysis.luck.sharpe import CONFIDENCE
from services.optimizer.core.analysis.luck.verdict import (
    EVEN_CHANCE,
    FEW_TRADES,
    LOW_OVERFITTING,
    Verdict,
)
from services.optimizer.core.analysis.luck.walk import WalkLuck
from services.optimizer.core.analysis.luck.warning_kinds import LuckWarning, WarningKind

_GRAVE = frozenset({WarningKind.SHARPE_NOT_POSITIVE, WarningKind.BELOW_EXPECTED_MAXIMUM})
_DOUBTED = frozenset({WarningKind.OVERFITTING_LIKELY, WarningKind.WALK_DEFLATED_SHARPE_LOW})
_HARMLESS = frozenset({WarningKind.AT_EDGE, WarningKind.OVERLAPPING_OOS})


def walk_verdict(luck: WalkLuck) -> Verdict:
    """Return what the numbers add up to.

    LIKELY_LUCK where the Sharpe ratio is not above 0 or below the expected best of as many walks,
    or where the choices in sample are likely overfit and what they earned out of sample does not
    say otherwise. PROMISING where nothing speaks against it but an edge of a range, or overlapping
    spans. INCONCLUSIVE otherwise.
    """
    kinds = {warning.kind for warning in walk_warnings(luck)}
    if kinds & _GRAVE or kinds >= _DOUBTED:
        return Verdict.LIKELY_LUCK
    return Verdict.INCONCLUSIVE if kinds - _HARMLESS else Verdict.PROMISING


def walk_warnings(luck: WalkLuck) -> list[LuckWarning]:
    """Return what speaks against a walk, gravest first."""
    return [*_of_sharpe(luck), *_of_overfitting(luck), *_of_sample(luck), *_of_walk(luck)]


def _of_sharpe(luck: WalkLuck) -> Iterator[LuckWarning]:
    record, count = luck.evidence.record, luck.evidence.walk_count
    if record is None or record.sharpe <= 0.0:
        told = "is undefined" if record is None else f"per day is {record.sharpe:.4f}, not above 0"
        yield LuckWarning(
            WarningKind.SHARPE_NOT_POSITIVE, f"The Sharpe ratio out of sample {told}."
        )
    if luck.walk_deflated is None:
        told = "The Sharpe ratio deflated by the number of walks is undefined."
        yield LuckWarning(WarningKind.WALK_DEFLATED_SHARPE_LOW, told)
        return
    if record is not None and luck.walk_deflated < EVEN_CHANCE:
        yield LuckWarning(
            WarningKind.BELOW_EXPECTED_MAXIMUM,
            f"The best of {count:,} walks without any edge would be expected to have a Sharpe "
            f"ratio per day of {luck.walk_expected_max or 0.0:.4f}; this one has "
            f"{record.sharpe:.4f}.",
        )
    if luck.walk_deflated < CONFIDENCE:
        walks = "1 walk" if count == 1 else f"{count:,} walks"
        yield LuckWarning(
            WarningKind.WALK_DEFLATED_SHARPE_LOW,
            f"After {walks} the deflated Sharpe ratio out of sample is {luck.walk_deflated:.3f}, "
            f"below {CONFIDENCE}.",
        )


def _of_overfitting(luck: WalkLuck) -> Iterator[LuckWarning]:
    probability = luck.overfitting_probability
    if probability is None:
        yield LuckWarning(
            WarningKind.OVERFITTING_POSSIBLE,
            "Too few trials or days in each window to tell the probability of backtest "
            "overfitting.",
        )
    elif probability >= LOW_OVERFITTING:
        likely = probability >= EVEN_CHANCE
        yield LuckWarning(
            WarningKind.OVERFITTING_LIKELY if likely else WarningKind.OVERFITTING_POSSIBLE,
            f"In sample, what is best in one half of a window's days is not above the middle of "
            f"all trials in the other half {probability:.0%} of the time.",
        )


def _of_sample(luck: WalkLuck) -> Iterator[LuckWarning]:
    evidence = luck.evidence
    if evidence.trade_count < FEW_TRADES:
        yield LuckWarning(
            WarningKind.FEW_TRADES,
            f"{evidence.trade_count} closed trades out of sample are few; {FEW_TRADES} are the "
            "least.",
        )
    if luck.min_days is not None and evidence.day_count < luck.min_days:
        yield LuckWarning(
            WarningKind.TRACK_RECORD_SHORT,
            f"{evidence.day_count} days out of sample are few: to believe in such a Sharpe ratio "
            f"takes {luck.min_days:,.0f}, even if nothing else had been tried.",
        )


def _of_walk(luck: WalkLuck) -> Iterator[LuckWarning]:
    evidence = luck.evidence
    if not evidence.passed:
        told = "The walk forward does not meet all its criteria."
        yield LuckWarning(WarningKind.WALK_NOT_PASSED, told)
    if evidence.plateau is False:
        yield LuckWarning(
            WarningKind.NO_PLATEAU,
            "The best cell of the matrix or one beside it does not pass: a peak, no plateau.",
        )
    if evidence.overlapping:
        yield LuckWarning(
            WarningKind.OVERLAPPING_OOS,
            "Out-of-sample spans overlap: trades of bars that do not count are among the "
            f"{evidence.trade_count:,}.",
        )
    if evidence.at_edge:
        names = ", ".join(evidence.at_edge)
        yield LuckWarning(
            WarningKind.AT_EDGE,
            f"At the edge of the range in half of the windows or more, a wider one may hold "
            f"better: {names}.",
        )
