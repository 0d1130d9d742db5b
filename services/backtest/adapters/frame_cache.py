"""Frames kept in memory for later calls, least recently used first out."""

from __future__ import annotations

from collections import OrderedDict

from services.backtest.convert.loaded_frame import LoadedFrame
from services.backtest.convert.series import NO_SERIES, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice

_Key = tuple[SnapshotChoice, SeriesChoices]


class FrameCache:
    """A bounded cache of frames by snapshot and series.

    A frame is found under its full snapshot and under the one it was asked for by, which may leave
    the window's ends open. Only snapshots and series with a digest are looked up, so a hit is never
    stale. Frames with series share the candles of the one without, and go with it.

    Attributes:
        hits: Looks that found a frame.
        misses: Looks that found none.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._frames: OrderedDict[_Key, LoadedFrame] = OrderedDict()
        self._asked: dict[SnapshotChoice, SnapshotChoice] = {}
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    @property
    def held_bytes(self) -> int:
        """Memory the held frames take."""
        return self._bytes

    def get(self, choice: SnapshotChoice, series: SeriesChoices = NO_SERIES) -> LoadedFrame | None:
        """Return the frame of a snapshot with a digest, if it is held."""
        snapshot = self._asked.get(choice, choice)
        loaded = self._frames.get((snapshot, series))
        if loaded is None:
            self.misses += 1
            return None
        self.hits += 1
        self._use(snapshot, series)
        return loaded

    def put(self, choice: SnapshotChoice, loaded: LoadedFrame) -> None:
        """Hold a frame, and let go of the ones used longest ago where memory runs out.

        One with series is held only beside the one without that it shares its candles with.
        """
        size, snapshot, series = _own_bytes(loaded), loaded.snapshot, loaded.series
        plain = self._frames.get((snapshot, NO_SERIES))
        if series and (plain is None or plain.frame.candles is not loaded.frame.candles):
            return
        if size + (_own_bytes(plain) if series and plain else 0) > self._limit_bytes:
            return
        if (snapshot, series) not in self._frames:
            self._frames[snapshot, series] = loaded
            self._bytes += size
        self._use(snapshot, series)
        if choice != snapshot:
            self._asked[choice] = snapshot
        while self._bytes > self._limit_bytes:
            self._let_go(next(iter(self._frames)))

    def digests(self) -> list[str]:
        """Return the digests of the candles held, most recently used first, each once."""
        return list(dict.fromkeys(snapshot.digest for snapshot, _ in reversed(self._frames)))

    def _use(self, snapshot: SnapshotChoice, series: SeriesChoices) -> None:
        self._frames.move_to_end((snapshot, series))
        # The candles are used with it, and must not go before it.
        self._frames.move_to_end((snapshot, NO_SERIES))

    def _let_go(self, key: _Key) -> None:
        self._bytes -= _own_bytes(self._frames.pop(key))
        snapshot, series = key
        if series:
            return
        for beside in [one for one in self._frames if one[0] == snapshot]:
            self._let_go(beside)
        for asked in [asked for asked, full in self._asked.items() if full == snapshot]:
            del self._asked[asked]


def _own_bytes(loaded: LoadedFrame) -> int:
    """Return what a frame takes: its candles, or with series those, since it shares the candles."""
    frame = loaded.frame
    if not loaded.series:
        return frame.candles.nbytes
    size = frame.mark.nbytes if frame.mark else 0
    size += frame.detail.candles.nbytes if frame.detail else 0
    if frame.funding:
        size += frame.funding.time_ms.nbytes + frame.funding.rate_ratio.nbytes
    return size
