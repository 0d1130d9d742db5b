"""What is put under stress: one parameter set, and its run on some market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from services.backtest.core.engine import Recorded
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.kernel import Numbers
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.planes.crossings import Words
from services.backtest.core.planes.plane_code import PlaneCode
from services.backtest.core.sets.chunks import Chunk
from services.backtest.core.sets.comparing import Comparing
from services.backtest.core.sets.one_set import one_set
from services.backtest.core.sets.runs import Runner
from services.backtest.core.strategies.strategy import Strategy

_WORD = 64
"""Bars of a word of a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A parameter set that can be run.

    Attributes:
        strategy: The strategy.
        direction: Sides allowed.
        values: Its parameters; those missing take their defaults.
        execution: How decisions become fills.
    """

    strategy: Strategy
    direction: Direction
    values: Mapping[str, Value]
    execution: Execution


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A run.

    Attributes:
        metrics: By name the metrics that have a value.
        reasons: By name why the others have none, numbers of UndefinedReason.
        recorded: All the engine has written down.
        first: Bar at whose close the first decision could be taken.
    """

    metrics: Mapping[str, float]
    reasons: Mapping[str, int]
    recorded: Recorded
    first: int


def measured(bench: Workbench, subject: Subject, delay_bars: int = 0) -> Measured | None:
    """Run a subject on a market, its decisions late by some bars.

    A decision with everything taken along with it, such as the distance of its stop, acts as if it
    had been taken so many bars later. None where the delay leaves no bar for a decision and a fill.

    Raises:
        AssayError: As `single.run`.
        PlugInFailed: A plug-in failed.
        ArithmeticError: Equity outgrew what a double can hold.
    """
    own = subject.strategy, subject.direction
    chosen = one_set(bench, *own, subject.values, subject.execution)
    runner = Runner(bench, *own, subject.execution, METRIC_NAMES)
    chunk = chosen.chunk
    if delay_bars:
        chunk = _late(chunk, delay_bars)
        if int(chunk.firsts[0]) + 2 > bench.bar_count:
            return None
        runner.comparing = _LateComparing(bench, delay_bars)
    recorded = runner.record(chosen.code, chosen.signals, chunk)
    if not recorded.finite:
        raise ArithmeticError("equity outgrew what a double can hold")
    named = list(
        zip(METRIC_NAMES, recorded.values.tolist(), recorded.reasons.tolist(), strict=True)
    )
    return Measured(
        metrics={name: value for name, value, reason in named if not reason},
        reasons={name: reason for name, _, reason in named if reason},
        recorded=recorded,
        first=int(chunk.firsts[0]),
    )


class _LateComparing(Comparing):
    """Compares rows as always, and moves what comes of it to later bars."""

    def __init__(self, bench: Workbench, delay_bars: int) -> None:
        super().__init__(bench)
        self._bar_count = bench.bar_count
        self._delay = delay_bars

    def planes(
        self,
        code: PlaneCode,
        chunk: Chunk,
        *,
        turns: tuple[int, int] | None = None,  # noqa: ARG002 - planes of turns leave bars out
    ) -> Words:
        """Return the planes of a chunk whose first decisions are late already."""
        timely = replace(chunk, firsts=chunk.firsts - self._delay)
        return later(super().planes(code, timely), self._delay, self._bar_count)


def _late(chunk: Chunk, bars: int) -> Chunk:
    """Return a chunk whose first decision and lines are late; its planes are not touched."""
    rows = chunk.lines.rows
    moved: Numbers = np.full_like(rows, np.nan)
    if rows.size:
        moved[:, bars:] = rows[:, :-bars]
    return replace(chunk, firsts=chunk.firsts + bars, lines=chunk.lines._replace(rows=moved))


def later(planes: Words, bars: int, bar_count: int) -> Words:
    """Return planes of bits, shape (..., words), moved to so many bars later, cut at the last."""
    words = planes.shape[-1]
    whole, part = divmod(bars, _WORD)
    moved = np.zeros_like(planes)
    if whole < words:
        moved[..., whole:] = planes[..., : words - whole] << np.uint64(part)
        if part:
            moved[..., whole + 1 :] |= planes[..., : words - whole - 1] >> np.uint64(_WORD - part)
    full, rest = divmod(bar_count, _WORD)
    if full < words:
        moved[..., full] &= np.uint64((1 << rest) - 1)
        moved[..., full + 1 :] = 0
    return moved
