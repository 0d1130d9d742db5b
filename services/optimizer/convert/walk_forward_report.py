"""The report of a walk forward as a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

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
from services.optimizer.core.walk_forward.rule import WalkForward, Window
from services.optimizer.core.walk_forward.stability import ParameterPath, parameter_paths
from services.optimizer.core.walk_forward.statistics import (
    CriterionResult,
    Summary,
    judged,
    summary_of,
)
from services.optimizer.core.walk_forward.stitching import (
    MOST_POINTS,
    StitchedCurve,
    StitchedMetrics,
    stitched,
)

FEWEST_POINTS: Final = 50
"""Points of a cell's curve, however many cells there are."""

_Outcome = walk_forward_pb2.WindowResult


@dataclass(frozen=True, slots=True)
class CellWalk:
    """The walk of a cell of a matrix, or the only walk of a study.

    Attributes:
        number: Place of the cell; 0 for the only walk.
        rule: Its lengths and its windows.
        evidence: What is known of its windows, by rising number.
        metrics: Their out-of-sample metrics by the number of the window, where there is a winner.
        curve: The stitched curves; None without a winner.
        initial_capital_quote: What each run out of sample began with.
    """

    number: int
    rule: WalkForward
    evidence: Sequence[WindowEvidence]
    metrics: Mapping[int, metrics_pb2.Metrics]
    curve: StitchedCurve | None
    initial_capital_quote: float

    @property
    def stitched_metrics(self) -> StitchedMetrics | None:
        """The metrics of the curve the criteria look at; None without a winner."""
        if self.curve is None:
            return None
        return self.curve.compounded if self.rule.compounded else self.curve.reset

    @property
    def summary(self) -> Summary:
        """The statistics over its windows."""
        return summary_of(self.evidence, overlapping=self.rule.overlapping)

    @property
    def criteria(self) -> list[CriterionResult]:
        """The criteria with what was found."""
        return judged(
            self.summary,
            self.stitched_metrics,
            self.rule.criteria,
            overlapping=self.rule.overlapping,
        )

    @property
    def passed(self) -> bool:
        """Whether every criterion is met."""
        return all(one.passed for one in self.criteria)


def cell_walks(
    spec: study_pb2.StudySpec, plan: StudyPlan, winners: Sequence[Trial], runs: Sequence[Found]
) -> list[CellWalk]:
    """Return the walks of a study by rising cell, one without a matrix.

    Args:
        spec: The spec of the study.
        plan: Its plan.
        winners: The windows' winners.
        runs: Their runs out of sample, in the same order.
    """
    rule = plan.walk_forward
    if rule is None:
        raise ValueError("the study has no windows")
    by_window = {
        winner.number % plan.window_count: (winner, run)
        for winner, run in zip(winners, runs, strict=True)
    }
    cells = rule.cells
    points = max(MOST_POINTS // len(cells), FEWEST_POINTS)
    capital = spec.execution.initial_capital_quote
    walks = []
    for number, cell in enumerate(cells):
        windows = rule.numbers_of(number)
        evidence = [_evidence(one, rule.windows[one], by_window) for one in windows]
        won = [one for one in windows if one in by_window]
        walks.append(
            CellWalk(
                number,
                replace(cell, windows=tuple(rule.windows[one] for one in windows)),
                evidence,
                {one: by_window[one][1][1] for one in won},
                stitched(evidence, capital, points) if won else None,
                capital,
            )
        )
    return walks


def walk_forward_message(
    study_id: str, plan: StudyPlan, table: TrialTable, walk: CellWalk
) -> walk_forward_pb2.WalkForwardReport:
    """Return the report of a walk."""
    paths = parameter_paths(plan.space, walk.evidence)
    return walk_forward_pb2.WalkForwardReport(
        windows=[
            _window_message(study_id, one, table, plan.window_count, walk.metrics)
            for one in walk.evidence
        ],
        overlapping_oos=walk.rule.overlapping,
        parameter_paths=map(_path_message, paths),
        stitched_curve=None if walk.curve is None else _curve_message(walk.curve),
        criteria=[walk_forward_pb2.CriterionResult(**asdict(one)) for one in walk.criteria],
        passed=walk.passed,
        **asdict(walk.summary),
    )


def _evidence(
    number: int, window: Window, by_window: Mapping[int, tuple[Trial, Found]]
) -> WindowEvidence:
    if number not in by_window:
        return WindowEvidence(number, window)
    winner, (run, _) = by_window[number]
    return WindowEvidence(number, window, winner, run)


def _window_message(
    study_id: str,
    one: WindowEvidence,
    table: TrialTable,
    window_count: int,
    metrics: Mapping[int, metrics_pb2.Metrics],
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
    message.out_of_sample.CopyFrom(metrics[one.number])
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
