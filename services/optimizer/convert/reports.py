"""The report of a study, and the backtest it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2, metrics_pb2, strategy_pb2
from assay.optimizer.v1 import optimizer_service_pb2, stress_pb2, study_pb2

from services.common.errors import Violation
from services.optimizer.convert.luck import luck_message
from services.optimizer.convert.report_parts import (
    freeze_message,
    importance_message,
    interaction_message,
    ledger_message,
    pareto_message,
)
from services.optimizer.convert.studies import trial_message
from services.optimizer.core.analysis.best_history import (
    Hypervolume,
    best_value_history,
    hypervolume_history,
)
from services.optimizer.core.analysis.freezing import freeze_suggestions
from services.optimizer.core.analysis.importance import Evaluator, Importance
from services.optimizer.core.analysis.interactions import interactions
from services.optimizer.core.analysis.luck.verdict import Luck
from services.optimizer.core.analysis.pareto import reference_point, trade_offs
from services.optimizer.core.analysis.trial_order import parameters_at_edge
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry, StudyShape
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Trial

_EVALUATORS: Final = {
    optimizer_service_pb2.GetStudyReportRequest.IMPORTANCE_EVALUATOR_UNSPECIFIED: (
        Evaluator.PED_ANOVA
    ),
    optimizer_service_pb2.GetStudyReportRequest.IMPORTANCE_EVALUATOR_PED_ANOVA: Evaluator.PED_ANOVA,
    optimizer_service_pb2.GetStudyReportRequest.IMPORTANCE_EVALUATOR_F_ANOVA: Evaluator.F_ANOVA,
}

_NOT_COMPARED: Final = (
    "stop_loss_ratio",
    "take_profit_ratio",
    "trailing_stop_ratio",
    "trailing_activation_ratio",
    "position_fraction_ratio",
    "position_quote",
    "position_quantity_base",
    "risk_per_trade_ratio",
    "volatility_target_ratio",
    "volatility_period_bars",
    "size_on_initial_capital",
    "max_entry_count",
    "leverage",
    "risk_tiers",
    "liquidation_fee_bps",
    "detail",
)
"""What buy-and-hold does without: exits, sizes, leverage. Costs, funding among them, it pays."""


Importances: TypeAlias = Callable[[StudyShape, TrialTable, int, Evaluator], Sequence[Importance]]
"""Judges parameters by finished trials: shape, trials, the study's seed, how. Blocks."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report is made from.

    Attributes:
        study: The study as it is told, with its spec.
        plan: Its plan.
        table: All its trials; no metrics are needed.
        best: What `best_numbers` says of the table, whole.
        best_trials: The trials of the first `MOST_BEST_TRIALS` of them, in this order.
        buy_and_hold: What the study is compared with.
        ledger: All that was ever tried on the same dataset with the same strategy.
        evaluator: How importance is judged.
        luck: How likely the best trial is luck; None where that is not told.
        walked: What only a study that walks forward tells, its luck among it; None for others.
        stress: How the best trial stands up to worse conditions; None where that is not told.
    """

    study: study_pb2.Study
    plan: StudyPlan
    table: TrialTable
    best: npt.NDArray[np.int64]
    best_trials: Sequence[Trial]
    buy_and_hold: metrics_pb2.Metrics
    ledger: LedgerEntry
    evaluator: Evaluator = Evaluator.PED_ANOVA
    luck: Luck | None = None
    walked: study_pb2.StudyReport | None = None
    stress: stress_pb2.StressReport | None = None


def buy_and_hold_request(spec: study_pb2.StudySpec) -> backtest_service_pb2.RunBacktestRequest:
    """Return the backtest a study is compared with: all in, long, same costs, same candles."""
    request = backtest_service_pb2.RunBacktestRequest(
        snapshot=spec.data[0],
        strategy=strategy_pb2.StrategyChoice(
            name="strategies/buy_and_hold", direction=strategy_pb2.DIRECTION_LONG
        ),
        execution=spec.execution,
    )
    for name in _NOT_COMPARED:
        request.execution.ClearField(name)
    return request


def evaluator_of(
    request: optimizer_service_pb2.GetStudyReportRequest,
) -> tuple[Evaluator, list[Violation]]:
    """Return how importance is to be judged, and what is wrong with the choice."""
    chosen = request.importance_evaluator
    if chosen in _EVALUATORS:
        return _EVALUATORS[chosen], []
    wrong = Violation("importance_evaluator", f"{chosen} is not one of the choices")
    return Evaluator.PED_ANOVA, [wrong]


def report_message(
    findings: Findings, importances: Importances, hypervolume: Hypervolume
) -> study_pb2.StudyReport:
    """Return the report of a study. Blocks, for seconds where there are many trials."""
    plan, table = findings.plan, findings.table
    study_id = findings.study.name.removeprefix("studies/")
    judged = importances(plan.shape, table, plan.seed, findings.evaluator)
    report = study_pb2.StudyReport(
        study=findings.study,
        best_trials=[trial_message(study_id, trial) for trial in findings.best_trials],
        buy_and_hold=findings.buy_and_hold,
        importances=map(importance_message, judged),
        interactions=map(interaction_message, interactions(plan, table, judged[0])),
        ledger=ledger_message(findings.ledger),
        stress=findings.stress,
    )
    if findings.walked is not None:
        report.MergeFrom(findings.walked)
        return report
    if len(plan.objectives) > 1:
        report.pareto.CopyFrom(_pareto(study_id, findings, hypervolume))
        return report
    report.best_value_history.extend(best_value_history(table, plan.objectives[0]))
    if findings.best_trials:
        best = findings.best_trials[0]
        suggested = freeze_suggestions(plan, table, judged[0], best)
        report.parameters_at_edge.extend(parameters_at_edge(plan, best))
        report.freeze_suggestions.extend(map(freeze_message, suggested))
        if findings.luck is not None:
            report.luck.CopyFrom(luck_message(study_id, best, findings.luck))
    return report


def _pareto(
    study_id: str, findings: Findings, hypervolume: Hypervolume
) -> study_pb2.ParetoAnalysis:
    table, objectives = findings.table, findings.plan.objectives
    return pareto_message(
        study_id,
        trade_offs(table, findings.best, objectives),
        reference_point(table, objectives),
        hypervolume_history(table, objectives, hypervolume),
    )
