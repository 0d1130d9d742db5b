"""How studies over several data are told to people."""

from __future__ import annotations

import pytest
from assay.backtest.v1.metrics_pb2 import Metrics
from assay.market.v1.candles_pb2 import CandleSnapshot
from assay.optimizer.v1.data_aggregation_pb2 import DataAggregation, DatasetResult
from assay.optimizer.v1.study_pb2 import (
    LedgerEntry,
    Objective,
    Study,
    StudyReport,
    StudySpec,
    Trial,
)

from cli import datasets_view, report_view, study_view

SPEC = StudySpec(
    data=[CandleSnapshot(dataset="datasets/a"), CandleSnapshot(dataset="datasets/b")],
    data_aggregation=DataAggregation(rule=DataAggregation.RULE_WORST),
    objectives=[Objective(metric="sharpe_ratio")],
)
TRIAL = Trial(
    number=12,
    objective_values=[0.5],
    dataset_results=[
        DatasetResult(
            dataset_index=0,
            objective_values=[1.25],
            metrics=Metrics(total_return_ratio=0.5, trade_count=1_234),
            feasible=True,
        ),
        DatasetResult(dataset_index=1, failure_reason="OBJECTIVE_UNDEFINED"),
    ],
)


def test_the_best_trial_is_told_on_each_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside buy-and-hold there, with what was tried; no comparison is made of all together."""
    report = StudyReport(
        study=Study(spec=SPEC),
        best_trials=[TRIAL],
        dataset_buy_and_hold=[Metrics(total_return_ratio=1.5), Metrics(total_return_ratio=-0.25)],
        dataset_ledger=[
            LedgerEntry(dataset="datasets/a", trial_count=4_000),
            LedgerEntry(dataset="datasets/b", trial_count=40),
        ],
    )
    report_view.show(report)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "a 1.250 50.00 % undefined 1,234 150.00 %" in [
        line.replace("-", "undefined") for line in lines
    ]
    assert any(line.startswith("b - ") and line.endswith("OBJECTIVE_UNDEFINED") for line in lines)
    assert "tried so far on datasets/a with this strategy: 4,000 trials" in lines
    assert "tried so far on datasets/b with this strategy: 40 trials" in lines
    assert not any("fees_quote" in line for line in lines)


def test_a_description_says_how_data_are_aggregated(capsys: pytest.CaptureFixture[str]) -> None:
    """One snapshot needs no word."""
    assert datasets_view.aggregation(SPEC) == "worst of each objective over 2 data"
    assert datasets_view.aggregation(StudySpec(data=SPEC.data[:1])) == ""
    assert study_view.description(Study(spec=SPEC)).row_count > 0
    datasets_view.show_results(Trial(number=1), SPEC)
    assert capsys.readouterr().out == ""
