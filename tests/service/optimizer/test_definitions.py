"""Studies over strategies written down by the caller, from creation to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer, StartOptimizer
from tests.service.optimizer.scripted_worker import refusal

Refused = Callable[[Any], Any]


@pytest.fixture
def definition() -> dict[str, Any]:
    """Return a crossover in text, in JSON form."""
    whole = {"type": "TYPE_INT", "minimum": 2, "maximum": 400}
    return {
        "parameters": [
            {"name": "fast_period", **whole},
            {"name": "slow_period", **whole},
            {
                "name": "average",
                "type": "TYPE_CATEGORY",
                "categories": ["sma", "ema"],
                "default_value": {"category_value": "sma"},
            },
        ],
        "enter_long": "crosses_above(sma(close, fast_period), sma(close, slow_period))",
        "exit_long": "crosses_below(sma(close, fast_period), sma(close, slow_period))",
        "requirements": ["fast_period < slow_period"],
    }


@pytest.fixture
def text_spec(random_spec: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    """Return a study of 40 random trials over the definition, with funding and leverage."""
    return random_spec | {
        "strategy": {"definition": definition},
        "execution": {
            "leverage": 3,
            "funding": {"dataset": "datasets/bybit.linear.btcusdt.funding"},
        },
    }


async def test_a_study_over_a_definition_runs_like_any_other(
    optimizer: Optimizer, text_spec: dict[str, Any], random_spec: dict[str, Any]
) -> None:
    """Its trials are those of the named strategy that earns the same; its echo makes them again."""
    study = await optimizer.finished(text_spec)
    named = await optimizer.finished(random_spec)
    again = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(spec=study.spec))
    repeated = (await optimizer.watch(again.study.name))[-1].study_finished

    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert study.trials_digest == named.trials_digest == repeated.trials_digest != ""
    assert repeated.spec == study.spec
    assert (
        json_format.MessageToDict(study.spec, preserving_proto_field_name=True)["strategy"][
            "definition"
        ]
        == json_format.MessageToDict(
            json_format.ParseDict(text_spec, study_pb2.StudySpec()),
            preserving_proto_field_name=True,
        )["strategy"]["definition"]
    )


async def test_the_series_of_the_execution_model_are_pinned(
    optimizer: Optimizer, text_spec: dict[str, Any]
) -> None:
    """At creation, from what the worker said; every batch asks for the pinned content."""
    study = await optimizer.create(text_spec)
    report = (await optimizer.stub.GetStudyReport(pb.GetStudyReportRequest(name=study.name))).report

    assert study.spec.execution.funding.content_digest == "cd" * 32
    assert study.spec.execution.leverage == 3
    assert report.study.spec == study.spec
    (compared,) = optimizer.worker.runs
    assert compared.strategy.name == "strategies/buy_and_hold"
    assert compared.execution.funding == study.spec.execution.funding
    assert not compared.execution.HasField("leverage")


async def test_a_new_process_takes_up_a_study_over_a_definition(
    start: StartOptimizer, text_spec: dict[str, Any]
) -> None:
    """The definition is stored with the study: it ends with the digest of an unbroken one."""
    first = await start()
    unbroken = await first.finished(text_spec)
    first.worker.close_gate()
    study = await first.create(text_spec, study_id="broken")
    await first.worker.waiting.wait()
    await first.stub.StopStudy(pb.StopStudyRequest(name=study.name))
    first.worker.gate.set()
    await first.watch(study.name)
    await first.leave()

    second = await start(worker=first.worker)
    await second.stub.ResumeStudy(pb.ResumeStudyRequest(name=study.name))
    resumed = (await second.watch(study.name))[-1].study_finished

    assert resumed.trials_digest == unbroken.trials_digest


async def test_the_probe_visits_the_mixed_corners_of_a_definition(
    optimizer: Optimizer, text_spec: dict[str, Any]
) -> None:
    """Nobody knows which way a caller's lookback grows, so numbers are high and low in turns."""
    await optimizer.create(text_spec)
    (probe,) = optimizer.worker.probes

    fast, slow = (list(column.int_values.values) for column in probe.columns[:2])
    assert set(zip(fast, slow, strict=True)) == {(50, 200), (5, 200), (50, 20), (5, 20)}


async def test_parameters_are_judged_by_the_definition(
    optimizer: Optimizer, text_spec: dict[str, Any], refused: Refused
) -> None:
    """Bounds, types, words and missing ones by what it declares; one without a type is known."""
    text_spec["strategy"]["definition"]["parameters"].append({"name": "odd"})
    text_spec["parameters"] = [
        {"name": "fast_period", "int_range": {"low": 1, "high": 50}},
        {"name": "average", "categories": {"values": ["wma"]}},
        {"name": "odd", "int_range": {"low": 1, "high": 2}},
        {"name": "stop_loss_ratio", "double_range": {"low": 0.01, "high": 0.1}},
        {"name": "fats", "fixed_value": {"int_value": "3"}},
    ]
    error = await refused(optimizer.create(text_spec))

    assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {one.field for one in error.violations} == {
        "spec.parameters",
        "spec.parameters[0].int_range.low",
        "spec.parameters[1].categories.values[0]",
        "spec.parameters[4].name",
    }
    told = next(one for one in error.violations if one.field == "spec.parameters")
    assert "slow_period" in told.description


async def test_what_workers_say_of_texts_and_data_stands_beside_the_rest(
    optimizer: Optimizer, text_spec: dict[str, Any], refused: Refused
) -> None:
    """The texts, the execution model, the data and the spec's own fields make one error."""
    text_spec["strategy"]["definition"]["enter_long"] = "close > ?"
    text_spec["execution"]["stop_loss_ratio"] = 2
    optimizer.worker.probe_failure = refusal(Code.NOT_FOUND, "DATASET_UNKNOWN", "data.assay")
    alone = await refused(optimizer.create(text_spec))
    among = await refused(optimizer.create(text_spec | {"seed": "-1"}))

    theirs = {
        "spec.strategy.definition.enter_long",
        "spec.execution.stop_loss_ratio",
        "spec.data[0].dataset",
    }
    assert {one.field for one in alone.violations} == theirs
    assert {one.field for one in among.violations} == {*theirs, "spec.seed"}
    texts = {one.field: one.description for one in among.violations}
    assert "character 9" in texts["spec.strategy.definition.enter_long"]


async def test_a_name_beside_a_definition_is_refused(
    optimizer: Optimizer, text_spec: dict[str, Any], refused: Refused
) -> None:
    """Exactly one of them says what is run."""
    text_spec["strategy"]["name"] = "strategies/ma_crossover"
    error = await refused(optimizer.create(text_spec))

    assert [one.field for one in error.violations] == ["spec.strategy.name"]
