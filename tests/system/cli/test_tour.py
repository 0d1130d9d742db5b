"""Every command against real services: what the README promises, as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

STUDY = {
    "data": [{"dataset": "datasets/synthetic.tour.1h"}],
    "strategy": {"name": "strategies/ma_crossover"},
    "parameters": [
        {"name": "fast_period", "int_range": {"low": 5, "high": 50, "step": 5}},
        {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 20}},
    ],
    "constraints": ["fast_period < slow_period"],
    "objectives": [{"metric": "sharpe_ratio"}],
    "grid": {},
}


@pytest.fixture
def study_file(tmp_path: Path) -> str:
    """Write the grid of ninety points as JSON."""
    file = tmp_path / "study.json"
    file.write_text(json.dumps(STUDY))
    return str(file)


@pytest.fixture(scope="module")
def finished(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the grid once for all tests that look at a finished study."""
    file = tmp_path_factory.mktemp("study") / "study.json"
    file.write_text(json.dumps(STUDY))
    events = served.events("study", "create", str(file), "--id", "tour", "--watch")
    return events[-1]["event"]["study_finished"]


def test_a_study_runs_from_file_to_result(served: Any, finished: Any) -> None:
    """All ninety points are finished; lists, table and report agree on the best of them."""
    assert finished["state"] == "STATE_SUCCEEDED"
    trials = served.json("study", "trials", "tour")["trials"]
    best = served.json("study", "best", "tour", "--limit", "1")["trials"]
    report = served.json("study", "report", "studies/tour")["report"]

    assert len(trials) == 90
    assert best[0]["name"] == finished["best_trials"][0] == report["best_trials"][0]["name"]
    assert best[0]["objective_values"][0] == max(t["objective_values"][0] for t in trials)
    assert "buy_and_hold" in report


def test_a_trial_is_a_backtest(served: Any, finished: Any) -> None:
    """The best trial's parameters give its metrics bit for bit in a backtest of their own."""
    trial = served.json("study", "best", "tour", "--limit", "1")["trials"][0]
    words = [
        word
        for item in trial["parameters"]
        for word in ("--set", f"{item['name']}={next(iter(item['value'].values()))}")
    ]
    snapshot = finished["spec"]["data"][0]

    alone = served.json(
        *("backtest", "run", "--dataset", "synthetic.tour.1h", "--strategy", "ma_crossover"),
        *("--content-digest", snapshot["content_digest"]),
        *("--lookback-bar-count", str(snapshot["lookback_bar_count"])),
        *words,
    )

    assert alone["metrics"] == trial["metrics"]


def test_people_get_tables(served: Any, finished: Any) -> None:
    """Every command that shows something prints it without JSON, too."""
    expected = {
        ("dataset", "list"): "datasets/synthetic.tour.1h",
        ("dataset", "show", "synthetic.tour.1h"): "made up from seed 7",
        ("strategy", "list"): "strategies/donchian_breakout",
        ("study", "list"): "studies/tour",
        ("study", "show", "tour"): finished["trials_digest"],
        ("study", "trials", "tour", "--order-by", "sharpe_ratio desc"): "50 of 90 trials",
        ("study", "best", "tour"): "sharpe_ratio",
        ("study", "report", "tour"): "importance for sharpe_ratio",
        ("study", "watch", "tour"): "succeeded",
    }
    for words, told in expected.items():
        outcome = served.assay(*words)
        assert outcome.exit_code == 0, outcome.stderr
        assert told in outcome.stdout, words


def test_an_estimate_counts_the_points(served: Any, study_file: str) -> None:
    """With --validate-only the service counts and stores nothing."""
    answer = served.json("study", "create", study_file, "--id", "never", "--validate-only")

    assert answer["estimate"]["space_point_count"] == "100"
    assert answer["estimate"]["trial_count"] == "90"
    assert served.assay("study", "show", "never").exit_code == 1


def test_a_study_stops_goes_on_and_is_deleted(served: Any, tmp_path: Path) -> None:
    """A long study is stopped, resumed, stopped again and deleted; then it is unknown."""
    spec = {name: value for name, value in STUDY.items() if name != "grid"}
    file = tmp_path / "long.json"
    file.write_text(json.dumps(spec | {"random": {"trial_count": 10_000}, "generation_size": 1}))

    served.json("study", "create", str(file), "--id", "halted")
    served.json("study", "stop", "halted")
    stopped = served.events("study", "watch", "halted")[-1]["event"]["study_finished"]
    resumed = served.json("study", "resume", "halted")["study"]
    served.json("study", "stop", "halted")
    again = served.events("study", "watch", "halted")[-1]["event"]["study_finished"]
    served.json("study", "delete", "halted")

    assert stopped["state"] == again["state"] == "STATE_STOPPED"
    assert resumed["state"] in {"STATE_PENDING", "STATE_RUNNING"}
    gone = served.assay("study", "show", "halted")
    assert gone.exit_code == 1
    assert "STUDY_UNKNOWN" in gone.stderr


def test_a_wrong_study_names_every_violation(served: Any, tmp_path: Path) -> None:
    """One block with a line for each wrong field, exit status 1, nothing created."""
    wrong = STUDY | {"strategy": {"name": "strategies/ma_crosover"}, "objectives": []}
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(wrong))

    outcome = served.assay("study", "create", str(file), "--id", "wrong")

    assert outcome.exit_code == 1
    assert "FIELD_INVALID" in outcome.stderr
    assert "  - spec.objectives" in outcome.stderr


def test_a_file_is_imported_shown_and_deleted(served: Any, tmp_path: Path) -> None:
    """A small CSV with a gap is refused, accepted with --accept gaps, shown, and deleted."""
    rows = [f"{1_704_067_200_000 + hour * 3_600_000},1,2,1,2,3" for hour in (0, 1, 2, 5, 6)]
    file = tmp_path / "candles.csv"
    file.write_text("\n".join(["timestamp_ms,open,high,low,close,volume", *rows]))
    words = ("dataset", "import", str(file), "--name", "file.small.1h")

    refused = served.assay(*words)
    accepted = served.json(*words, "--accept", "gaps")["dataset"]
    shown = served.assay("dataset", "show", "file.small.1h")
    served.json("dataset", "delete", "file.small.1h")

    assert refused.exit_code == 1
    assert "CANDLES_INVALID" in refused.stderr
    assert accepted["quality"]["missing_bar_count"] == "2"
    assert "2024-01-01 03:00" in shown.stdout
    assert served.assay("dataset", "show", "file.small.1h").exit_code == 1
