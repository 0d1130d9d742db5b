"""Walk-forward specs, as the core sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import study_pb2, walk_forward_pb2

from services.common.errors import Violation
from services.common.intervals import Interval
from services.optimizer.convert.walk_forward_spans import span_of
from services.optimizer.core.walk_forward.rule import (
    MOST_WINDOWS,
    BarSpan,
    Criteria,
    Matrix,
    WalkForward,
    Window,
)
from services.optimizer.core.walk_forward.rule_checks import walk_forward_violations

_INTERVALS: Final = {interval.value: interval for interval in Interval}
_PATH: Final = "spec.walk_forward"


def interval_of(snapshot: candles_pb2.CandleSnapshot) -> Interval | None:
    """Return the length of a bar, by which names of datasets end; None for other names."""
    return _INTERVALS.get(snapshot.dataset.rpartition(".")[2])


def fill_walk_forward(message: walk_forward_pb2.WalkForwardSpec) -> None:
    """Write the defaults out."""
    if not message.mode:
        message.mode = walk_forward_pb2.WalkForwardSpec.MODE_ROLLING
    if not message.capital:
        message.capital = walk_forward_pb2.WalkForwardSpec.CAPITAL_RESET
    one_walk = not message.HasField("matrix")
    if one_walk and not message.HasField("step") and message.HasField("out_of_sample"):
        message.step.CopyFrom(message.out_of_sample)
    if not message.HasField("purge"):
        message.purge.bars = 0
    usual = walk_forward_pb2.WalkForwardCriteria(**asdict(Criteria()))
    usual.MergeFrom(message.criteria)
    message.criteria.CopyFrom(usual)


def walk_forward_of(message: walk_forward_pb2.WalkForwardSpec) -> WalkForward:
    """Return how a study walks forward, from a message whose defaults are filled in."""
    criteria = message.criteria
    return WalkForward(
        in_sample=_bar_span(message.in_sample),
        out_of_sample=_bar_span(message.out_of_sample),
        step=_bar_span(message.step),
        purge=_bar_span(message.purge) or BarSpan(0),
        anchored=message.mode == walk_forward_pb2.WalkForwardSpec.MODE_ANCHORED,
        compounded=message.capital == walk_forward_pb2.WalkForwardSpec.CAPITAL_COMPOUNDED,
        criteria=Criteria(
            min_positive_window_rate=criteria.min_positive_window_rate,
            min_walk_forward_efficiency=criteria.min_walk_forward_efficiency,
            max_single_window_share=criteria.max_single_window_share,
            max_drawdown_ratio=criteria.max_drawdown_ratio,
            min_total_return_ratio=criteria.min_total_return_ratio,
        ),
        windows=tuple(
            Window(
                span_of(one.in_sample.snapshot),
                span_of(one.out_of_sample.snapshot),
                one.cell_number if one.HasField("cell_number") else None,
            )
            for one in message.windows[: MOST_WINDOWS + 1]
        ),
        matrix=_matrix_of(message.matrix) if message.HasField("matrix") else None,
    )


def bar_span_message(span: BarSpan | None) -> walk_forward_pb2.BarSpan:
    """Return a length as it was given."""
    if span is None:
        return walk_forward_pb2.BarSpan()
    if span.in_days:
        return walk_forward_pb2.BarSpan(days=span.count)
    return walk_forward_pb2.BarSpan(bars=span.count)


def walk_forward_spec_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield what is wrong with the walk forward of a spec whose defaults are filled in."""
    message = spec.walk_forward
    if message.mode not in walk_forward_pb2.WalkForwardSpec.Mode.values():
        yield Violation(f"{_PATH}.mode", f"{message.mode} is not one of the choices")
    if message.capital not in walk_forward_pb2.WalkForwardSpec.Capital.values():
        yield Violation(f"{_PATH}.capital", f"{message.capital} is not one of the choices")
    # A step that was not given is that of out_of_sample, whose own violation is enough.
    given = message.out_of_sample.WhichOneof("length") is not None
    if message.HasField("matrix"):
        yield from _beside_matrix(message)
    elif message.HasField("step") and message.step.WhichOneof("length") is None and given:
        yield Violation(f"{_PATH}.step", "needs days or bars")
    if message.purge.WhichOneof("length") is None:
        yield Violation(f"{_PATH}.purge", "needs days or bars")
    interval = interval_of(spec.data[0]) if spec.data else None
    yield from walk_forward_violations(walk_forward_of(message), interval)
    if spec.HasField("warm_start"):
        yield Violation(_PATH, "is given beside warm_start; only one of them can be")
    if spec.execution.close_at_end:
        told = "must be left out: out-of-sample spans close at their end, in-sample spans do not"
        yield Violation("spec.execution.close_at_end", told)
    if len(message.windows) > MOST_WINDOWS:
        told = f"has {len(message.windows):,} entries, at most {MOST_WINDOWS} are allowed"
        yield Violation(f"{_PATH}.windows", told)


def _beside_matrix(message: walk_forward_pb2.WalkForwardSpec) -> Iterator[Violation]:
    """Yield the lengths that a matrix has its own of, and one that is given without a length."""
    if message.HasField("in_sample"):
        yield Violation(
            f"{_PATH}.in_sample", "is given beside matrix, whose in_samples it would be"
        )
    if message.HasField("out_of_sample") and message.out_of_sample.WhichOneof("length") is None:
        yield Violation(f"{_PATH}.out_of_sample", "needs days or bars, or must be unset")
    if message.HasField("step"):
        yield Violation(f"{_PATH}.step", "is given beside matrix, whose steps it would be")


def window_violations(
    message: walk_forward_pb2.WalkForwardSpec, windows: tuple[Window, ...]
) -> Iterator[Violation]:
    """Yield where given windows are not those that follow from the lengths."""
    path = f"{_PATH}.windows"
    if len(message.windows) != len(windows):
        told = f"has {len(message.windows)} entries, but the lengths make {len(windows)} windows"
        yield Violation(path, told)
        return
    given = walk_forward_of(message).windows
    for number, (one, other) in enumerate(zip(given, windows, strict=True)):
        if one != other:
            told = "does not have the bounds that follow from the lengths"
            yield Violation(f"{path}[{number}]", told)


def _matrix_of(message: walk_forward_pb2.WalkForwardMatrix) -> Matrix:
    return Matrix(tuple(map(_bar_span, message.in_samples)), tuple(map(_bar_span, message.steps)))


def _bar_span(message: walk_forward_pb2.BarSpan) -> BarSpan | None:
    kind = message.WhichOneof("length")
    if kind is None:
        return None
    return BarSpan(message.days, in_days=True) if kind == "days" else BarSpan(message.bars)
