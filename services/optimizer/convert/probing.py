"""The trial run of a few points before a study starts: what is asked, what the answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2
from assay.optimizer.v1 import study_pb2

from services.common.errors import AssayError, Code, Violation, fields_invalid
from services.optimizer.convert.data_aggregation import in_place
from services.optimizer.convert.durations import duration_of
from services.optimizer.convert.values import assignments, column_message
from services.optimizer.convert.walk_forward_spans import span_of
from services.optimizer.core.spec.draft import SearchKind
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.trial import Point

SECONDS_PER_PROPOSAL: Final[Mapping[SearchKind, float]] = {
    SearchKind.BAYESIAN: 0.001,
    SearchKind.CMA_ES: 0.0003,
    SearchKind.EVOLUTIONARY: 0.001,
}
"""What a point costs beside its evaluation, roughly; others cost next to nothing."""

SECONDS_PER_PROPOSAL_OF_SEVERAL: Final = 0.05
"""The same for a Bayesian search for several objectives."""

INT64_LIMIT: Final = 2**63

_DATA_FIELDS: Final[Mapping[str, str]] = {
    "DATASET_UNKNOWN": "spec.data[0].dataset",
    "WINDOW_OUTSIDE_DATASET": "spec.data[0].window",
    "WINDOW_TOO_SHORT": "spec.data[0].window",
    "DATASET_CHANGED": "spec.data[0].content_digest",
}
"""Which field an error about data speaks of."""

_BUY_AND_HOLD: Final = strategy_pb2.StrategyChoice(
    name="strategies/buy_and_hold", direction=strategy_pb2.DIRECTION_LONG
)

_SPEC_FIELDS: Final[Mapping[str, str]] = {
    "snapshot": "spec.data[0]",
    "strategy": "spec.strategy",
    "execution": "spec.execution",
}


def probe_request(
    spec: study_pb2.StudySpec, points: Sequence[Point]
) -> backtest_service_pb2.RunBacktestBatchRequest:
    """Return the request that runs some points of a spec and asks for next to nothing."""
    return backtest_service_pb2.RunBacktestBatchRequest(
        snapshot=spec.data[0],
        strategy=spec.strategy,
        set_count=len(points),
        columns=[column_message(name, [point[name] for point in points]) for name in points[0]],
        execution=spec.execution,
        metrics=["trade_count"],
    )


def data_request(spec: study_pb2.StudySpec) -> backtest_service_pb2.RunBacktestRequest:
    """Return the request that asks whether the data are there, whatever else is wrong."""
    return backtest_service_pb2.RunBacktestRequest(
        snapshot=spec.data[0] if spec.data else None,
        strategy=_BUY_AND_HOLD,
    )


def choice_request(
    spec: study_pb2.StudySpec, plain: Point
) -> backtest_service_pb2.RunBacktestRequest:
    """Return the request whose refusal tells what is wrong with definition and execution model.

    `plain` are values of the searched parameters, as far as they can be read; the model's fields
    may mean nothing without them.
    """
    defined = spec.strategy.HasField("definition")
    return backtest_service_pb2.RunBacktestRequest(
        snapshot=spec.data[0] if spec.data else None,
        strategy=spec.strategy if defined else _BUY_AND_HOLD,
        parameters=assignments(plain),
        execution=spec.execution,
    )


def with_data_violations(
    refused: AssayError, data_error: AssayError, place: int | None = None
) -> AssayError:
    """Return a refused request's error with what a `data_request` found wrong.

    `place` is that of the data the request was about, where there are several. An error without
    violations, such as an unknown strategy, becomes one beside the others.
    """
    field = _DATA_FIELDS.get(data_error.reason)
    found = [Violation(field, data_error.message)] if field else []
    if data_error.reason == "FIELD_INVALID":
        told = in_terms_of_spec(data_error, [{}]).violations
        found = [item for item in told if item.field.startswith("spec.data")]
    return _with_more(refused, in_place(found, place))


def with_choice_violations(
    refused: AssayError, choice_error: AssayError, place: int | None = None
) -> AssayError:
    """Return a refused request's error with what a `choice_request` was refused for.

    What that says of parameters is left out: a spec's own are judged by other rules.
    """
    told = in_terms_of_spec(choice_error, [{}]).violations
    heads = ("spec.strategy.definition", "spec.execution")
    found = [item for item in told if item.field.startswith(heads)]
    return _with_more(refused, in_place(found, place))


def _with_more(refused: AssayError, found: Sequence[Violation]) -> AssayError:
    known = refused.violations or (Violation("spec.strategy.name", refused.message),)
    told = {item.field for item in known}
    # Without a snapshot there is nothing to say about its parts.
    silent = "spec.data[" if "spec.data" in told else "-"
    more = [item for item in found if item.field not in told and not item.field.startswith(silent)]
    return fields_invalid([*known, *more]) if more else refused


def check_window(response: backtest_service_pb2.RunBacktestBatchResponse, of: str = "") -> None:
    """Refuse a window that is too short for a point of the probe.

    `of` says whose window it is, where there are several.

    Raises:
        AssayError: FAILED_PRECONDITION/WINDOW_TOO_SHORT with the largest need.
    """
    short = [failure for failure in response.failures if failure.reason == "WINDOW_TOO_SHORT"]
    if short:
        worst = max(short, key=lambda one: int(one.metadata.get("needed_bar_count") or 0))
        raise AssayError(
            Code.FAILED_PRECONDITION,
            "WINDOW_TOO_SHORT",
            f"the window{of and f' of {of}'} is too short for the longest warm-up of the space: "
            f"{worst.message}",
            metadata=dict(worst.metadata),
        )


def in_terms_of_spec(
    error: AssayError, points: Sequence[Point], place: int | None = None
) -> AssayError:
    """Return a worker's refusal of a probe with the paths of the study's own request.

    `place` is that of the data the probe was about, where there are several.
    """
    if error.reason != "FIELD_INVALID":
        return error
    names = list(points[0])
    violations = [
        Violation(_spec_path(item.field, names), item.description) for item in error.violations
    ]
    return fields_invalid(in_place(violations, place))


def data_refusal(errors: Sequence[tuple[int, AssayError]]) -> AssayError:
    """Return what is told where probes of several data found fault with the data alone.

    Args:
        errors: Each error with the place of its data.

    Returns:
        The error itself where it is the only one or says more than what a field can; else one with
        a violation for each.
    """
    found: list[Violation] = []
    for place, error in errors:
        field = _DATA_FIELDS.get(error.reason)
        if field is None:
            return error
        found += in_place([Violation(field, error.message)], place)
    return errors[0][1] if len(errors) == 1 else fields_invalid(found)


def estimate_message(
    plan: StudyPlan,
    responses: Sequence[backtest_service_pb2.RunBacktestBatchResponse],
    set_count: int,
    seconds: float,
) -> study_pb2.StudyEstimate:
    """Return the estimate of a study of which `set_count` sets took `seconds` over all its data.

    It is rough.
    """
    several = plan.search is SearchKind.BAYESIAN and len(plan.objectives) > 1
    proposal = SECONDS_PER_PROPOSAL.get(plan.search, 0.0)
    share = _share_of_bars(plan, responses[0])
    per_trial = seconds * share / set_count + (
        SECONDS_PER_PROPOSAL_OF_SEVERAL if several else proposal
    )
    point_count = plan.space.point_count
    return study_pb2.StudyEstimate(
        space_point_count=point_count if (point_count or 0) < INT64_LIMIT else None,
        trial_count=plan.trial_count,
        predicted_duration=duration_of(round(per_trial * plan.trial_count * 1000)),
        bar_count=sum(response.bar_count for response in responses),
        lookback_bar_count=max(response.snapshot.lookback_bar_count for response in responses),
    )


def _share_of_bars(
    plan: StudyPlan, response: backtest_service_pb2.RunBacktestBatchResponse
) -> float:
    """Return which part of the study's window a trial runs over, on average over the windows."""
    if plan.walk_forward is None:
        return 1.0
    inside = [window.in_sample.days for window in plan.walk_forward.windows]
    return fmean(inside) / span_of(response.snapshot).days


def _spec_path(field: str, names: Sequence[str]) -> str:
    """Return the spec's path of a field of the probe's request."""
    head, separator, rest = field.partition(".")
    if head.startswith("columns["):
        index = int(head.removeprefix("columns[").removesuffix("]"))
        return f"spec.parameters[{index}]" if index < len(names) else "spec.parameters"
    if head == "columns":
        return "spec.parameters"
    return _SPEC_FIELDS.get(head, head) + separator + rest
