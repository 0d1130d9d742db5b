"""Candle frames kept in memory for later calls, least recently used first out."""

from __future__ import annotations

from collections import OrderedDict

from services.backtest.convert.snapshots import LoadedFrame, SnapshotChoice


class FrameCache:
    """A bounded cache of frames by snapshot.

    A frame is found under its full snapshot and under the one it was asked for by, which may leave
    the window's ends open. Only snapshots with a digest are looked up, so a hit is never stale.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._frames: OrderedDict[SnapshotChoice, LoadedFrame] = OrderedDict()
        self._asked: dict[SnapshotChoice, SnapshotChoice] = {}
        self._bytes = 0

    def get(self, choice: SnapshotChoice) -> LoadedFrame | None:
        """Return the frame of a snapshot with a digest, if it is held."""
        key = self._asked.get(choice, choice)
        loaded = self._frames.get(key)
        if loaded is not None:
            self._frames.move_to_end(key)
        return loaded

    def put(self, choice: SnapshotChoice, loaded: LoadedFrame) -> None:
        """Hold a frame, and let go of the ones used longest ago where memory runs out."""
        size = loaded.frame.candles.nbytes
        if size > self._limit_bytes:
            return
        key = loaded.snapshot
        if key not in self._frames:
            self._frames[key] = loaded
            self._bytes += size
        self._frames.move_to_end(key)
        if choice != key:
            self._asked[choice] = key
        while self._bytes > self._limit_bytes:
            self._let_go()

    def digests(self) -> list[str]:
        """Return the digests held, most recently used first, each once."""
        return list(dict.fromkeys(key.digest for key in reversed(self._frames)))

    def _let_go(self) -> None:
        gone, loaded = self._frames.popitem(last=False)
        self._bytes -= loaded.frame.candles.nbytes
        for asked in [asked for asked, key in self._asked.items() if key == gone]:
            del self._asked[asked]
