"""What is worked out once for a frame and kept for every batch on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from services.backtest.core.evaluation.row import Row
from services.backtest.core.evaluation.rows import Rows, Scope
from services.backtest.core.expression.program import Program
from services.backtest.core.expression.resolution import resolve
from services.backtest.core.frame import Frame
from services.backtest.core.market import Market, market_of
from services.backtest.core.parameters import Value
from services.backtest.core.planes.row_table import RowTable
from services.backtest.core.sparse import Ranges, ranges_of

RowKey = tuple[Program, int, int, tuple[tuple[str, Value], ...]]
"""A program, a node's place, the bars before a bar that are read too, and parameter values."""

_MOST_LOOKBACKS: Final = 20_000


class Workbench:
    """The market, rows and tables of one frame; any number of threads may use it.

    Attributes:
        window_start: Row of the window's first bar in the frame.
        bar_count: Bars of the window.
        begins_dataset: Whether the frame's first row is known to be its dataset's.
        interval: Length of a bar.
        market: The window's bars and the time they span.
        funded: Whether positions pay funding.
        memory_ratio: Share of a whole frame's memory that it takes at most.
    """

    def __init__(self, frame: Frame) -> None:
        """Take a frame, which is not kept: it keeps its workbench."""
        self.window_start = frame.window_start
        self.bar_count = frame.bar_count
        self.begins_dataset = frame.begins_dataset
        self.interval = frame.interval
        self.funded = frame.funding is not None
        self.memory_ratio = frame.memory_ratio
        self.market: Market = market_of(frame)
        self._rows = Rows(frame)
        self._asked: WeakValueDictionary[RowKey, Row] = WeakValueDictionary()
        self._lookbacks: dict[RowKey, int] = {}
        self._own = threading.local()

    @cached_property
    def ranges(self) -> Ranges:
        """What the sparse path asks of any stretch of bars."""
        return ranges_of(self.market.bars)

    @property
    def table(self) -> RowTable:
        """The row table of the calling thread."""
        table: RowTable | None = getattr(self._own, "table", None)
        if table is None:
            table = RowTable(self.window_start, self.bar_count, self.memory_ratio)
            self._own.table = table
        return table

    def row(self, key: RowKey, scope: Callable[[], Scope]) -> Row:
        """Return the row of a node, made of a scope when it is not known; see `Rows.row`."""
        row = self._asked.get(key)
        if row is None:
            row = self._asked[key] = self._rows.row(scope(), key[1], key[2])
        return row

    def lookback(self, key: RowKey, scope: Callable[[], Scope]) -> int:
        """Return the bars before a bar that the value of a row there depends on."""
        known = self._lookbacks.get(key)
        if known is None:
            if len(self._lookbacks) >= _MOST_LOOKBACKS:
                self._lookbacks.clear()
            known = scope().lookbacks.total(key[1], self.interval) + key[2]
            self._lookbacks[key] = known
        return known


_MOST_PROGRAMS: Final = 64
_MOST_BENCHES: Final = 4
"""Frames whose rows and tables are kept, or shorter ones that take no more memory together; others
are worked out again when they return."""

_benches: WeakKeyDictionary[Frame, Workbench] = WeakKeyDictionary()
_lock = threading.Lock()


def workbench_of(frame: Frame) -> Workbench:
    """Return the workbench of a frame: the same one while it is among those used last."""
    with _lock:
        bench = _benches.pop(frame, None) or Workbench(frame)
        while (
            sum((one.memory_ratio for one in _benches.values()), bench.memory_ratio) > _MOST_BENCHES
        ):
            # Dictionaries keep their order: the first is the one that was used longest ago.
            oldest = next(iter(_benches.keys()), None)
            if oldest is not None:
                del _benches[oldest]
        _benches[frame] = bench
        return bench


@lru_cache(_MOST_PROGRAMS)
def resolved(program: Program, words: tuple[tuple[str, str], ...]) -> Program:
    """Return a program with its choices made; the same one for the same words."""
    return resolve(program, dict(words))
