"""Between candle frames and the contract's columns, and between ms and Timestamps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from assay.market.v1.candles_pb2 import CandleColumns
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.frames import COLUMN_NAMES, Candles

CHUNK_ROWS = 16_384
"""Rows of one message: 768 KiB, well below gRPC's default limit of 4 MiB."""


def to_proto(candles: Candles) -> CandleColumns:
    """Return the frame as one message."""
    return CandleColumns(
        open_time_ms=candles.open_time_ms.tolist(),
        open=candles.open.tolist(),
        high=candles.high.tolist(),
        low=candles.low.tolist(),
        close=candles.close.tolist(),
        volume=candles.volume.tolist(),
    )


def from_proto(columns: CandleColumns) -> Candles:
    """Return the message as a frame; ValueError when the columns differ in length."""
    return Candles.from_columns(np.array(getattr(columns, name)) for name in COLUMN_NAMES)


def chunks(candles: Candles, rows: int = CHUNK_ROWS) -> Iterator[CandleColumns]:
    """Cut a frame into messages of at most `rows` rows, in order; none for an empty frame."""
    for start in range(0, len(candles), rows):
        yield to_proto(candles.slice(start, start + rows))


def timestamp_from_ms(ms: int) -> Timestamp:
    """Return a time in ms since the epoch as a Timestamp."""
    seconds, rest_ms = divmod(ms, 1000)
    return Timestamp(seconds=seconds, nanos=rest_ms * 1_000_000)


def ms_from_timestamp(timestamp: Timestamp) -> int:
    """Return a Timestamp in whole ms since the epoch, rounded down."""
    return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000
