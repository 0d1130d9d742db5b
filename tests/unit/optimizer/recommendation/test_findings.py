"""What a report says about a choice."""

from __future__ import annotations

import pytest
from assay.optimizer.v1.study_pb2 import LuckReport, LuckWarning, StudyReport

from services.optimizer.convert.recommendation import findings_of


def leading(verdict: LuckReport.Verdict.ValueType, *kinds: str) -> list[str]:
    """Return the warnings that are told with the verdict, each called by its kind."""
    warnings = [
        LuckWarning(kind=LuckWarning.Kind.Value(f"KIND_{kind}"), message=kind) for kind in kinds
    ]
    report = StudyReport(luck=LuckReport(verdict=verdict, warnings=warnings))
    return list(findings_of(None, report).luck_warnings)


@pytest.mark.parametrize("deflated", ["DEFLATED_SHARPE_LOW", "WALK_DEFLATED_SHARPE_LOW"])
def test_what_is_luck_only_together_is_told_together(deflated: str) -> None:
    """A deflated Sharpe ratio of 0.94 alone is no sign of luck."""
    kinds = (deflated, "OVERFITTING_LIKELY", "FEW_TRADES")
    assert leading(LuckReport.VERDICT_LIKELY_LUCK, *kinds) == [deflated, "OVERFITTING_LIKELY"]


def test_what_is_luck_alone_is_told_alone() -> None:
    """As is the gravest warning of what is no luck."""
    kinds = ("BELOW_EXPECTED_MAXIMUM", "DEFLATED_SHARPE_LOW", "OVERFITTING_LIKELY")
    assert leading(LuckReport.VERDICT_LIKELY_LUCK, *kinds) == ["BELOW_EXPECTED_MAXIMUM"]
    others = ("DEFLATED_SHARPE_LOW", "FEW_TRADES")
    assert leading(LuckReport.VERDICT_INCONCLUSIVE, *others) == ["DEFLATED_SHARPE_LOW"]
    assert leading(LuckReport.VERDICT_PROMISING) == []


def test_how_many_trials_there_are_is_known() -> None:
    """And how many of them failed."""
    report = StudyReport()
    report.study.progress.finished_trial_count = 5
    report.study.progress.failed_trial_count = 3
    found = findings_of(None, report)
    assert (found.finished_trial_count, found.failed_trial_count) == (5, 3)


@pytest.mark.parametrize(("placements", "known"), [(19, None), (20, 0.5)])
def test_a_few_random_entries_say_nothing(placements: int, known: float | None) -> None:
    """One placement alone has a p-value of a half at least, however good the entries are."""
    report = StudyReport()
    report.stress.entry_permutation.p_value = 0.5
    report.stress.entry_permutation.variant_count = placements
    assert findings_of(None, report).random_entry_p == known
