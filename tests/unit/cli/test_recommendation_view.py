"""How a recommendation is told to people."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1.metrics_pb2 import Metrics
from assay.backtest.v1.strategy_pb2 import ParameterAssignment, ParameterValue
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc
from assay.optimizer.v1.recommendation_pb2 import (
    AbsentChoice,
    Choice,
    ChoiceEvidence,
    NeighborhoodEvidence,
    Recommendation,
)
from assay.optimizer.v1.study_pb2 import Objective, Study, StudyReport, StudySpec

from cli import recommendation_view, report_view


def report_of(recommended: Choice.Kind.ValueType) -> StudyReport:
    """Return a report with two choices and one that there is not."""
    point = [ParameterAssignment(name="fast_period", value=ParameterValue(int_value=35))]
    return StudyReport(
        study=Study(spec=StudySpec(objectives=[Objective(metric="sharpe_ratio")])),
        recommendation=Recommendation(
            verdict=Recommendation.VERDICT_CAUTION,
            text="With caution: trial 17 with fast_period=35. " + "It is what it is. " * 12,
            judged=Choice.KIND_BEST_NEIGHBORHOOD,
            recommended=recommended,
            choices=[
                Choice(
                    kind=Choice.KIND_BEST_NEIGHBORHOOD,
                    trial="studies/one/trials/17",
                    parameters=point,
                    objective_values=[1.5],
                    metrics=Metrics(
                        total_return_ratio=0.25, max_drawdown_ratio=0.125, trade_count=1_234
                    ),
                    evidence=ChoiceEvidence(
                        return_over_drawdown_ratio=2.0,
                        probabilistic_sharpe_ratio=0.987,
                        neighborhood=NeighborhoodEvidence(neighbor_count=8, median_kept_ratio=0.75),
                    ),
                    same_as=[Choice.KIND_BALANCED],
                    reason="The best median.",
                ),
                Choice(kind=Choice.KIND_STABLE_PARAMETERS, reason="The middle."),
            ],
            absent_choices=[AbsentChoice(kind=Choice.KIND_KNEE, reason="A front of two.")],
        ),
    )


def test_the_verdict_comes_first_then_the_parameters_then_the_choices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Numbers that are not known are dashes; every choice says why."""
    report_view.show(report_of(Choice.KIND_BEST_NEIGHBORHOOD))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recommendation: CAUTION"
    assert lines[1].startswith("With caution: trial 17 with fast_period=35. It is what it is.")
    assert max(map(len, lines[1:4])) <= 100
    name = "best neighbourhood = balanced"
    assert f"recommended parameters: fast_period=35 ({name})" in lines
    rows = {line.strip().split("  ")[0]: line.split() for line in lines if line.strip()}
    told = ["17", "1.500", "25.00", "%", "12.50", "%", "2.000", "1,234", "75%", "0.987", "-"]
    assert rows[name][4:-1] == told
    assert rows["stable parameters"][2:] == ["-"] * 8
    assert f"- {name}: The best median." in lines
    assert "- knee of the front: none. A front of two." in lines


def test_nothing_is_recommended_where_nothing_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The choices are shown all the same."""
    recommendation_view.show(report_of(Choice.KIND_UNSPECIFIED))
    told = capsys.readouterr().out
    assert "recommended parameters" not in told
    assert "best neighbourhood" in told


def test_what_was_not_asked_for_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A report without a recommendation begins with what it has."""
    recommendation_view.show(StudyReport())
    assert capsys.readouterr().out == ""


class Reporting(optimizer_service_pb2_grpc.OptimizerServiceServicer):
    """An optimizer that answers with one report and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[pb.GetStudyReportRequest] = []

    async def GetStudyReport(  # noqa: N802 - the contract's name
        self, request: pb.GetStudyReportRequest, context: Any
    ) -> pb.GetStudyReportResponse:
        """Return the report."""
        self.asked.append(request)
        return pb.GetStudyReportResponse(report=report_of(Choice.KIND_BEST_NEIGHBORHOOD))


async def test_it_can_be_left_out(assay: Any, stand_in: Any) -> None:
    """The command asks for it unless told not to, and prints it behind the study itself."""
    optimizer = Reporting()
    await stand_in("optimizer", optimizer)
    outcome = await assay("study", "report", "studies/one")
    assert outcome.status == 0, outcome.err
    assert "recommendation: CAUTION" in outcome.out
    assert (await assay("study", "report", "studies/one", "--no-recommendation")).status == 0
    assert [one.recommendation for one in optimizer.asked] == [True, False]
