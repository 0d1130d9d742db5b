"""Choices and the verdict on them, as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.backtest.v1 import strategy_pb2
from assay.backtest.v1 import stress_pb2 as worker_stress_pb2
from assay.optimizer.v1 import recommendation_pb2 as pb
from assay.optimizer.v1 import stress_pb2, study_pb2
from google.protobuf.message import Message

from services.optimizer.convert.luck import record_of
from services.optimizer.convert.reported_walk import reported_walk
from services.optimizer.convert.studies import trial_name
from services.optimizer.convert.values import assignments, metrics_message, value_of
from services.optimizer.core.analysis.luck.neighborhood import Neighborhood, summary
from services.optimizer.core.analysis.luck.sharpe import (
    Tried,
    deflated_sharpe,
    expected_max_sharpe,
    probabilistic_sharpe,
)
from services.optimizer.core.analysis.luck.verdict import Verdict as LuckVerdict
from services.optimizer.core.analysis.recommendation.choices import (
    Absent,
    ChoiceKind,
    Pick,
    judged,
)
from services.optimizer.core.analysis.recommendation.evidence import (
    ChoiceFacts,
    Findings,
    Verdict,
)
from services.optimizer.core.analysis.recommendation.rule import judge
from services.optimizer.core.analysis.recommendation.words import paragraph
from services.optimizer.core.analysis.stress.judgement import LEAST_DRAWS
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.trial import Trial

_Kind = pb.Choice.Kind
_TWICE = 2.0

_Warned = study_pb2.LuckWarning
_LUCK_ALONE = frozenset({_Warned.KIND_SHARPE_NOT_POSITIVE, _Warned.KIND_BELOW_EXPECTED_MAXIMUM})
_LUCK_TOGETHER = frozenset(
    {
        _Warned.KIND_DEFLATED_SHARPE_LOW,
        _Warned.KIND_WALK_DEFLATED_SHARPE_LOW,
        _Warned.KIND_OVERFITTING_LIKELY,
    }
)


@dataclass(frozen=True, slots=True)
class Background:
    """What the evidence of choices is told against.

    Attributes:
        study_id: The study.
        objectives: Its objectives.
        best_value: The best objective; None for several objectives.
        day_count: Daily returns of a trial.
        tried: How much luck the best may hold.
        neighborhoods: What is around trials, by their numbers.
    """

    study_id: str
    objectives: Sequence[Objective]
    best_value: float | None
    day_count: int
    tried: Tried
    neighborhoods: Mapping[int, Neighborhood]


def choice_message(pick: Pick, trial: Trial, background: Background) -> pb.Choice:
    """Return a chosen trial with its evidence."""
    return pb.Choice(
        kind=_Kind.ValueType(pick.kind.value),
        objective=pick.objective,
        trial=trial_name(background.study_id, trial.number),
        parameters=assignments(trial.parameters),
        objective_values=trial.objective_values,
        metrics=metrics_message(trial.outcome),
        evidence=_evidence_message(trial, background),
        reason=_sentence(pick.reason),
    )


def _evidence_message(trial: Trial, background: Background) -> pb.ChoiceEvidence:
    metrics, record = trial.outcome.metrics, record_of(trial, background.day_count)
    expected = expected_max_sharpe(background.tried.sharpe_variance, background.tried.count)
    earned, fallen = metrics.get("total_return_ratio"), metrics.get("max_drawdown_ratio")
    trades = metrics.get("trade_count")
    message = pb.ChoiceEvidence(
        probabilistic_sharpe_ratio=None if record is None else probabilistic_sharpe(record),
        deflated_sharpe_ratio=None if record is None else deflated_sharpe(record, expected),
        trade_count=None if trades is None else round(trades),
        total_return_ratio=earned,
        max_drawdown_ratio=fallen,
        return_over_drawdown_ratio=earned / fallen if earned is not None and fallen else None,
    )
    if background.best_value is not None:
        maximize = background.objectives[0].maximize
        kept = summary((), background.best_value, maximize=maximize).kept(trial.objective_values[0])
        if kept is not None and trial.objective_values[0] > 0.0:
            message.best_kept_ratio = kept
    near = background.neighborhoods.get(trial.number)
    if near is not None and near.neighbor_count:
        message.neighborhood.CopyFrom(_neighborhood_message(near))
    return message


def _neighborhood_message(near: Neighborhood) -> pb.NeighborhoodEvidence:
    return pb.NeighborhoodEvidence(
        neighbor_count=near.neighbor_count,
        defined_neighbor_count=near.defined_count,
        median_value=near.median,
        worst_kept_ratio=near.kept(near.worst),
        median_kept_ratio=near.kept(near.median),
        mean_kept_ratio=near.kept(near.mean),
        weak=near.weak,
    )


def recommendation_message(
    choices: Sequence[pb.Choice], absent: Sequence[Absent], report: study_pb2.StudyReport
) -> pb.Recommendation:
    """Return choices, what is recommended of them, and why; the report holds everything else."""
    place = judged([ChoiceKind(one.kind) for one in choices])
    chosen = None if place is None else choices[place]
    facts = None if chosen is None else facts_of(chosen)
    judgement = judge(findings_of(facts, report))
    kind = _Kind.ValueType(0) if chosen is None else chosen.kind
    refused = judgement.verdict is Verdict.NOT_RECOMMENDED
    return pb.Recommendation(
        verdict=pb.Recommendation.Verdict.ValueType(judgement.verdict.value),
        text=paragraph(facts, judgement),
        judged=kind,
        recommended=_Kind.ValueType(0) if refused else kind,
        reasons=[
            pb.RecommendationReason(
                kind=pb.RecommendationReason.Kind.ValueType(one.kind.value),
                weight=pb.RecommendationReason.Weight.ValueType(one.weight.value),
                message=one.message,
            )
            for one in judgement.reasons
        ],
        choices=_compared(choices),
        absent_choices=[
            pb.AbsentChoice(kind=_Kind.ValueType(one.kind.value), reason=_sentence(one.reason))
            for one in absent
        ],
    )


def findings_of(facts: ChoiceFacts | None, report: study_pb2.StudyReport) -> Findings:
    """Return what a report says about a choice; parts that are not there say nothing."""
    luck, held, walk = report.luck, report.buy_and_hold, reported_walk(report)
    tests = luck.superior_ability
    progress = report.study.progress
    return Findings(
        choice=facts,
        finished_trial_count=progress.finished_trial_count,
        failed_trial_count=progress.failed_trial_count,
        luck=LuckVerdict(luck.verdict) if luck.verdict else None,
        luck_warnings=_leading(luck),
        buy_and_hold_return_ratio=_known(held, "total_return_ratio"),
        buy_and_hold_drawdown_ratio=_known(held, "max_drawdown_ratio"),
        walk_forward_passed=None if walk is None else walk.passed,
        # A walk has a number of its own for that: the Sharpe ratio deflated by walks.
        superior_to_cash_p=None if walk else _known(tests.cash, "consistent_p_value"),
        superior_to_buy_and_hold_p=_known(tests.buy_and_hold, "consistent_p_value"),
        losing_path_share=_known(luck.cross_validation, "losing_path_ratio"),
        mean_path_sharpe=_known(luck.cross_validation, "mean_path_sharpe_ratio"),
        double_cost_return_ratio=_at_twice_the_costs(report.stress),
        delay_kept_ratio=_kept_after_delay(report.stress),
        random_entry_p=_random_entry_p(report.stress.entry_permutation),
    )


def _leading(luck: study_pb2.LuckReport) -> list[str]:
    """Return the gravest warning, or the two that are likely luck only together."""
    warnings, kinds = luck.warnings, {one.kind for one in luck.warnings}
    if luck.verdict == study_pb2.LuckReport.VERDICT_LIKELY_LUCK and not kinds & _LUCK_ALONE:
        return [one.message for one in warnings if one.kind in _LUCK_TOGETHER]
    return [one.message for one in warnings[:1]]


def _at_twice_the_costs(stress: stress_pb2.StressReport) -> float | None:
    """Return the total return at twice the costs; None where that was not run."""
    doubled = (run for run in stress.costs if run.cost_factor == _TWICE)
    return next((_known(run.metrics, "total_return_ratio") for run in doubled), None)


def _random_entry_p(entries: worker_stress_pb2.EntryPermutation) -> float | None:
    """Return the p-value of random entries; None where too few were drawn for it to tell."""
    return _known(entries, "p_value") if entries.variant_count >= LEAST_DRAWS else None


def _kept_after_delay(stress: stress_pb2.StressReport) -> float | None:
    """Return the share of the total return that late decisions leave; None without a profit."""
    left = _known(stress.delay.metrics, "total_return_ratio")
    if left is None or stress.total_return_ratio <= 0.0:
        return None
    return left / stress.total_return_ratio


def facts_of(choice: pb.Choice) -> ChoiceFacts:
    """Return what is known of a choice."""
    evidence = choice.evidence
    values = (f"{one.name}={_shown(one.value)}" for one in choice.parameters)
    name = f"trial {choice.trial.rpartition('/')[2]} with {', '.join(values)}"
    if not choice.HasField("evidence"):
        return ChoiceFacts(name, walked=True)
    near = evidence.neighborhood
    looked_at = evidence.HasField("neighborhood")
    return ChoiceFacts(
        name=name,
        total_return_ratio=_known(evidence, "total_return_ratio"),
        max_drawdown_ratio=_known(evidence, "max_drawdown_ratio"),
        trade_count=evidence.trade_count if evidence.HasField("trade_count") else None,
        deflated_sharpe=_known(evidence, "deflated_sharpe_ratio"),
        neighborhood_weak=near.weak if looked_at else None,
        neighborhood_kept=_known(near, "median_kept_ratio"),
    )


def _compared(choices: Sequence[pb.Choice]) -> list[pb.Choice]:
    """Return choices that name the others with the same parameters."""
    points = [
        [one.SerializeToString(deterministic=True) for one in each.parameters] for each in choices
    ]
    for choice, point in zip(choices, points, strict=True):
        same = {
            other.kind
            for other, its_point in zip(choices, points, strict=True)
            if other is not choice and its_point == point
        }
        choice.same_as[:] = sorted(same)
    return list(choices)


def _known(message: Message, name: str) -> float | None:
    """Return an optional number of a message; None where it is unset."""
    return getattr(message, name) if message.HasField(name) else None


def _shown(message: strategy_pb2.ParameterValue) -> str:
    value = value_of(message)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _sentence(told: str) -> str:
    return f"{told[:1].upper()}{told[1:]}."
