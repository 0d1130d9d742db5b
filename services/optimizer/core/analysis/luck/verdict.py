"""What the statistics of luck add up to: clear rules, each with its threshold."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.optimizer.core.analysis.luck.cross_validation import CrossValidation
from services.optimizer.core.analysis.luck.intervals import Intervals
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood
from services.optimizer.core.analysis.luck.overfitting import Overfitting
from services.optimizer.core.analysis.luck.returns import ReturnMoments
from services.optimizer.core.analysis.luck.sharpe import (
    CONFIDENCE,
    TrackRecord,
    deflated_sharpe,
    effective_trials,
    expected_max_sharpe,
    min_track_record,
    probabilistic_sharpe,
)
from services.optimizer.core.analysis.luck.superior_ability import SuperiorAbility
from services.optimizer.core.analysis.luck.warning_kinds import LuckWarning, WarningKind
from services.optimizer.core.analysis.luck.warnings_of_resampling import of_resampling

FEW_TRADES: Final = 30
"""Fewer closed trades tell little."""

EVEN_CHANCE: Final = 0.5
"""Below it a deflated Sharpe ratio, from it on a probability of overfitting speaks for luck."""

LOW_OVERFITTING: Final = 0.2
"""From it on a probability of overfitting speaks against a result."""


class Verdict(enum.Enum):
    """What the numbers add up to; values are those of `LuckReport.Verdict`."""

    LIKELY_LUCK = 1
    INCONCLUSIVE = 2
    PROMISING = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the best trial and of those it was chosen from.

    Attributes:
        record: Its daily returns; None where a moment of them is undefined.
        day_count: How many there are.
        trade_count: Its closed trades.
        trial_count: Trials ever run on the dataset with the strategy.
        trial_variance: Variance of their Sharpe ratios per day; None below two.
        moments: The daily returns of the trials looked at.
        complete_count: Complete trials these were taken from.
        overfitting: What cross-validation says of them.
        neighborhood: The objective around the best trial; None where no number is searched.
        at_edge: Searched parameters at an end of their range.
        superior_ability: Whether the best beats cash and buy-and-hold; None where not asked.
        intervals: How far its statistics would scatter; None where not asked.
        cross_validation: What choosing the best earns on other days; None where not asked.
    """

    record: TrackRecord | None
    day_count: int
    trade_count: int
    trial_count: int
    trial_variance: float | None
    moments: ReturnMoments
    complete_count: int
    overfitting: Overfitting | None
    neighborhood: Neighborhood | None
    at_edge: Sequence[str]
    superior_ability: SuperiorAbility | None = None
    intervals: Intervals | None = None
    cross_validation: CrossValidation | None = None


@dataclass(frozen=True, slots=True)
class Luck:
    """The statistics of luck; None for what is undefined. Sharpe ratios are per day.

    Attributes:
        evidence: What they are made of.
        probabilistic: Probability that the true Sharpe ratio is above 0.
        min_days: Days needed for a probability of 0.95.
        correlation: Mean pairwise correlation of trials.
        effective_count: Independent trials that all amount to.
        expected_max: Expected best of as many trials without an edge.
        deflated: Probability that the true Sharpe ratio is above it.
        effective_expected_max: As `expected_max`, of the effective number.
        effective_deflated: As `deflated`, of the effective number.
    """

    evidence: Evidence
    probabilistic: float | None
    min_days: float | None
    correlation: float | None
    effective_count: float | None
    expected_max: float | None
    deflated: float | None
    effective_expected_max: float | None
    effective_deflated: float | None

    @property
    def warnings(self) -> list[LuckWarning]:
        """What speaks against the result, gravest first."""
        resampled = of_resampling(self.evidence.superior_ability, self.evidence.cross_validation)
        found = [*_of_sharpe(self), *_of_overfitting(self), *resampled, *_of_sample(self)]
        return sorted(found, key=lambda one: one.kind.gravity)

    @property
    def verdict(self) -> Verdict:
        """What the numbers add up to.

        LIKELY_LUCK where the Sharpe ratio is not above 0, below the expected best of the effective
        number of trials, or where overfitting is likely and the deflated Sharpe ratio does not say
        otherwise (a family of uniformly good trials has a high probability of overfitting too: the
        choice among them is luck, their edge is not). PROMISING where nothing speaks against it but
        an edge of a range or that holding may earn as much, which is no question of luck.
        INCONCLUSIVE otherwise.
        """
        kinds = {warning.kind for warning in self.warnings}
        grave = {WarningKind.SHARPE_NOT_POSITIVE, WarningKind.BELOW_EXPECTED_MAXIMUM}
        doubted = {WarningKind.OVERFITTING_LIKELY, WarningKind.DEFLATED_SHARPE_LOW}
        if kinds & grave or doubted <= kinds:
            return Verdict.LIKELY_LUCK
        unheeded = {WarningKind.AT_EDGE, WarningKind.BUY_AND_HOLD_NOT_BEATEN}
        return Verdict.INCONCLUSIVE if kinds - unheeded else Verdict.PROMISING


def luck_of(evidence: Evidence) -> Luck:
    """Work the statistics out."""
    record, correlation = evidence.record, evidence.moments.correlation
    effective = None
    if correlation is not None:
        effective = effective_trials(evidence.trial_count, correlation)
    expected = expected_max_sharpe(evidence.trial_variance, evidence.trial_count)
    of_effective = None
    if effective is not None:
        of_effective = expected_max_sharpe(evidence.trial_variance, effective)
    return Luck(
        evidence=evidence,
        probabilistic=None if record is None else probabilistic_sharpe(record),
        min_days=None if record is None else min_track_record(record),
        correlation=correlation,
        effective_count=effective,
        expected_max=expected,
        deflated=None if record is None else deflated_sharpe(record, expected),
        effective_expected_max=of_effective,
        effective_deflated=None if record is None else deflated_sharpe(record, of_effective),
    )


def _of_sharpe(luck: Luck) -> Iterator[LuckWarning]:
    record, count = luck.evidence.record, luck.evidence.trial_count
    if record is None or record.sharpe <= 0.0:
        told = "is undefined" if record is None else f"per day is {record.sharpe:.4f}, not above 0"
        yield LuckWarning(WarningKind.SHARPE_NOT_POSITIVE, f"The best trial's Sharpe ratio {told}.")
    judged = luck.deflated if luck.effective_deflated is None else luck.effective_deflated
    best = luck.expected_max if luck.effective_deflated is None else luck.effective_expected_max
    if record is not None and best is not None and judged is not None and judged < EVEN_CHANCE:
        yield LuckWarning(
            WarningKind.BELOW_EXPECTED_MAXIMUM,
            f"The best of {luck.effective_count or count:,.0f} independent trials without any edge "
            f"would be expected to have a Sharpe ratio per day of {best:.4f}; the best trial has "
            f"{record.sharpe:.4f}.",
        )
    if luck.deflated is None:
        told = "The deflated Sharpe ratio is undefined."
        yield LuckWarning(WarningKind.DEFLATED_SHARPE_LOW, told)
    elif luck.deflated < CONFIDENCE:
        yield LuckWarning(
            WarningKind.DEFLATED_SHARPE_LOW,
            f"After {count:,} trials the deflated Sharpe ratio is {luck.deflated:.3f}, below "
            f"{CONFIDENCE}.",
        )


def _of_overfitting(luck: Luck) -> Iterator[LuckWarning]:
    found = luck.evidence.overfitting
    if found is None:
        yield LuckWarning(
            WarningKind.OVERFITTING_POSSIBLE,
            "Too few trials or days to tell the probability of backtest overfitting.",
        )
    elif found.probability >= LOW_OVERFITTING:
        likely = found.probability >= EVEN_CHANCE
        kind = WarningKind.OVERFITTING_LIKELY if likely else WarningKind.OVERFITTING_POSSIBLE
        yield LuckWarning(
            kind,
            f"What is best in one half of the days is not above the middle of all trials in the "
            f"other half {found.probability:.0%} of the time.",
        )


def _of_sample(luck: Luck) -> Iterator[LuckWarning]:
    evidence, near = luck.evidence, luck.evidence.neighborhood
    if evidence.trade_count < FEW_TRADES:
        yield LuckWarning(
            WarningKind.FEW_TRADES,
            f"{evidence.trade_count} closed trades are few; {FEW_TRADES} are the least.",
        )
    if luck.min_days is not None and evidence.day_count < luck.min_days:
        yield LuckWarning(
            WarningKind.TRACK_RECORD_SHORT,
            f"{evidence.day_count} days are few: to believe in such a Sharpe ratio takes "
            f"{luck.min_days:,.0f}, even if nothing else had been tried.",
        )
    if near is not None and near.weak:
        kept = near.kept(near.median)
        told = "" if kept is None else f", and their median keeps {kept:.0%} of it"
        yield LuckWarning(
            WarningKind.NEIGHBORHOOD_WEAK,
            f"A small change of parameters loses much of the objective: {near.defined_count} of "
            f"{near.neighbor_count} neighbours have one{told}.",
        )
    if evidence.at_edge:
        names = ", ".join(evidence.at_edge)
        yield LuckWarning(
            WarningKind.AT_EDGE, f"At the edge of the range, a wider one may hold better: {names}."
        )
