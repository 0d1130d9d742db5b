"""Signals as the worker computes them: planned, made of rows, compared into planes of bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.backtest.core.evaluation.workbench import Workbench, workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.expression.program import Program
from services.backtest.core.frame import Frame
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import Column, Value, WordColumn
from services.backtest.core.sets.chunks import ChunkMaker
from services.backtest.core.sets.comparing import Comparing
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.sets.planning import SetPlan
from services.backtest.core.strategies import Strategy
from services.backtest.core.strategies.definition import Definition

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Planned:
    """The signals of one set: by name one flag per bar of the window, and the first decision."""

    program: Program
    first: int
    signals: Mapping[str, Flags]


def strategy_of(**texts: Any) -> Strategy:
    """Compile a definition of the texts given."""
    return Strategy.compiled(Definition(**texts), INDICATORS)


def sets_of(values: Sequence[Mapping[str, Value]]) -> ParameterSets:
    """Turn sets, all of the same parameters, into columns."""
    columns: dict[str, Column] = {}
    for name in values[0]:
        column = [one[name] for one in values]
        if isinstance(column[0], str):
            words = tuple(sorted({str(one) for one in column}))
            indexes = np.array([words.index(str(one)) for one in column], np.int64)
            columns[name] = WordColumn(words, indexes)
        else:
            columns[name] = np.array(column)
    return ParameterSets(len(values), columns)


def planes_of(
    frame: Frame,
    strategy: Strategy,
    values: Sequence[Mapping[str, Value]],
    direction: Direction = Direction.BOTH,
    bench: Workbench | None = None,
) -> tuple[dict[int, Planned], dict[int, Exception]]:
    """Return the signals of every set that can be run, and why the others cannot, by number."""
    bench = bench or workbench_of(frame)
    plan = SetPlan(strategy, direction, sets_of(values), Execution())
    comparing = Comparing(bench)
    found: dict[int, Planned] = {}
    failures: dict[int, Exception] = {}
    for group in plan.groups():
        maker = ChunkMaker(bench, group, plan.combiner, Execution())
        for chunk in maker.chunks():
            planes = comparing.planes(maker.code, chunk)
            bits = np.unpackbits(planes.view(np.uint8), axis=-1, bitorder="little")
            flags = bits[:, :, : frame.bar_count].astype(np.bool_)
            for place, number in enumerate(chunk.sets.tolist()):
                outputs = zip(group.signals, maker.code.outputs, strict=True)
                signals = {name: flags[one, place] for name, one in outputs}
                found[number] = Planned(group.program, int(chunk.firsts[place]), signals)
        failures |= maker.failures
    return found, failures | plan.failures
