"""Specs over several data: what is wrong with them, and each of the data by itself."""

from __future__ import annotations

from typing import Any

import pytest
from assay.backtest.v1 import execution_pb2
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import Violation
from services.optimizer.convert.data_aggregation import (
    aggregation_of,
    data_violations,
    in_place,
    pin_series,
    spec_of_dataset,
)
from services.optimizer.core.spec.data_aggregation import AggregationRule

BTC, ETH = "datasets/bybit.linear.btcusdt.1h", "datasets/bybit.linear.ethusdt.1h"


def spec_of(**changes: Any) -> study_pb2.StudySpec:
    """Return a spec over two datasets, as far as their rules go."""
    fields = {
        "data": [{"dataset": BTC}, {"dataset": ETH}],
        "data_aggregation": {"rule": "RULE_MEDIAN"},
        "generation_size": 256,
    }
    return json_format.ParseDict(fields | changes, study_pb2.StudySpec())


def wrong(**changes: Any) -> list[str]:
    """Return the paths of what is wrong with a spec."""
    return [one.field for one in data_violations(spec_of(**changes))]


def test_two_datasets_with_a_rule_are_fine() -> None:
    """As is one without."""
    assert wrong() == []
    assert wrong(data=[{"dataset": BTC}], data_aggregation=None) == []


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"data": []}, ["spec.data", "spec.data_aggregation"]),
        ({"data": [{"dataset": BTC}]}, ["spec.data_aggregation"]),
        ({"data_aggregation": None}, ["spec.data_aggregation"]),
        ({"data_aggregation": {}}, ["spec.data_aggregation.rule"]),
        ({"data_aggregation": {"rule": 9}}, ["spec.data_aggregation.rule"]),
        (
            {"data_aggregation": {"rule": "RULE_MEAN", "series": [{}]}},
            ["spec.data_aggregation.series"],
        ),
        ({"data": [{"dataset": BTC}, {"dataset": BTC}]}, ["spec.data[1]"]),
        ({"data": [{"dataset": BTC}, {"dataset": "datasets/x.4h"}]}, ["spec.data[1].dataset"]),
        ({"execution": {"funding": {"dataset": "datasets/x.funding"}}}, ["spec.execution.funding"]),
        ({"pruning": {"median": {}}}, ["spec.pruning"]),
        ({"walk_forward": {}}, ["spec.walk_forward"]),
        (
            {"data": [{"dataset": f"datasets/s{n}.1h"} for n in range(33)], "generation_size": 512},
            ["spec.data"],
        ),
        (
            {"data": [{"dataset": f"datasets/s{n}.1h"} for n in range(32)], "generation_size": 513},
            ["spec.generation_size"],
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], paths: list[str]) -> None:
    """Each by its path."""
    assert wrong(**changes) == paths


def test_one_dataset_may_be_there_twice_over_other_bars() -> None:
    """A window of its own makes it another snapshot."""
    later = {"dataset": BTC, "window": {"start_time": "2024-06-01T00:00:00Z"}}
    assert wrong(data=[{"dataset": BTC}, later]) == []


def test_the_rule_is_read() -> None:
    """With the names of the data; there is none for one."""
    found = aggregation_of(spec_of())
    assert found is not None
    assert (found.rule, found.datasets) == (AggregationRule.MEDIAN, (BTC, ETH))
    assert "trade_count" in found.whole_metrics
    assert aggregation_of(spec_of(data=[{"dataset": BTC}])) is None


def test_each_of_the_data_by_itself_has_its_own_series() -> None:
    """What workers resolve of them is pinned in the series, not in the common model."""
    series = [{"funding": {"dataset": "datasets/a.funding"}}, {"mark": {"dataset": "datasets/m"}}]
    spec = spec_of(
        data_aggregation={"rule": "RULE_MEAN", "series": series}, execution={"taker_fee_bps": 3.0}
    )
    alone = spec_of_dataset(spec, 1)
    assert [one.dataset for one in alone.data] == [ETH]
    assert alone.execution.taker_fee_bps == 3.0
    assert alone.execution.mark.dataset == "datasets/m"
    assert not alone.execution.HasField("funding")
    assert not alone.HasField("data_aggregation")

    executions = [spec_of_dataset(spec, place).execution for place in range(2)]
    executions[0].funding.content_digest = "ab" * 32
    executions[1].mark.content_digest = "cd" * 32
    spec.execution.CopyFrom(executions[0])
    pin_series(spec, executions)
    assert spec.execution == execution_pb2.ExecutionModel(taker_fee_bps=3.0)
    assert spec.data_aggregation.series[0].funding.content_digest == "ab" * 32
    assert spec.data_aggregation.series[1].mark.content_digest == "cd" * 32


def test_violations_are_told_by_the_paths_of_the_whole_spec() -> None:
    """Those of one dataset's part of it are the caller's nowhere."""
    paths = [
        "spec.data[0].window",
        "spec.execution.funding.dataset",
        "spec.execution.taker_fee_bps",
    ]
    given = [Violation(path, "odd") for path in paths]
    assert [one.field for one in in_place(given, 3)] == [
        "spec.data[3].window",
        "spec.data_aggregation.series[3].funding.dataset",
        "spec.execution.taker_fee_bps",
    ]
    assert in_place(given, None) == given
