"""Reports as messages, from columns of trials to the contract."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from assay.backtest.v1 import metrics_pb2
from assay.optimizer.v1 import optimizer_service_pb2, study_pb2

from services.optimizer.adapters.analysis.hypervolume import hypervolume
from services.optimizer.convert.report_parts import ledger_message
from services.optimizer.convert.reports import Findings, evaluator_of, report_message
from services.optimizer.core.analysis.fronts import best_numbers
from services.optimizer.core.analysis.importance import Evaluator, Importance, Share
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry, LedgerKey, StudyShape
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.study.judge import Slot, judged
from services.optimizer.core.trial import Trial
from tests.unit.optimizer.in_memory import make_plan, outcome_of, search_of
from tests.unit.optimizer.tables import table_of

ALONE = make_plan(trial_count=60)
BOTH = replace(ALONE, objectives=(*ALONE.objectives, Objective("trade_count", maximize=True)))
KEY = LedgerKey("datasets/btc", "strategies/sma_crossover")
LEDGER = LedgerEntry(KEY, 2, 120, 100, 2, 3.0, 5.0)
NAME = "studies/mine/trials"


def shares_of_all(
    shape: StudyShape, table: TrialTable, study_seed: int, evaluator: Evaluator
) -> Sequence[Importance]:
    """Say that the slow period matters and the fast one does not."""
    assert (len(table), study_seed) == (60, 7)
    shares = (Share("slow_period", 0.75, 0.5, True), Share("fast_period", 0.25, 0.3, False))
    return [Importance(metric, evaluator, shares) for metric in shape.metric_names]


def findings_of(chosen: StudyPlan = ALONE, *, failed: bool = False) -> Findings:
    """Return 60 trials of the made-up market; with `failed` none of them ran."""
    trials: list[Trial] = [
        judged(chosen, Slot(number, number // 4, 0, 0), point, outcome_of(point))
        for number, point in enumerate(search_of(chosen).ask(0, 60))
    ]
    values = np.full((60, len(chosen.objectives)), np.nan)
    for trial in trials:
        if trial.objective_values and not failed:
            values[trial.number] = trial.objective_values
    names = ("fast_period", "slow_period")
    table = table_of(
        values,
        feasible=[trial.feasible for trial in trials],
        states=[2 if failed else trial.state.value for trial in trials],
        parameters={name: np.array([one.parameters[name] for one in trials]) for name in names},
    )
    best = best_numbers(table, chosen.objectives)
    return Findings(
        study=study_pb2.Study(name="studies/mine"),
        plan=chosen,
        table=table,
        best=best,
        best_trials=[trials[number] for number in best[:5]],
        buy_and_hold=metrics_pb2.Metrics(sharpe_ratio=0.5),
        ledger=LEDGER,
    )


def test_the_report_of_one_objective() -> None:
    """Best trials, shares with their baseline, edges, history, heat map, what can be fixed."""
    findings = findings_of()
    report = report_message(findings, shares_of_all, hypervolume)
    (importance,) = report.importances
    (interaction,) = report.interactions
    (frozen,) = report.freeze_suggestions
    best = findings.best_trials[0]

    assert [trial.number for trial in report.best_trials] == findings.best[:5].tolist()
    assert report.buy_and_hold.sharpe_ratio == 0.5
    assert importance.evaluator == "PED-ANOVA"
    assert [
        (one.name, one.share_ratio, one.baseline_share_ratio, one.significant)
        for one in importance.shares
    ] == [("slow_period", 0.75, 0.5, True), ("fast_period", 0.25, 0.3, False)]
    assert (interaction.first_name, interaction.second_name) == ("slow_period", "fast_period")
    assert sum(interaction.trial_counts) == int((findings.table.states == 1).sum())
    assert len(interaction.trial_counts) == len(interaction.mean_values) == 100
    assert max(interaction.best_values) == report.best_value_history[-1]
    assert (frozen.name, frozen.value.int_value) == ("fast_period", best.parameters["fast_period"])
    assert list(report.best_value_history) == sorted(report.best_value_history)
    assert len(report.best_value_history) == 15
    assert report.best_value_history[-1] == best.objective_values[0]
    assert not report.HasField("pareto")
    assert report.ledger.dataset == "datasets/btc"


def test_the_report_of_several_objectives() -> None:
    """Trade-offs instead of edges, a history of values and what can be fixed."""
    findings = findings_of(BOTH)
    report = report_message(findings, shares_of_all, hypervolume)
    pareto = report.pareto
    names = [f"{NAME}/{number}" for number in findings.best]

    assert len(report.importances) == 2
    assert [one.trial for one in pareto.trade_offs] == names
    assert pareto.knee_trial in names
    assert pareto.best_rank_trial in names
    assert len(pareto.hypervolume_history) == 15
    assert pareto.hypervolume_history[-1] > 0
    feasible = findings.table.objective_values[findings.table.feasible]
    assert list(pareto.reference_point) == feasible.min(axis=0).tolist()
    for one, trial in zip(pareto.trade_offs, report.best_trials, strict=False):
        assert (one.trial, one.objective_values) == (trial.name, trial.objective_values)
        assert len(one.ranks) == len(one.regret_ratios) == 2
    assert not report.parameters_at_edge
    assert not report.best_value_history
    assert not report.freeze_suggestions


@pytest.mark.parametrize("plan", [ALONE, BOTH], ids=["one", "two"])
def test_a_study_without_feasible_trials_has_a_report_too(plan: StudyPlan) -> None:
    """With nothing in it but the comparison and the ledger."""

    def undefined(
        shape: StudyShape, _table: TrialTable, _seed: int, evaluator: Evaluator
    ) -> Sequence[Importance]:
        reason = "FEWER_THAN_20_TRIALS"
        return [Importance(one, evaluator, undefined_reason=reason) for one in shape.metric_names]

    findings = replace(findings_of(plan, failed=True), evaluator=Evaluator.F_ANOVA)
    report = report_message(findings, undefined, hypervolume)

    assert {one.undefined_reason for one in report.importances} == {"FEWER_THAN_20_TRIALS"}
    assert {one.evaluator for one in report.importances} == {"F-ANOVA"}
    assert report.HasField("pareto") == (plan is BOTH)
    assert report.pareto == study_pb2.ParetoAnalysis()
    assert not report.best_trials
    assert not report.interactions
    assert not report.best_value_history
    assert not report.freeze_suggestions


def test_the_evaluator_is_one_of_the_contract() -> None:
    """PED-ANOVA where none is given; others are told, not raised."""
    request = optimizer_service_pb2.GetStudyReportRequest()
    assert evaluator_of(request) == (Evaluator.PED_ANOVA, [])
    request.importance_evaluator = request.IMPORTANCE_EVALUATOR_F_ANOVA
    assert evaluator_of(request) == (Evaluator.F_ANOVA, [])
    request.importance_evaluator = 9  # type: ignore[assignment] # what a careless client sends
    _, (violation,) = evaluator_of(request)
    assert violation.field == "importance_evaluator"


def test_the_ledger_tells_mean_and_variance_of_its_sums() -> None:
    """Rounded once; unset below one and two trials; never below zero by rounding."""
    values = [0.5, 1.25, -0.75, 2.0]
    entry = LedgerEntry(KEY, 1, 9, 8, 4, sum(values), sum(value**2 for value in values))
    message = ledger_message(entry)

    assert (message.study_count, message.trial_count, message.evaluated_trial_count) == (1, 9, 8)
    assert (message.dataset, message.strategy) == (KEY.dataset, KEY.strategy)
    assert message.mean_daily_sharpe_ratio == statistics.fmean(values)
    assert message.daily_sharpe_variance == statistics.variance(map(Fraction, values))

    equal = ledger_message(LedgerEntry(KEY, 1, 3, 3, 3, 0.1 + 0.1 + 0.1, 3 * 0.1**2))
    assert equal.daily_sharpe_variance >= 0.0
    none = ledger_message(LedgerEntry(KEY))
    assert not none.HasField("mean_daily_sharpe_ratio")
    one = ledger_message(LedgerEntry(KEY, 1, 1, 1, 1, 0.5, 0.25))
    assert one.mean_daily_sharpe_ratio == 0.5
    assert not one.HasField("daily_sharpe_variance")
