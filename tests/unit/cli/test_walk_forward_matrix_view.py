"""A walk-forward matrix and the luck of walks, as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from assay.optimizer.v1.study_pb2 import LuckReport, StudyReport, StudySpec
from assay.optimizer.v1.walk_forward_matrix_pb2 import WalkForwardMatrixReport
from google.protobuf import json_format

from cli import report_view, walk_forward_matrix_view, walk_luck_view

SPEC = {
    "objectives": [{"metric": "sharpe_ratio"}],
    "walk_forward": {
        "matrix": {"in_samples": [{"days": 90}], "steps": [{"days": 30}, {"bars": 48}]},
        "windows": [{"number": 0, "cell_number": 0}, {"number": 1, "cell_number": 1}],
        "capital": "CAPITAL_COMPOUNDED",
    },
}


def cell(number: int, step: dict[str, int], earned: float | None, *, passed: bool) -> Any:
    """Return a cell with one window."""
    report: dict[str, Any] = {"windows": [{"number": number}], "passed": passed}
    if earned is not None:
        report["stitched_curve"] = {
            "compounded": {"total_return_ratio": earned, "sharpe_ratio": 1.25},
            "compounded_equity_quote": [100, 110],
        }
    return {
        "number": number,
        "in_sample": {"days": 90},
        "out_of_sample": step,
        "step": step,
        "report": report,
    }


MATRIX = {
    "cells": [
        cell(0, {"days": 30}, 0.125, passed=True),
        cell(1, {"bars": 48}, None, passed=False),
    ],
    "passed_cell_count": 1,
    "passed_cell_rate": 0.5,
    "by_total_return": {
        "undefined_cell_count": 1,
        "best_cell_number": 0,
        "best_value": 0.125,
        "median_cell_number": 0,
        "median_value": 0.125,
        "worst_cell_number": 0,
        "worst_value": 0.125,
    },
    "by_sharpe": {"undefined_cell_count": 1, "best_cell_number": 0, "best_value": 1.25},
    "neighbor_cell_numbers": [1],
    "plateau": False,
}

LUCK = {
    "verdict": "VERDICT_INCONCLUSIVE",
    "warnings": [{"kind": "KIND_NO_PLATEAU", "message": "A peak."}],
    "day_count": 240,
    "daily_sharpe_ratio": 0.0654,
    "probabilistic_sharpe_ratio": 0.875,
    "walk_count": 2,
    "walk_deflated_sharpe_ratio": 0.5,
    "trial_count": 1_234,
    "overfitting": {
        "trial_count": 90,
        "probability": 0.25,
        "windows": [{"window_number": 0, "probability": 0.25}, {"window_number": 1}],
    },
}


def test_a_matrix_is_a_grid_and_its_best_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells by their lengths, what they earned, which passed; undefined ones say so."""
    walk_forward_matrix_view.show(
        json_format.ParseDict(MATRIX, WalkForwardMatrixReport()),
        json_format.ParseDict(SPEC, StudySpec()),
    )

    told = capsys.readouterr().out
    for words in (
        "90 d",
        "step 30 d",
        "step 48 bars",
        "12.50 %, 1.25 *",
        "no feasible trial",
        "12.50 % (cell 0)",
        "1 of 2 cells passed (50%); 0 of 1 beside the best one did: no plateau",
        "cell 0, 90 d in sample, 30 d out of sample, step 30 d",
        "walk forward passed",
    ):
        assert words in told


def test_one_cell_has_no_plateau(capsys: pytest.CaptureFixture[str]) -> None:
    """And without a Sharpe ratio no best cell."""
    matrix = {"cells": MATRIX["cells"], "by_sharpe": {"undefined_cell_count": 2}}
    walk_forward_matrix_view.show(
        json_format.ParseDict(matrix, WalkForwardMatrixReport()),
        json_format.ParseDict(SPEC, StudySpec()),
    )

    told = capsys.readouterr().out
    assert "plateau" not in told
    assert "best cell" not in told


def test_the_luck_of_a_walk_is_told_of_its_curve(capsys: pytest.CaptureFixture[str]) -> None:
    """Which number leads, which is pessimistic, and the probability of each window."""
    walk_luck_view.show(json_format.ParseDict(LUCK, LuckReport()))

    told = capsys.readouterr().out
    for words in (
        "verdict on the out-of-sample curve: INCONCLUSIVE",
        "- A peak.",
        "240 days out of sample",
        "chosen from 2 walks: leads the verdict",
        "1,234 trials: pessimistic",
        "90 trials of 2 windows",
        "by window: 0: 0.25, 1: undefined",
    ):
        assert words in " ".join(told.split())


def test_a_report_shows_both(capsys: pytest.CaptureFixture[str]) -> None:
    """In place of what a study without windows shows."""
    report = {
        "study": {"spec": SPEC},
        "best_trials": [{"number": 0}],
        "walk_forward_matrix": MATRIX,
        "luck": LUCK,
    }
    report_view.show(json_format.ParseDict(report, StudyReport()))

    told = capsys.readouterr().out
    assert "walk-forward matrix" in told
    assert "first winner, in sample" in told
    assert "verdict on the out-of-sample curve" in told
