"""Comparing the rows of chunks: to planes of bits, or to lists of what changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from services.backtest.core.evaluation.reading import Reading
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.kernel import Integers
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.filling import fill_planes
from services.backtest.core.planes.levels import Levels
from services.backtest.core.planes.plane_code import SECOND, PlaneCode
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.slow_turns import (
    TurnLists,
    fill_slow_turns,
    list_slow_turns,
)
from services.backtest.core.planes.turn_changes import list_turns
from services.backtest.core.planes.turns import fill_turns, turning
from services.backtest.core.sets.chunks import Chunk
from services.backtest.core.sparse.changes import Bars

_SETS_AT_ONCE: Final = 512
"""Their planes stay in the processor's own memory; a cancelled batch ends after as many."""

_LIST_BYTES: Final = 64 * 2**20
"""What the turns of sets over a long window that are listed at once may take at most."""

_SETS_OF_A_ROW: Final = 4
"""Sets for each row whose comparison is quicker by levels, those being worked out first."""

_NO_LEVELS: Final = np.empty(0, np.int16)

_BYTES_OF_A_WORD: Final = 20


class Comparing:
    """Compares the rows of chunks on one frame."""

    def __init__(self, bench: Workbench) -> None:
        """Take the frame's workbench."""
        self._bench = bench

    def planes(
        self, code: PlaneCode, chunk: Chunk, *, turns: tuple[int, int] | None = None
    ) -> Words:
        """Return the planes of a chunk, shape (planes of the code, sets, words).

        With `turns` those of a crossing and its opposite, see `turning` and `fill_turns`, as far as
        a position that is held from one to the other can tell.
        """
        table = self._bench.table
        words = table.tile_count * table.tile_bars // WORD
        planes = np.empty((code.planes, len(chunk.sets), words), np.uint64)
        lists = self.turn_lists(chunk, turns)
        if turns and lists:
            fill_slow_turns(lists, planes[code.outputs[0]], planes[code.outputs[1]])
            return planes
        slots = table.slots(chunk.rows)
        starts = np.ascontiguousarray((slots * table.stride)[chunk.operands.T])
        whole = np.ascontiguousarray(table.whole[slots][chunk.operands.T])
        constants = np.ascontiguousarray(chunk.constants.T)
        state = np.zeros((2, len(chunk.sets)), np.uint64)
        for tile in range(table.tile_count):
            table.load(chunk.rows, tile)
            span = tile * table.tile_bars, table.tile_bars
            # Where only crossings read them, rows are alike: one map for all tells them apart.
            alike = bool((code.instructions[:, SECOND] >= 0).all())
            levels = self._levels(chunk) if alike else _NO_LEVELS
            if turns and whole.all():
                rows = starts[turns[0]], starts[turns[1]]
                enters, leaves = planes[code.outputs[0]], planes[code.outputs[1]]
                fill_turns(table.flat, levels, *rows, span, state, chunk.firsts, enters, leaves)
                continue
            fill_planes(
                code.instructions,
                starts,
                constants,
                whole,
                table.flat,
                levels,
                span,
                chunk.firsts,
                planes,
            )
        return planes

    def sets_at_once(self, code: PlaneCode, signals: Mapping[str, int], chunk: Chunk) -> int:
        """Return how many sets of a chunk are best run together.

        Their planes then stay in the processor's own memory, or their lists in bounds, and rows are
        loaded once for many.
        """
        table = self._bench.table
        if not self._readings(turning(code, signals), chunk):
            return _SETS_AT_ONCE
        words = table.tile_count * table.tile_bars // WORD
        most = _LIST_BYTES // (_BYTES_OF_A_WORD * words)
        return min(_SETS_AT_ONCE, max(1, most))

    def turn_lists(self, chunk: Chunk, turns: tuple[int, int] | None) -> TurnLists | None:
        """Return the words in which the rows of turns over a long window turn.

        None where rows are not read so.
        """
        readings = self._readings(turns, chunk)
        if turns is None or not readings:
            return None
        columns = np.ascontiguousarray(chunk.operands.T)
        pairs = columns[turns[0]], columns[turns[1]]
        return list_slow_turns(readings, self._bench.bar_count, pairs, chunk.firsts)

    def _readings(self, turns: tuple[int, int] | None, chunk: Chunk) -> list[Reading]:
        """Return how the rows of turns over a long window are read; nothing where they are not."""
        bench = self._bench
        if turns is None or bench.table.tile_count == 1:
            return []
        found = [row.reading(bench.window_start, bench.bar_count) for row in chunk.rows]
        readings = [one for one in found if one]
        return readings if len(readings) == len(found) else []

    def can_list(self, chunk: Chunk) -> bool:
        """Say whether the rows of a chunk are compared in one piece, and have no holes."""
        table = self._bench.table
        return table.tile_count == 1 and bool(table.whole[table.slots(chunk.rows)].all())

    def _levels(self, chunk: Chunk) -> Levels:
        """Return the levels of the rows of a chunk, which are loaded, where they pay."""
        many = len(chunk.sets) >= _SETS_OF_A_ROW * len(chunk.rows)
        whole = self._bench.table.tile_count == 1
        return self._bench.table.levels(chunk.rows) if many and whole else _NO_LEVELS

    def listing(
        self, chunk: Chunk, turns: tuple[int, int]
    ) -> Callable[[slice, Bars, Integers], None]:
        """Return what lists the changes of some sets of a chunk, see `run_changes`."""
        table, bars = self._bench.table, self._bench.bar_count
        starts = np.ascontiguousarray((table.slots(chunk.rows) * table.stride)[chunk.operands.T])
        table.load(chunk.rows, 0)
        lefts, rights = starts[turns[0]], starts[turns[1]]
        state = np.empty(len(chunk.sets), np.uint64)
        levels = self._levels(chunk)

        def listed(own: slice, changes: Bars, counts: Integers) -> None:
            words = table.tile_bars // WORD
            list_turns(
                table.flat,
                levels,
                lefts[own],
                rights[own],
                words,
                chunk.firsts[own],
                bars,
                state,
                changes,
                counts,
            )

        return listed
