"""Whether signals change when later bars are taken away: they must not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.backtest.core.evaluation.rows import Rows, Scope
from services.backtest.core.evaluation.workbench import workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.expression.program import Program
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Numbers
from services.backtest.core.parameters import Value
from services.backtest.core.sets.one_set import one_set
from services.backtest.core.strategies.strategy import Strategy

MOST_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that changes when later bars are taken away.

    Attributes:
        signal: A signal or distance of the definition, for example "enter_long".
        bar_time_ms: Open time of the bar at whose close it is taken.
        cut_time_ms: Open time of the last bar of the shorter frame.
        whole: Its value on the whole frame, 1 or 0 for a condition; None: undefined.
        cut: Its value on the shorter frame.
    """

    signal: str
    bar_time_ms: int
    cut_time_ms: int
    whole: float | None
    cut: float | None


@dataclass(frozen=True, slots=True)
class LookAheadResult:
    """What a check found.

    Attributes:
        differences: The first of the differences, by rising bar.
        total: How many there are.
        cut_count: Shorter frames tried.
    """

    differences: tuple[Difference, ...]
    total: int
    cut_count: int


def check(
    frame: Frame,
    strategy: Strategy,
    direction: Direction,
    values: Mapping[str, Value],
    cut_count: int,
) -> LookAheadResult:
    """Compute the signals and distances again on frames that end earlier.

    The frames end at `cut_count` closes spread evenly over the window, or at all there are.

    Raises:
        AssayError: As `single.run`.
    """
    chosen = one_set(workbench_of(frame), strategy, direction, values, Execution())
    defaults = {info.name: info.default for info in strategy.parameters}
    complete: dict[str, Value] = {
        name: value for name, value in {**defaults, **values}.items() if value is not None
    }
    program = chosen.program
    places = {**program.signals, **program.distances}
    whole = _columns(frame, program, complete, places)
    cuts = np.unique(np.linspace(1, frame.bar_count, cut_count + 1)[:-1].astype(np.int64))
    found: list[Difference] = []
    total = 0
    for cut in cuts.tolist():
        shorter = replace(frame, candles=frame.candles.slice(0, frame.window_start + cut))
        for name, column in _columns(shorter, program, complete, places).items():
            bars = np.flatnonzero(~_same(column, whole[name][:cut]))
            total += len(bars)
            found += [
                _difference(frame, (name, bar, cut), whole[name], column)
                for bar in bars[:MOST_DIFFERENCES].tolist()
            ]
        found.sort(key=lambda one: (one.bar_time_ms, one.cut_time_ms, one.signal))
        del found[MOST_DIFFERENCES:]
    return LookAheadResult(tuple(found), total, len(cuts))


def _columns(
    frame: Frame, program: Program, values: Mapping[str, Value], places: Mapping[str, int]
) -> dict[str, Numbers]:
    """Return every value asked for over the window of a frame."""
    rows = Rows(frame)
    found = {}
    for name, place in places.items():
        found[name] = np.empty(frame.bar_count)
        rows.row(Scope(program, values), place, 0).fill(frame.window_start, found[name])
    return found


def _same(values: Numbers, others: Numbers) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = (values == others) | (np.isnan(values) & np.isnan(others))
    return same


def _difference(
    frame: Frame, at: tuple[str, int, int], whole: Numbers, shorter: Numbers
) -> Difference:
    name, bar, cut = at
    times = frame.candles.open_time_ms[frame.window_start :]
    return Difference(
        signal=name,
        bar_time_ms=int(times[bar]),
        cut_time_ms=int(times[cut - 1]),
        whole=_told(float(whole[bar])),
        cut=_told(float(shorter[bar])),
    )


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value
