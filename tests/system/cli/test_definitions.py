"""Strategies in files: backtested, checked and searched from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[3] / "examples" / "perpetuals"
DATASET = ("--dataset", "synthetic.tour.1h")


@pytest.fixture
def crossover(served: Any, tmp_path: Path) -> tuple[dict[str, Any], str]:
    """Return the built-in crossover as it is listed, and a file that holds it."""
    listed = served.json("strategy", "list")["strategies"]
    definition = next(one for one in listed if one["name"].endswith("/ma_crossover"))["definition"]
    file = tmp_path / "crossover.json"
    file.write_text(json.dumps(definition))
    return definition, str(file)


def test_a_definition_from_a_file_is_the_strategy_it_copies(
    served: Any, crossover: tuple[dict[str, Any], str]
) -> None:
    """Metrics and all, with parameters typed by the definition; exactly one says what to run."""
    words = ("backtest", "run", *DATASET, "--set", "fast_period=7")
    named = served.json(*words, "--strategy", "ma_crossover")
    written = served.json(*words, "--definition", crossover[1])
    both = served.assay(*words, "--strategy", "macd", "--definition", crossover[1])
    neither = served.assay(*words)

    assert written["metrics"] == named["metrics"]
    assert written["strategy"]["definition"] == crossover[0]
    assert (both.exit_code, neither.exit_code) == (2, 2)
    assert "--definition" in both.stderr


def test_a_strategy_is_checked(served: Any, tmp_path: Path) -> None:
    """The example does not look ahead; a text that cannot be read exits 1 and shows where."""
    words = ("strategy", "check", str(EXAMPLES / "pullback.yaml"), *DATASET, "--direction", "both")
    told = served.assay(*words)
    answer = served.json(*words, "--cuts", "5")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("enter_long: close > smaa(close, 5)\n")
    refused = served.assay("strategy", "check", str(wrong), *DATASET)

    assert told.exit_code == 0, told.stderr
    assert "no look-ahead: 32" in told.stdout
    assert answer["cut_count"] == 5
    assert refused.exit_code == 1
    assert "strategy.definition.enter_long: character 9:" in refused.stderr


def test_indicators_are_listed(served: Any) -> None:
    """As tables and as JSON; strategies show their texts."""
    table = served.assay("indicator", "list")
    found = served.json("indicator", "list")["indicators"]
    strategies = served.assay("strategy", "list")

    assert "rsi(series, period" in table.stdout
    assert len(found) >= 30
    assert "crosses_above(" in strategies.stdout


def test_the_example_study_runs_over_a_text(served: Any, tmp_path: Path) -> None:
    """With leverage, tiers and order rules; its best trial replays from its echo."""
    spec = yaml.safe_load((EXAMPLES / "study.yaml").read_text())
    spec["data"] = [{"dataset": "datasets/synthetic.tour.1h"}]
    del spec["execution"]["funding"], spec["execution"]["detail"]
    spec |= {"bayesian": {"trial_count": 12}, "constraints": ["liquidation_count == 0"]}
    file = tmp_path / "study.json"
    file.write_text(json.dumps(spec))
    events = served.events("study", "create", str(file), "--id", "text", "--watch")
    finished = events[-1]["event"]["study_finished"]
    shown = served.assay("study", "show", "text")
    report = served.json("study", "report", "text")["report"]

    trial = served.json("study", "best", "text", "--limit", "1")["trials"][0]
    alone = served.json(
        *("backtest", "run", *DATASET, "--definition", str(EXAMPLES / "pullback.yaml")),
        *("--direction", "both"),
        *("--lookback-bar-count", str(finished["spec"]["data"][0]["lookback_bar_count"])),
        *(word for name, given in _values(trial) for word in ("--set", f"{name}={given}")),
        *_words(finished["spec"]["execution"]),
    )

    assert alone["metrics"] == trial["metrics"]
    assert finished["state"] == "STATE_SUCCEEDED"
    assert finished["spec"]["strategy"]["definition"]["enter_long"]
    assert finished["progress"]["finished_trial_count"] == "12"
    assert "definition: Pullbacks" in shown.stdout
    assert "buy_and_hold" in report


def _values(trial: Any) -> list[tuple[str, Any]]:
    return [(one["name"], next(iter(one["value"].values()))) for one in trial["parameters"]]


def _words(execution: dict[str, Any]) -> list[str]:
    """Return an execution model as words of the command line."""
    return [
        word
        for name, given in execution.items()
        for word in (
            "--execution",
            f"{name}={given if isinstance(given, str) else json.dumps(given)}",
        )
    ]


def test_the_example_and_the_strategy_beside_it_are_the_same() -> None:
    """The file of the strategy alone holds what the study holds."""
    study = yaml.safe_load((EXAMPLES / "study.yaml").read_text())
    alone = yaml.safe_load((EXAMPLES / "pullback.yaml").read_text())

    assert study["strategy"]["definition"] == alone
