"""The pinned spans of a walk forward, and requests over them."""

from __future__ import annotations

from typing import Final, TypeAlias

from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import execution_pb2
from assay.market.v1 import candles_pb2
from assay.optimizer.v1 import walk_forward_pb2

from services.common.frames_codec import ms_from_timestamp, timestamp_from_ms
from services.optimizer.core.walk_forward.rule import Span

Request: TypeAlias = pb.RunBacktestRequest | pb.RunBacktestBatchRequest

_SERIES: Final = ("funding", "mark", "detail")
"""Fields of both the execution model and a pinned span."""


def put_span(
    request: Request, span: walk_forward_pb2.PinnedSpan, *, close_at_end: bool = False
) -> None:
    """Make a request one over a span: its candles, and its series where the model names them."""
    request.snapshot.CopyFrom(span.snapshot)
    for name in _SERIES:
        if request.execution.HasField(name):
            series: execution_pb2.PinnedSeries = getattr(request.execution, name)
            series.content_digest = getattr(span, name).content_digest
    if close_at_end:
        request.execution.close_at_end = True


def unpinned_span(whole: candles_pb2.CandleSnapshot, span: Span) -> walk_forward_pb2.PinnedSpan:
    """Return a span of the study's data of which no digest is known yet."""
    return walk_forward_pb2.PinnedSpan(
        snapshot=candles_pb2.CandleSnapshot(
            dataset=whole.dataset,
            window=candles_pb2.TimeWindow(
                start_time=timestamp_from_ms(span.start_ms),
                end_time=timestamp_from_ms(span.end_ms),
            ),
            lookback_bar_count=whole.lookback_bar_count,
        )
    )


def pin_span(span: walk_forward_pb2.PinnedSpan, response: pb.RunBacktestBatchResponse) -> None:
    """Write into a span what a worker resolved."""
    span.snapshot.CopyFrom(response.snapshot)
    for name in _SERIES:
        if response.execution.HasField(name):
            getattr(span, name).CopyFrom(getattr(response.execution, name))


def span_of(snapshot: candles_pb2.CandleSnapshot) -> Span:
    """Return the bars of a snapshot whose window is resolved."""
    window = snapshot.window
    return Span(ms_from_timestamp(window.start_time), ms_from_timestamp(window.end_time))
