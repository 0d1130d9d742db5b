"""What a walk forward found, as people read it."""

from __future__ import annotations

import pytest
from assay.optimizer.v1.study_pb2 import StudySpec
from assay.optimizer.v1.walk_forward_pb2 import WalkForwardReport
from google.protobuf import json_format

from cli import walk_forward_view

SPEC = {"walk_forward": {"windows": [{"number": 0}, {"number": 1}]}}
REPORT = {
    "windows": [
        {
            "number": 0,
            "outcome": "OUTCOME_TRADED",
            "parameters": [{"name": "period", "value": {"int_value": 14}}],
            "in_sample": {"total_return_ratio": 0.5},
            "out_of_sample": {"total_return_ratio": -0.25, "trade_count": 7},
        },
        {"number": 1, "outcome": "OUTCOME_NO_FEASIBLE_TRIAL"},
    ],
    "positive_window_rate": 0.5,
    "undefined_sharpe_window_count": 1,
    "overlapping_oos": True,
    "stitched_curve": {
        "time_ms": [0, 1],
        "reset_equity_quote": [100, 75],
        "compounded_equity_quote": [100, 75],
        "reset": {"total_return_ratio": -0.25},
        "compounded": {"total_return_ratio": -0.25, "sharpe_ratio": 1.25},
    },
    "parameter_paths": [
        {"name": "period", "window_numbers": [0], "values": [{"int_value": 14}]},
    ],
    "criteria": [{"name": "max_drawdown_ratio", "wanted": 0.4, "found": 0.5}],
}


def test_a_report_tells_windows_statistics_and_criteria(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is undefined is left out or told as such; nothing is added up where spans overlap."""
    walk_forward_view.show(
        json_format.ParseDict(REPORT, WalkForwardReport()),
        json_format.ParseDict(SPEC, StudySpec()),
    )

    told = capsys.readouterr().out
    for words in (
        "period=14",
        "-25.00 %",
        "no feasible trial",
        "50%",
        "spans overlap",
        "1.250",
        "walk forward not passed",
        "not met",
    ):
        assert words in told
    assert "total out-of-sample profit" not in told
