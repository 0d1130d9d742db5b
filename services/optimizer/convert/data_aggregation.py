"""Studies over several data: what can be wrong with them, and each of their data by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from assay.backtest.v1 import execution_pb2
from assay.optimizer.v1 import data_aggregation_pb2, study_pb2

from services.common.errors import Violation
from services.optimizer.convert.values import WHOLE_METRICS, metrics_message
from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.core.spec.data_aggregation import (
    MOST_DATA,
    MOST_RUNS,
    AggregationRule,
    DataAggregation,
)
from services.optimizer.core.trial import DatasetResult

SERIES: Final = ("funding", "mark", "detail")
"""Fields of both the execution model and the series of one of several data."""

_PATH: Final = "spec.data_aggregation"
_RULES: Final = {rule.value: rule for rule in AggregationRule}


def aggregation_of(spec: study_pb2.StudySpec) -> DataAggregation | None:
    """Return how the outcomes over a spec's data become one; None where there is only one.

    A rule that is none, which is refused elsewhere, counts as the mean.
    """
    if len(spec.data) <= 1:
        return None
    return DataAggregation(
        rule=_RULES.get(spec.data_aggregation.rule, AggregationRule.MEAN),
        datasets=tuple(one.dataset for one in spec.data[:MOST_DATA]),
        whole_metrics=WHOLE_METRICS,
    )


def data_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield what is wrong with a spec's data together; each by itself is judged elsewhere."""
    count = len(spec.data)
    if not 1 <= count <= MOST_DATA:
        yield Violation("spec.data", f"needs 1 to {MOST_DATA} snapshots, but has {count}")
    if count <= 1:
        if spec.HasField("data_aggregation"):
            yield Violation(_PATH, "is only for several data")
        return
    yield from _unlike_violations(spec)
    yield from _aggregation_violations(spec, count)
    for name in SERIES:
        if spec.execution.HasField(name):
            told = f"is of one symbol: with several data it is given in {_PATH}.series"
            yield Violation(f"spec.execution.{name}", told)
    for name in ("pruning", "walk_forward"):
        if spec.HasField(name):  # type: ignore[arg-type] # both are fields of a spec
            yield Violation(f"spec.{name}", "is only for one snapshot of data")
    if spec.generation_size * min(count, MOST_DATA) > MOST_RUNS:
        told = f"is {spec.generation_size:,} on each of {count} data; at most {MOST_RUNS:,} in all"
        yield Violation("spec.generation_size", f"{told} are taken")


def _unlike_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield which data cannot stand beside those before them."""
    seen: dict[bytes, int] = {}
    first = interval_of(spec.data[0])
    for place, one in enumerate(spec.data[:MOST_DATA]):
        window = one.window.SerializeToString(deterministic=True)
        before = seen.setdefault(one.dataset.encode() + b"\0" + window, place)
        if before != place:
            yield Violation(f"spec.data[{place}]", f"is spec.data[{before}] once more")
        interval = interval_of(one)
        if first and interval and interval is not first:
            told = f"has bars of {interval.value}, but spec.data[0] of {first.value}"
            yield Violation(f"spec.data[{place}].dataset", told)


def _aggregation_violations(spec: study_pb2.StudySpec, count: int) -> Iterator[Violation]:
    if not spec.HasField("data_aggregation"):
        yield Violation(_PATH, "is required with several data")
        return
    told = spec.data_aggregation
    if told.rule not in _RULES:
        names = [f"RULE_{rule.name}" for rule in AggregationRule]
        yield Violation(f"{_PATH}.rule", f"needs {', '.join(names[:-1])} or {names[-1]}")
    if len(told.series) not in {0, count}:
        what = f"needs one entry per snapshot, {count}, or none, but has {len(told.series)}"
        yield Violation(f"{_PATH}.series", what)


def spec_of_dataset(spec: study_pb2.StudySpec, place: int) -> study_pb2.StudySpec:
    """Return the spec of the same study over one of its data alone; itself where that is all."""
    if len(spec.data) <= 1:
        return spec
    alone = study_pb2.StudySpec()
    alone.CopyFrom(spec)
    del alone.data[:]
    alone.data.append(spec.data[place])
    alone.ClearField("data_aggregation")
    if place < len(spec.data_aggregation.series):
        series = spec.data_aggregation.series[place]
        alone.execution.MergeFrom(
            execution_pb2.ExecutionModel(
                **{name: getattr(series, name) for name in SERIES if series.HasField(name)}
            )
        )
    return alone


def pin_series(
    spec: study_pb2.StudySpec, executions: Sequence[execution_pb2.ExecutionModel]
) -> None:
    """Write into a spec over several data the series that workers resolved for each of them."""
    given = spec.data_aggregation.series
    for one, execution in zip(given, executions, strict=False):
        for name in SERIES:
            if execution.HasField(name):
                getattr(one, name).CopyFrom(getattr(execution, name))
    # Each is of one symbol.
    spec.execution.ClearField("funding")
    spec.execution.ClearField("mark")
    spec.execution.ClearField("detail")


def in_place(violations: Iterable[Violation], place: int | None) -> list[Violation]:
    """Return what is wrong with a `spec_of_dataset` by the paths of the whole spec.

    `place` is that of the dataset; None where there is only one.
    """
    return [Violation(_path_in_place(one.field, place), one.description) for one in violations]


def _path_in_place(path: str, place: int | None) -> str:
    if place is None:
        return path
    head, separator, rest = path.partition(".execution.")
    if separator and rest.partition(".")[0] in SERIES:
        return f"{head}.data_aggregation.series[{place}].{rest}"
    return path.replace("spec.data[0]", f"spec.data[{place}]", 1)


def dataset_result_messages(
    results: Sequence[DatasetResult],
) -> list[data_aggregation_pb2.DatasetResult]:
    """Return what each of several data says of a trial as messages."""
    return [
        data_aggregation_pb2.DatasetResult(
            dataset_index=place,
            objective_values=one.objective_values,
            metrics=metrics_message(one),
            feasible=one.feasible,
            failure_reason=one.failure_reason,
            failure_message=one.failure_message,
        )
        for place, one in enumerate(results)
    ]
