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
    WalkForward,
    Window,
    walk_forward_violations,
)

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
    if not message.HasField("step") and message.HasField("out_of_sample"):
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
            Window(span_of(one.in_sample.snapshot), span_of(one.out_of_sample.snapshot))
            for one in message.windows[: MOST_WINDOWS + 1]
        ),
    )


def walk_forward_spec_violations(spec: study_pb2.StudySpec) -> Iterator[Violation]:
    """Yield what is wrong with the walk forward of a spec whose defaults are filled in."""
    message = spec.walk_forward
    if message.mode not in walk_forward_pb2.WalkForwardSpec.Mode.values():
        yield Violation(f"{_PATH}.mode", f"{message.mode} is not one of the choices")
    if message.capital not in walk_forward_pb2.WalkForwardSpec.Capital.values():
        yield Violation(f"{_PATH}.capital", f"{message.capital} is not one of the choices")
    # A step that was not given is that of out_of_sample, whose own violation is enough.
    given = message.out_of_sample.WhichOneof("length") is not None
    if message.HasField("step") and message.step.WhichOneof("length") is None and given:
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


def _bar_span(message: walk_forward_pb2.BarSpan) -> BarSpan | None:
    kind = message.WhichOneof("length")
    if kind is None:
        return None
    return BarSpan(message.days, in_days=True) if kind == "days" else BarSpan(message.bars)
