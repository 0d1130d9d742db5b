"""How resampling and cross-validation are told to people."""

from __future__ import annotations

from typing import Any

import pytest
from assay.optimizer.v1.resampling_pb2 import (
    BootstrapInterval,
    BootstrapIntervals,
    CrossValidation,
    SuperiorAbility,
    SuperiorAbilityTest,
)
from assay.optimizer.v1.study_pb2 import LuckReport

from cli import luck_view
from cli.cross_validation_options import cross_validation_options


def printed(capsys: pytest.CaptureFixture[str], luck: LuckReport) -> str:
    """Return what is printed of a report, in one line."""
    luck_view.show(luck, "sharpe_ratio")
    return " ".join(capsys.readouterr().out.split())


def test_p_values_intervals_and_paths_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what it says."""
    told = printed(
        capsys,
        LuckReport(
            superior_ability=SuperiorAbility(
                cash=SuperiorAbilityTest(
                    lower_p_value=0.011,
                    consistent_p_value=0.022,
                    upper_p_value=0.033,
                    compared_trial_count=412,
                ),
                buy_and_hold=SuperiorAbilityTest(undefined_reason="RUINED"),
            ),
            intervals=BootstrapIntervals(
                intervals=[
                    BootstrapInterval(name="sharpe_ratio", value=1.5, lower=-0.25, upper=2.75)
                ],
                repetition_count=1_000,
                block_day_count=19,
                confidence_ratio=0.9,
            ),
            cross_validation=CrossValidation(
                group_count=10,
                test_group_count=2,
                path_count=9,
                mean_training_sharpe_ratio=2.125,
                mean_path_sharpe_ratio=0.875,
                lowest_path_sharpe_ratio=-0.375,
                median_path_sharpe_ratio=0.9375,
                highest_path_sharpe_ratio=1.625,
                losing_path_ratio=1 / 9,
            ),
        ),
    )
    for text in ("0.022", "0.011 to 0.033", "412", "a day began without equity"):
        assert text in told
    for text in ("90% from", "-0.250", "2.750", "blocks of 19 days"):
        assert text in told
    for text in ("0.875", "2 of 10", "-0.375", "1.625", "2.125", "11%"):
        assert text in told


def test_what_is_undefined_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """In words, known or not; what was not asked is not mentioned."""
    luck = LuckReport(
        intervals=BootstrapIntervals(undefined_reason="TOO_FEW_DAYS"),
        cross_validation=CrossValidation(undefined_reason="SOMETHING_NEW"),
    )
    told = printed(capsys, luck)
    assert "no intervals: too few days" in told
    assert "something new" in told
    assert "p-value" not in told


@pytest.mark.parametrize("given", [{}, {"groups": 0}, {"embargo_days": 0, "purge_days": 3}])
def test_only_options_that_are_given_are_sent(given: dict[str, Any]) -> None:
    """0 is one."""
    names = ("groups", "test_groups", "purge_days", "embargo_days")
    sent = cross_validation_options(*(given.get(name) for name in names), wanted=True)
    fields = {"groups": "group_count", "test_groups": "test_group_count"}
    assert {field.name for field, _ in sent.ListFields()} == {"wanted"} | {
        fields.get(name, name) for name in given
    }
