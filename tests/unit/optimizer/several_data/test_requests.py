"""Batches of a study over several data."""

from __future__ import annotations

import pytest
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.optimizer.adapters.workers.batch_messages import BatchMaker, Part

SPEC = json_format.ParseDict(
    {
        "data": [{"dataset": "datasets/a"}, {"dataset": "datasets/b"}],
        "data_aggregation": {
            "rule": "RULE_MEAN",
            "series": [{}, {"funding": {"dataset": "datasets/b.funding"}}],
        },
        "execution": {"taker_fee_bps": 3.0},
        "parameters": [{"name": "n", "int_range": {"low": 1, "high": 9}}],
    },
    study_pb2.StudySpec(),
)


def test_each_of_the_data_has_requests_of_its_own() -> None:
    """With its series beside the common costs."""
    maker = BatchMaker(SPEC)
    first, second = (maker.request([{"n": 2}], Part(dataset_number=place)) for place in range(2))
    assert (first.snapshot.dataset, second.snapshot.dataset) == ("datasets/a", "datasets/b")
    assert not first.execution.HasField("funding")
    assert second.execution.funding.dataset == "datasets/b.funding"
    assert first.execution.taker_fee_bps == second.execution.taker_fee_bps == 3.0


def test_points_never_run_over_the_first_of_several_data_by_mistake() -> None:
    """Its numbers would pass for those of all of them."""
    with pytest.raises(ValueError, match="several data"):
        BatchMaker(SPEC).request([{"n": 2}])
