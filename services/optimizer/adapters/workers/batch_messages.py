"""Points as requests to the workers, and their answers as outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import strategy_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.data_aggregation import spec_of_dataset
from services.optimizer.convert.values import column_message
from services.optimizer.convert.walk_forward_spans import put_span
from services.optimizer.core.trial import Outcome, Point


@dataclass(frozen=True, slots=True)
class Part:
    """Which bars a batch is about.

    Attributes:
        bar_limit: The window's first so many bars; None: all.
        window_number: The in-sample span of this window; None: the study's own window.
        dataset_number: The snapshot of the study's data; None: the only one.
    """

    bar_limit: int | None = None
    window_number: int | None = None
    dataset_number: int | None = None


class BatchMaker:
    """Makes the requests of one study: all alike but for the columns."""

    def __init__(self, spec: study_pb2.StudySpec, bar_permutation_seed: int | None = None) -> None:
        """Take what is equal in all requests from a filled-in spec with pinned data.

        With a seed the bars come in its order.
        """
        fixed = [one for one in spec.parameters if one.HasField("fixed_value")]
        self._searched = [one.name for one in spec.parameters if not one.HasField("fixed_value")]
        self._equal = [
            _equal_part(spec_of_dataset(spec, place), fixed, bar_permutation_seed)
            for place in range(len(spec.data))
        ]
        self._spans = [window.in_sample for window in spec.walk_forward.windows]

    def request(self, points: Sequence[Point], part: Part = Part()) -> pb.RunBacktestBatchRequest:
        """Return the request that runs these points over a part of the data.

        Raises:
            ValueError: there are several data, and the part names none of them.
        """
        if part.dataset_number is None and len(self._equal) > 1:
            raise ValueError("points of a study over several data run over one of them at a time")
        request = pb.RunBacktestBatchRequest()
        request.CopyFrom(self._equal[part.dataset_number or 0])
        request.set_count = len(points)
        if part.window_number is not None:
            put_span(request, self._spans[part.window_number])
        if part.bar_limit is not None:
            request.bar_limit = part.bar_limit
        request.columns.extend(
            column_message(name, [point[name] for point in points]) for name in self._searched
        )
        return request


def _equal_part(
    spec: study_pb2.StudySpec,
    fixed: Sequence[study_pb2.ParameterSpec],
    bar_permutation_seed: int | None,
) -> pb.RunBacktestBatchRequest:
    request = pb.RunBacktestBatchRequest(
        snapshot=spec.data[0],
        strategy=spec.strategy,
        fixed_parameters=[
            strategy_pb2.ParameterAssignment(name=one.name, value=one.fixed_value) for one in fixed
        ],
        bar_permutation_seed=bar_permutation_seed,
    )
    if spec.HasField("execution"):
        request.execution.CopyFrom(spec.execution)
    return request


def outcomes_of(response: pb.RunBacktestBatchResponse, set_count: int) -> list[Outcome]:
    """Return the outcome of each set, in the order of the request.

    Raises:
        ValueError: a column has another number of sets.
    """
    metrics: list[dict[str, float]] = [{} for _ in range(set_count)]
    undefined: list[dict[str, int]] = [{} for _ in range(set_count)]
    for column in response.columns:
        reasons = column.undefined_reasons or [0] * set_count
        places = [place for place, reason in enumerate(reasons) if not reason]
        if len(reasons) != set_count or len(places) != len(column.values):
            raise ValueError(
                f"the worker's column of {column.metric} does not hold {set_count} sets"
            )
        for place, value in zip(places, column.values, strict=True):
            metrics[place][column.metric] = value
        if len(places) < set_count:
            for place, reason in enumerate(reasons):
                if reason:
                    undefined[place][column.metric] = reason
    outcomes = [
        Outcome(known, reasons, evaluated_bar_count=response.bar_count)
        for known, reasons in zip(metrics, undefined, strict=True)
    ]
    for failure in response.failures:
        outcomes[failure.index] = Outcome(
            failure_reason=failure.reason, failure_message=failure.message
        )
    return outcomes
