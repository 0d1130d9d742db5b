"""CreateStudy: what it echoes, pins, warns of, repeats and refuses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from assay.backtest.v1 import execution_pb2, strategy_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.common.errors import Code
from tests.service.optimizer.conftest import Optimizer
from tests.service.optimizer.scripted_worker import BAR_COUNT, DATASET

Refused = Callable[[Any], Any]


async def test_every_default_is_echoed_and_the_data_are_pinned(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Window, longest lookback and digest are resolved; what was given stays as given."""
    del random_spec["generation_size"], random_spec["seed"]
    study = await optimizer.create(random_spec)
    spec = study.spec

    assert study.state == study_pb2.Study.STATE_PENDING
    assert re.fullmatch("studies/study-[0-9a-f]{8}", study.name)
    assert spec.data[0].dataset == DATASET
    assert spec.data[0].lookback_bar_count == 200
    assert spec.data[0].content_digest == "ab" * 32
    assert spec.data[0].window.HasField("start_time")
    assert spec.strategy.direction == strategy_pb2.DIRECTION_LONG
    assert spec.execution == execution_pb2.ExecutionModel(
        initial_capital_quote=10_000,
        taker_fee_bps=5.5,
        slippage_bps=0,
        position_fraction_ratio=1,
    )
    assert [one.int_range.step for one in spec.parameters[:2]] == [1, 1]
    assert spec.objectives[0].direction == study_pb2.Objective.DIRECTION_MAXIMIZE
    assert spec.generation_size == 256
    assert spec.seed >= 0
    assert study.code_version == "scripted"
    assert study.progress.total_trial_count == 40


async def test_the_filled_in_spec_gives_the_same_trials(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """A study made of another's echo has its digest."""
    del random_spec["seed"]
    first = await optimizer.finished(random_spec)
    answer = await optimizer.stub.CreateStudy(pb.CreateStudyRequest(spec=first.spec))
    second = (await optimizer.watch(answer.study.name))[-1].study_finished

    assert second.spec == first.spec
    assert second.trials_digest == first.trials_digest != ""


async def test_the_probe_runs_every_combination_of_words_at_the_high_end(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """And the low corner; constraints do not matter to it."""
    await optimizer.create(random_spec)
    (probe,) = optimizer.worker.probes

    assert [list(column.int_values.values) for column in probe.columns[:2]] == [
        [50, 50, 5],
        [200, 200, 20],
    ]
    assert list(probe.columns[2].category_values.indexes) == [0, 1, 0]


async def test_gaps_synthetic_data_and_small_studies_are_warned_of(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """In words, on the study itself."""
    optimizer.worker.missing_bar_count = 3
    optimizer.worker.synthetic = True
    del random_spec["random"], random_spec["generation_size"]
    study = await optimizer.create(random_spec | {"bayesian": {"trial_count": 12}})
    text = "\n".join(study.warnings)

    assert len(study.warnings) == 4
    for words in ("synthetic", "3 bars are missing", "Generations of 8", "12 trials are few"):
        assert words in text


async def test_a_good_study_has_no_warnings(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Nothing is said for the sake of saying it."""
    assert not (await optimizer.create(random_spec)).warnings


async def test_an_estimate_stores_nothing(optimizer: Optimizer, grid_spec: dict[str, Any]) -> None:
    """It counts the points before and after the constraints and predicts a duration."""
    answer = await optimizer.estimate(grid_spec)
    studies = await optimizer.stub.ListStudies(pb.ListStudiesRequest())

    assert answer.estimate.space_point_count == 100
    assert answer.estimate.trial_count == 90
    assert answer.estimate.bar_count == BAR_COUNT
    assert answer.estimate.lookback_bar_count == 200
    assert answer.estimate.HasField("predicted_duration")
    assert (answer.study.name, answer.study.state) == ("", 0)
    assert answer.study.spec.data[0].content_digest == "ab" * 32
    assert not studies.studies


async def test_an_estimate_of_a_range_without_step_has_no_point_count(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Undefined stays undefined."""
    random_spec["parameters"].append(
        {"name": "stop_loss_ratio", "double_range": {"low": 0.01, "high": 0.1}}
    )
    answer = await optimizer.estimate(random_spec)

    assert not answer.estimate.HasField("space_point_count")
    assert answer.estimate.trial_count == 40


async def test_a_repeated_request_gets_its_study_back(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """The same request id makes one study; with another spec it is refused."""
    first = await optimizer.create(random_spec, request_id="once")
    await optimizer.watch(first.name)
    again = await optimizer.create(random_spec, request_id="once")
    error = await refused(optimizer.create(random_spec | {"seed": "8"}, request_id="once"))

    assert again.name == first.name
    assert again.state == study_pb2.Study.STATE_SUCCEEDED
    assert [one.field for one in error.violations] == ["request_id"]


async def test_the_same_request_sent_twice_at_once_makes_one_study(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """The second waits for the first."""
    both = await asyncio.gather(
        *(optimizer.create(random_spec, request_id="twice") for _ in range(4))
    )

    assert len({study.name for study in both}) == 1


async def test_an_id_that_is_taken_is_refused(
    optimizer: Optimizer, random_spec: dict[str, Any], refused: Refused
) -> None:
    """Also with the very same spec, when nothing says that it is the same request."""
    await optimizer.create(random_spec, study_id="mine")
    error = await refused(optimizer.create(random_spec, study_id="mine"))

    assert (error.code, error.reason) == (Code.ALREADY_EXISTS, "STUDY_EXISTS")
    assert error.metadata == {"study": "mine"}
