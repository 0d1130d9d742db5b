"""How a study walks forward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from services.common.intervals import DAY_MS, Interval

MOST_WINDOWS: Final = 500
MOST_GENERATION: Final = 16_384
"""Trials of one generation over all windows: what is held in memory at once."""

MOST_OUT_OF_SAMPLE_BARS: Final = 100_000
"""Longest equity curve a worker tells."""

SHORTEST_SPAN: Final = 2
"""Bars of the shortest span: one for a decision, one for its fill."""


@dataclass(frozen=True, slots=True)
class BarSpan:
    """A length of time as it was given: `count` bars, or days."""

    count: int
    in_days: bool = False

    def bars(self, interval: Interval) -> int | None:
        """Return the length in bars; None where it is no whole number of them."""
        if not self.in_days:
            return self.count
        if interval is Interval.MONTH_1:
            return None
        bars, rest = divmod(self.count * DAY_MS, interval.length_ms)
        return None if rest else bars


@dataclass(frozen=True, slots=True)
class Criteria:
    """When a walk forward counts as passed; the fields are those of `WalkForwardCriteria`."""

    min_positive_window_rate: float = 0.5
    min_walk_forward_efficiency: float = 0.5
    max_single_window_share: float = 0.5
    max_drawdown_ratio: float = 0.4
    min_total_return_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """Bars by their open times, [start, end), ms since the epoch."""

    start_ms: int
    end_ms: int

    @property
    def days(self) -> float:
        """Its length in days."""
        return (self.end_ms - self.start_ms) / DAY_MS


@dataclass(frozen=True, slots=True)
class Window:
    """What a window's search sees, and what it does not see.

    Attributes:
        in_sample: What it sees.
        out_of_sample: What it does not see.
        cell_number: The cell of the matrix it belongs to; None without a matrix.
    """

    in_sample: Span
    out_of_sample: Span
    cell_number: int | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Lengths to walk forward with, each pair of them; None for a length that was not given."""

    in_samples: tuple[BarSpan | None, ...]
    steps: tuple[BarSpan | None, ...]


@dataclass(frozen=True, slots=True)
class WalkForward:
    """How a study walks forward.

    Attributes:
        in_sample: Length of the first in-sample span; None where it was not given.
        out_of_sample: Length of the out-of-sample spans; None where it was not given.
        step: Distance of the windows; None: out_of_sample.
        purge: What is left out between the two spans of a window.
        anchored: Whether in-sample spans all begin at the start.
        compounded: Whether the criteria look at the compounded curve.
        criteria: When it counts as passed.
        windows: The windows; empty until they are pinned. With a matrix cell after cell.
        matrix: Lengths in place of in_sample and step; None: one walk. Without out_of_sample each
            cell's own step is that too.
    """

    in_sample: BarSpan | None
    out_of_sample: BarSpan | None
    step: BarSpan | None = None
    purge: BarSpan = BarSpan(0)
    anchored: bool = False
    compounded: bool = False
    criteria: Criteria = Criteria()
    windows: tuple[Window, ...] = ()
    matrix: Matrix | None = None

    @property
    def overlapping(self) -> bool:
        """Whether out-of-sample spans overlap, with a matrix in any cell."""
        return any(
            one.cell_number == other.cell_number
            and one.out_of_sample.end_ms > other.out_of_sample.start_ms
            for one, other in pairwise(self.windows)
        )

    @property
    def cells(self) -> tuple[WalkForward, ...]:
        """The walks of the cells by number, without their windows; itself without a matrix."""
        if self.matrix is None:
            return (replace(self, windows=()),)
        return tuple(
            replace(
                self,
                in_sample=in_sample,
                out_of_sample=self.out_of_sample or step,
                step=step,
                windows=(),
                matrix=None,
            )
            for in_sample in self.matrix.in_samples
            for step in self.matrix.steps
        )

    def numbers_of(self, cell_number: int) -> list[int]:
        """Return the numbers of a cell's windows; of all without a matrix."""
        cell = None if self.matrix is None else cell_number
        return [number for number, one in enumerate(self.windows) if one.cell_number == cell]

    def first_alike(self, window_number: int) -> int:
        """Return the first window that has the same in-sample span as one."""
        wanted = self.windows[window_number].in_sample
        return next(number for number, one in enumerate(self.windows) if one.in_sample == wanted)
