"""Where the windows of a walk forward lie. Whole windows only; a bar that is missing counts."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.errors import AssayError, Code, Violation, refuse
from services.common.intervals import DAY_MS, Interval
from services.optimizer.core.walk_forward.rule import MOST_WINDOWS, Span, WalkForward, Window


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a walk forward in bars."""

    in_sample: int
    out_of_sample: int
    step: int
    purge: int

    @property
    def needed(self) -> int:
        """Bars of one window."""
        return self.in_sample + self.purge + self.out_of_sample

    def window_count(self, bar_count: int) -> int:
        """Return how many windows fit into so many bars."""
        return max((bar_count - self.needed) // self.step + 1, 0)


def lengths_of(rule: WalkForward, interval: Interval) -> Lengths:
    """Return the lengths of a rule without violations."""
    out_of_sample = rule.out_of_sample.bars(interval) if rule.out_of_sample else None
    step = rule.step.bars(interval) if rule.step else out_of_sample
    in_sample = rule.in_sample.bars(interval) if rule.in_sample else None
    purge = rule.purge.bars(interval)
    if in_sample is None or out_of_sample is None or step is None or purge is None:
        raise ValueError("a walk forward with violations has no lengths")
    return Lengths(in_sample, out_of_sample, step, purge)


def windows_of(rule: WalkForward, interval: Interval, span: Span) -> tuple[Window, ...]:
    """Return the windows of a rule over a span of bars, with a matrix those of cell after cell.

    Raises:
        AssayError: FAILED_PRECONDITION/WINDOW_TOO_SHORT, none fits (into a cell);
            INVALID_ARGUMENT/FIELD_INVALID, too many do.
    """
    start = first_open_ms(interval, span.start_ms)
    available = interval.bars_between(start, first_open_ms(interval, span.end_ms))
    cells = [lengths_of(cell, interval) for cell in rule.cells]
    counts = [lengths.window_count(available) for lengths in cells]
    if 0 in counts:
        cell = counts.index(0)
        raise _too_short(cells[cell], available, None if rule.matrix is None else cell)
    if sum(counts) > MOST_WINDOWS:
        told = f"makes {sum(counts):,} windows, at most {MOST_WINDOWS} are allowed"
        field = "step" if rule.matrix is None else "matrix"
        refuse([Violation(f"spec.walk_forward.{field}", told)])
    windows = []
    for cell, (lengths, count) in enumerate(zip(cells, counts, strict=True)):
        for number in range(count):
            first = number * lengths.step
            end = first + lengths.in_sample
            out = end + lengths.purge
            bounds = (0 if rule.anchored else first, end, out, out + lengths.out_of_sample)
            begin_ms, end_ms, out_ms, last_ms = (_open_ms(interval, start, at) for at in bounds)
            windows.append(
                Window(
                    Span(begin_ms, end_ms),
                    Span(out_ms, last_ms),
                    None if rule.matrix is None else cell,
                )
            )
    return tuple(windows)


def _too_short(lengths: Lengths, available: int, cell: int | None) -> AssayError:
    where = ""
    metadata = {
        "needed_bar_count": str(lengths.needed),
        "available_bar_count": str(available),
    }
    if cell is not None:
        where = f" in cell {cell} ({lengths.in_sample:,} bars in sample, step {lengths.step:,})"
        metadata["cell_number"] = str(cell)
    return AssayError(
        Code.FAILED_PRECONDITION,
        "WINDOW_TOO_SHORT",
        f"one window of the walk forward{where} needs {lengths.needed:,} bars, but there are "
        f"{available:,}",
        metadata=metadata,
    )


def first_open_ms(interval: Interval, time_ms: int) -> int:
    """Return the first time from this one on at which a bar may open."""
    if interval is Interval.MONTH_1:
        midnight = -(-time_ms // DAY_MS) * DAY_MS
        while not interval.is_aligned(midnight):
            midnight += DAY_MS
        return midnight
    # A day is where the epoch's weeks begin, or a whole number of shorter bars.
    phase = next(day * DAY_MS for day in range(7) if interval.is_aligned(day * DAY_MS))
    return phase - (phase - time_ms) // interval.length_ms * interval.length_ms


def _open_ms(interval: Interval, start_ms: int, bar_count: int) -> int:
    """Return when the bar opens that lies so many bars behind one."""
    if interval is not Interval.MONTH_1:
        return start_ms + bar_count * interval.length_ms
    time_ms = start_ms
    for _ in range(bar_count):
        time_ms = interval.next_open_ms(time_ms)
    return time_ms
