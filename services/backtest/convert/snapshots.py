"""Which candles a request means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

from assay.market.v1 import candles_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Violation
from services.common.frames_codec import ms_from_timestamp, timestamp_from_ms
from services.common.intervals import Interval

DATASET_NAME: Final = re.compile(r"datasets/[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_INTERVALS: Final = {interval.value: interval for interval in Interval}
_MOST_LOOKBACK = 1_000_000
_FIRST_SECOND = -62_135_596_800
"""0001-01-01T00:00:00Z, the first time a Timestamp can hold."""
_LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z, the last one."""


@dataclass(frozen=True, slots=True)
class SnapshotChoice:
    """Candles by name; what is None is left to the data service.

    Attributes:
        dataset: "datasets/{dataset}".
        start_ms: First open time inside, ms since the epoch.
        end_ms: First open time outside.
        lookback: Bars wanted before the window; None: what the strategy needs.
        digest: Content the candles must have, or "" for any.
    """

    dataset: str
    start_ms: int | None
    end_ms: int | None
    lookback: int | None
    digest: str

    @property
    def interval(self) -> Interval | None:
        """Length of a bar, by which names of datasets end; None for names of no candles."""
        return _INTERVALS.get(self.dataset.rpartition(".")[2])

    def with_lookback(self, needed: Callable[[Interval], int]) -> SnapshotChoice:
        """Return the same choice with `needed` bars of lookback where none was asked for.

        `needed` is called only then: over many sets it takes its time.
        """
        if self.lookback is not None:
            return self
        interval = self.interval
        # What is no name of candles is the data service's to refuse.
        return replace(self, lookback=0 if interval is None else needed(interval))

    def to_proto(self) -> candles_pb2.CandleSnapshot:
        """Return the choice as the contract's message."""
        snapshot = candles_pb2.CandleSnapshot(
            dataset=self.dataset,
            lookback_bar_count=self.lookback,
            content_digest=self.digest,
        )
        if self.start_ms is not None:
            snapshot.window.start_time.CopyFrom(timestamp_from_ms(self.start_ms))
        if self.end_ms is not None:
            snapshot.window.end_time.CopyFrom(timestamp_from_ms(self.end_ms))
        return snapshot

    @classmethod
    def from_proto(cls, snapshot: candles_pb2.CandleSnapshot) -> Self:
        """Read the message as it is; `problems_with_snapshot` says whether it may be used."""
        window = snapshot.window
        return cls(
            dataset=snapshot.dataset,
            start_ms=_ms(window.start_time) if window.HasField("start_time") else None,
            end_ms=_ms(window.end_time) if window.HasField("end_time") else None,
            lookback=(
                snapshot.lookback_bar_count if snapshot.HasField("lookback_bar_count") else None
            ),
            digest=snapshot.content_digest,
        )


def problems_with_snapshot(snapshot: candles_pb2.CandleSnapshot) -> list[Violation]:
    """Return everything wrong with a request's `snapshot`."""
    found = []
    if not snapshot.dataset:
        found.append(Violation("snapshot.dataset", "is required"))
    elif not DATASET_NAME.fullmatch(snapshot.dataset):
        found.append(Violation("snapshot.dataset", 'must have the form "datasets/{dataset}"'))
    found += _problems_with_window(snapshot.window)
    if not 0 <= snapshot.lookback_bar_count <= _MOST_LOOKBACK:
        found.append(
            Violation("snapshot.lookback_bar_count", f"must be from 0 to {_MOST_LOOKBACK:,}")
        )
    if snapshot.content_digest and not DIGEST.fullmatch(snapshot.content_digest):
        found.append(
            Violation("snapshot.content_digest", "must be 64 lower-case hexadecimal digits")
        )
    return found


def _problems_with_window(window: candles_pb2.TimeWindow) -> list[Violation]:
    found = []
    for name in ("start_time", "end_time"):
        time: Timestamp = getattr(window, name)
        if not _FIRST_SECOND <= time.seconds <= _LAST_SECOND or not 0 <= time.nanos < 10**9:
            found.append(Violation(f"snapshot.window.{name}", "is not a time"))
        elif time.nanos % 1_000_000:
            found.append(Violation(f"snapshot.window.{name}", "must be in whole milliseconds"))
    both = window.HasField("start_time") and window.HasField("end_time")
    if both and not found and _ms(window.end_time) <= _ms(window.start_time):
        found.append(Violation("snapshot.window.end_time", "must be later than start_time"))
    return found


def _ms(time: Timestamp) -> int:
    return ms_from_timestamp(time)
