"""What a report says of what it does not tell."""

from __future__ import annotations

import pytest
from assay.optimizer.v1.study_pb2 import Objective, StudyReport, Trial

from cli import report_view


def reported(capsys: pytest.CaptureFixture[str], report: StudyReport) -> str:
    """Return what is printed of a report."""
    report_view.show(report)
    return " ".join(capsys.readouterr().out.split())


def test_where_trials_failed_it_is_said_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    """Trials that only break a constraint have nothing to say."""
    report = StudyReport()
    report.study.name = "studies/nothing"
    report.study.progress.finished_trial_count = 9
    assert "why trials failed" not in reported(capsys, report)
    report.study.progress.failed_trial_count = 9
    assert "`assay study trials nothing` says why trials failed" in reported(capsys, report)


def test_what_is_never_told_of_a_study_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """So that an option that cannot have an effect is not taken for one that had."""
    report = StudyReport(best_trials=[Trial(name="studies/a/trials/0")])
    report.study.spec.data.add()
    report.study.spec.objectives.append(Objective(metric="sharpe_ratio"))
    assert "only" not in reported(capsys, report)
    several = StudyReport.FromString(report.SerializeToString())
    several.study.spec.objectives.append(Objective(metric="max_drawdown_ratio"))
    assert "are told for one objective only" in reported(capsys, several)
    report.study.spec.walk_forward.in_sample.days = 120
    assert "are told without walk-forward only" in reported(capsys, report)
