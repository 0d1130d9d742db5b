"""The report of a walk forward as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from assay.backtest.v1 import metrics_pb2
from assay.optimizer.v1 import study_pb2, walk_forward_pb2

from services.optimizer.convert.out_of_sample_runs import Found
from services.optimizer.convert.studies import trial_name
from services.optimizer.convert.values import assignments, metrics_message, value_message
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial
from services.optimizer.core.walk_forward.evidence import WindowEvidence
from services.optimizer.core.walk_forward.rule import WalkForward
from services.optimizer.core.walk_forward.stability import ParameterPath, parameter_paths
from services.optimizer.core.walk_forward.statistics import judged, summary_of
from services.optimizer.core.walk_forward.stitching import StitchedCurve, stitched

_Outcome = walk_forward_pb2.WindowResult


def walk_forward_message(
    study: study_pb2.Study,
    plan: StudyPlan,
    table: TrialTable,
    winners: Sequence[Trial],
    runs: Sequence[Found],
) -> walk_forward_pb2.WalkForwardReport:
    """Return the report; winners and their runs by rising window."""
    rule = plan.walk_forward
    if rule is None:
        raise ValueError("the study has no windows")
    by_window = {
        winner.number % plan.window_count: (winner, run)
        for winner, run in zip(winners, runs, strict=True)
    }
    evidence = _evidence(rule, by_window)
    overlapping = rule.overlapping
    summary = summary_of(evidence, overlapping=overlapping)
    curve = stitched(evidence, study.spec.execution.initial_capital_quote) if winners else None
    looked_at = None
    if curve is not None:
        looked_at = curve.compounded if rule.compounded else curve.reset
    criteria = judged(summary, looked_at, rule.criteria, overlapping=overlapping)
    study_id = study.name.removeprefix("studies/")
    return walk_forward_pb2.WalkForwardReport(
        windows=[
            _window_message(study_id, one, table, plan.window_count, by_window) for one in evidence
        ],
        overlapping_oos=overlapping,
        parameter_paths=map(_path_message, parameter_paths(plan.space, evidence)),
        stitched_curve=None if curve is None else _curve_message(curve),
        criteria=[walk_forward_pb2.CriterionResult(**asdict(one)) for one in criteria],
        passed=all(one.passed for one in criteria),
        **asdict(summary),
    )


def _evidence(
    rule: WalkForward, by_window: Mapping[int, tuple[Trial, Found]]
) -> list[WindowEvidence]:
    evidence = []
    for number, window in enumerate(rule.windows):
        if number in by_window:
            winner, (run, _) = by_window[number]
            evidence.append(WindowEvidence(number, window, winner, run))
        else:
            evidence.append(WindowEvidence(number, window))
    return evidence


def _window_message(
    study_id: str,
    one: WindowEvidence,
    table: TrialTable,
    window_count: int,
    by_window: Mapping[int, tuple[Trial, Found]],
) -> walk_forward_pb2.WindowResult:
    feasible = table.feasible[one.number :: window_count]
    message = walk_forward_pb2.WindowResult(
        number=one.number,
        outcome=_Outcome.OUTCOME_NO_FEASIBLE_TRIAL,
        trial_count=len(feasible),
        feasible_trial_count=int(np.count_nonzero(feasible)),
    )
    if one.winner is None or one.out_of_sample is None:
        return message
    traded = one.out_of_sample.trade_count > 0
    message.outcome = _Outcome.OUTCOME_TRADED if traded else _Outcome.OUTCOME_NO_TRADES
    message.winner = trial_name(study_id, one.winner.number)
    message.parameters.extend(assignments(one.winner.parameters))
    message.in_sample_value = one.winner.objective_values[0]
    message.in_sample.CopyFrom(metrics_message(one.winner.outcome) or metrics_pb2.Metrics())
    message.out_of_sample.CopyFrom(by_window[one.number][1][1])
    return message


def _path_message(path: ParameterPath) -> walk_forward_pb2.ParameterPath:
    return walk_forward_pb2.ParameterPath(
        name=path.name,
        window_numbers=path.window_numbers,
        values=map(value_message, path.values),
        change_rate=path.change_rate,
        used_range_ratio=path.used_range_ratio,
    )


def _curve_message(curve: StitchedCurve) -> walk_forward_pb2.StitchedCurve:
    return walk_forward_pb2.StitchedCurve(
        time_ms=curve.time_ms.tolist(),
        reset_equity_quote=curve.reset_equity_quote.tolist(),
        compounded_equity_quote=curve.compounded_equity_quote.tolist(),
        reset=walk_forward_pb2.StitchedMetrics(**asdict(curve.reset)),
        compounded=walk_forward_pb2.StitchedMetrics(**asdict(curve.compounded)),
    )
