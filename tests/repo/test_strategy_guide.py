"""The guide to strategies written down says what the language is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from assay.backtest.v1 import strategy_pb2
from google.protobuf import json_format

from services.backtest.convert.definitions import read_definition
from services.backtest.core.indicators.registry import INDICATORS
from services.common.errors import Violation

GUIDE = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")


def test_the_guide_lists_every_built_in_indicator_with_its_lookback() -> None:
    """No function is missing, and none is left that does not exist."""
    told = set(re.findall(r"^\| `(\w+\(.*\))` \| (.*?) \|", GUIDE, flags=re.MULTILINE))
    assert told == {(one.signature, one.lookback_text) for one in INDICATORS.values()}


def test_the_example_of_the_guide_is_a_strategy() -> None:
    """It can be sent as it stands."""
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL)
    choice = json_format.ParseDict(yaml.safe_load(text)["strategy"], strategy_pb2.StrategyChoice())
    found: list[Violation] = []
    strategy = read_definition(choice.definition, "strategy.definition", found)
    assert strategy is not None, found
    assert set(strategy.program.signals) == {"enter_long", "exit_long", "enter_short", "exit_short"}
