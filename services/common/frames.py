"""Frames of candles: numpy columns with a digest of their content. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

COLUMN_NAMES = ("open_time_ms", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Candles as columns of equal length, one entry per bar, by rising open time.

    Attributes:
        open_time_ms: Open times, int64 ms since the epoch, shape (bars,).
        open: First prices in quote currency, float64, shape (bars,).
        high: Highest prices.
        low: Lowest prices.
        close: Last prices.
        volume: Traded volumes in the source's unit.
    """

    open_time_ms: Times
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    def __post_init__(self) -> None:
        """Refuse columns of unequal length; ValueError."""
        lengths = {len(column) for column in self.columns()}
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.open_time_ms)

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return the six columns in the order of `COLUMN_NAMES`."""
        return (self.open_time_ms, self.open, self.high, self.low, self.close, self.volume)

    @classmethod
    def from_columns(cls, columns: Iterable[npt.ArrayLike]) -> Self:
        """Make a frame of six array-likes in the order of `COLUMN_NAMES`."""
        times, *numbers = columns
        return cls(
            np.ascontiguousarray(times, dtype=np.int64),
            *(np.ascontiguousarray(column, dtype=np.float64) for column in numbers),
        )

    @classmethod
    def empty(cls) -> Self:
        """Return a frame without bars."""
        return cls.from_columns([[] for _ in COLUMN_NAMES])

    @classmethod
    def concatenate(cls, frames: Iterable[Candles]) -> Self:
        """Join frames in the order given; an empty frame where there are none."""
        parts = [frame.columns() for frame in frames]
        if not parts:
            return cls.empty()
        return cls.from_columns(np.concatenate(column) for column in zip(*parts, strict=True))

    def slice(self, start: int, stop: int) -> Candles:
        """Return rows start to stop (half-open) as views."""
        return Candles.from_columns(column[start:stop] for column in self.columns())

    def content_digest(self) -> str:
        """Return the hexadecimal SHA-256 of the little-endian column bytes, column by column."""
        digest = hashlib.sha256()
        for column in self.columns():
            little_endian = column.astype(column.dtype.newbyteorder("<"), copy=False)
            digest.update(np.ascontiguousarray(little_endian).tobytes())
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        return sum(column.nbytes for column in self.columns())
