"""Rows side by side in one block of memory, as the kernel that compares them reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.backtest.core.evaluation.row import MeanRow, Row
from services.backtest.core.kernel import Bytes, Integers, Numbers, frozen, kernel
from services.backtest.core.planes.bits import aligned
from services.backtest.core.planes.levels import Levels, fill_levels

WORD: Final = 64
"""Bars in a word of a bit plane; also the columns before a row's first bar."""

LONGEST_WHOLE: Final = 65_536
"""Windows beyond this many bars are compared tile by tile."""

_TILE: Final = 4_096
"""Bars of a tile: the slots of some dozens of rows stay in the processor's own memory."""
_MOST_BYTES: Final = 24 * 2**20
_FEWEST_ROWS: Final = 16


_Means = tuple[Numbers, Integers, Numbers]
"""Sums, periods with first bars and offsets of slots, and divisors of several rows of means."""


@kernel
def fill_mean_slots(
    sums: Numbers,
    rows: Integers,
    divisors: Numbers,
    first: int,
    count: int,
    flat: Numbers,
    stride: int,
) -> None:
    """Fill slots with means of a column, see `Means.source`.

    `rows`, shape (rows, 3), tells each one's period, first bar with a mean and slot. The column
    before the tile is bar `first`, which may be -1; `count` bars follow, then NaN.
    """
    for row in range(len(rows)):
        period, defined, offset = rows[row]
        slot = flat[offset : offset + stride]
        begin = min(max(0, defined - first), count + 1)
        slot[WORD - 1 : WORD - 1 + begin] = np.nan
        slot[WORD + count :] = np.nan
        out = slot[WORD - 1 + begin : WORD + count]
        ends, starts = sums[first + begin + 1 :], sums[first + begin + 1 - period :]
        divisor = divisors[row]
        for place in range(len(out)):
            out[place] = (ends[place] - starts[place]) / divisor


class RowTable:
    """A block of row slots over one tile of a window; for one thread.

    A slot begins with a word's worth of columns, the last of which is the bar before the tile.

    Attributes:
        flat: The slots one after the other, 64-byte aligned.
        stride: Columns of a slot.
        whole: For each slot 1 where its row has no holes, shape (slots,).
        capacity: Slots, but for a set that alone needs more.
        tile_bars: Bars of a tile, a multiple of 64.
        tile_count: Tiles of the window.
    """

    def __init__(self, window_start: int, bar_count: int, memory_ratio: float = 1.0) -> None:
        """Take a window by its first row in the frame and its length; see `Frame.memory_ratio`."""
        padded = -(-max(bar_count, 1) // WORD) * WORD
        self.tile_bars = padded if bar_count <= LONGEST_WHOLE else _TILE
        self.tile_count = -(-padded // self.tile_bars)
        self.stride = WORD + self.tile_bars
        self.capacity = max(_FEWEST_ROWS, int(_MOST_BYTES * memory_ratio) // (8 * self.stride))
        self.flat: Numbers = aligned((0,), np.float64)
        self.whole: Bytes = np.zeros(self.capacity, np.uint8)
        self._window_start = window_start
        self._bar_count = bar_count
        self._slots: dict[int, int] = {}
        self._loaded: dict[int, int] = {}
        # What was asked for last: the parts of a chunk ask for the same again and again.
        self._asked: tuple[Sequence[Row], Integers] = (), np.empty(0, np.int64)
        self._filled: tuple[Sequence[Row], int] = (), -1
        self._grouped: tuple[Sequence[Row], list[_Means], list[Row]] = (), [], []
        self._levels: Levels = aligned((0,), np.int16)
        self._levelled: dict[int, int] = {}
        self._levelled_slots: Integers | None = None

    def slots(self, rows: Sequence[Row]) -> Integers:
        """Return a slot for each of different rows, shape (rows,).

        More than `capacity` are held no longer than until others are asked for.
        """
        if rows is self._asked[0]:
            return self._asked[1]
        fresh = [row for row in rows if row.number not in self._slots]
        if len(self._slots) + len(fresh) > self.capacity:
            self._slots.clear()
            self._loaded.clear()
            fresh = list(rows)
            self._make_room(len(rows))
        for row in fresh:
            self._slots[row.number] = len(self._slots)
            self.whole[self._slots[row.number]] = row.whole
        self._grow(len(self._slots))
        slots = np.array([self._slots[row.number] for row in rows], np.int64)
        self._asked = rows, slots
        self._filled = (), -1
        return slots

    def load(self, rows: Sequence[Row], tile: int) -> None:
        """Fill the slots of rows with a tile, where it is not there already."""
        if rows is self._filled[0] and tile == self._filled[1]:
            return
        begin = tile * self.tile_bars
        count = min(self.tile_bars, self._bar_count - begin)
        for row in self._load_means(rows, begin, count) if self.tile_count > 1 else rows:
            if self._loaded.get(row.number) == tile:
                continue
            offset = self._slots[row.number] * self.stride
            slot = self.flat[offset : offset + self.stride]
            row.fill(self._window_start + begin - 1, slot[WORD - 1 : WORD + count])
            slot[WORD + count :] = np.nan
            self._loaded[row.number] = tile
        self._filled = rows, tile

    def levels(self, rows: Sequence[Row]) -> Levels:
        """Return the levels of rows of a window of one tile, where their values are in `flat`.

        The rows must be loaded. Those that were asked for last are still there.
        """
        slots = self.slots(rows)
        if slots is self._levelled_slots:
            return self._levels
        known = {slot: row.number for slot, row in zip(slots.tolist(), rows, strict=True)}
        self._levelled_slots = slots
        if known != self._levelled:
            if len(self._levels) < len(self.flat):
                self._levels = aligned(self.flat.shape, np.int16)
            starts = slots * self.stride
            fill_levels(self.flat, starts, self.tile_bars // WORD, self._levels)
            self._levelled = known
        return self._levels

    def _load_means(self, rows: Sequence[Row], begin: int, count: int) -> Sequence[Row]:
        """Fill the slots of means all at once; return the rows left."""
        if rows is not self._grouped[0]:
            self._grouped = rows, *self._groups(rows)
        _, groups, others = self._grouped
        first = self._window_start + begin - 1
        for sums, whole_numbers, divisors in groups:
            fill_mean_slots(sums, whole_numbers, divisors, first, count, self.flat, self.stride)
        return others

    def _groups(self, rows: Sequence[Row]) -> tuple[list[_Means], list[Row]]:
        """Return the means among rows by their sums, and the other rows."""
        found: dict[int, tuple[Numbers, list[tuple[int, int, int]], list[float]]] = {}
        others = []
        for row in rows:
            source = row.source if isinstance(row, MeanRow) else None
            if not isinstance(row, MeanRow) or source is None:
                others.append(row)
                continue
            sums, divisor = source
            _, numbers, divisors = found.setdefault(id(sums), (frozen(sums), [], []))
            numbers.append((row.period, row.defined, self._slots[row.number] * self.stride))
            divisors.append(divisor)
        groups = [
            (sums, np.array(numbers, np.int64), np.array(divisors))
            for sums, numbers, divisors in found.values()
        ]
        return groups, others

    def _make_room(self, count: int) -> None:
        """Have slots for the capacity, or for the rows of one set that needs more."""
        room = max(self.capacity, count)
        self.whole = np.zeros(room, np.uint8)
        if len(self.flat) > room * self.stride:
            self.flat = aligned((0,), np.float64)

    def _grow(self, used: int) -> None:
        held = len(self.flat) // self.stride
        if used <= held:
            return
        flat = aligned((min(len(self.whole), max(2 * held, used, 8)) * self.stride,), np.float64)
        flat[: len(self.flat)] = self.flat
        self.flat = flat
