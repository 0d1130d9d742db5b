"""One parameter set, planned like a batch of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.backtest.core.evaluation.timeline import IntervalUnusable
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.expression.program import Program
from services.backtest.core.parameters import Column, Value, WordColumn
from services.backtest.core.planes.plane_code import PlaneCode
from services.backtest.core.sets.chunks import Chunk, ChunkMaker
from services.backtest.core.sets.history import required_lookback
from services.backtest.core.sets.parameter_sets import InvalidSet, ParameterSets
from services.backtest.core.sets.planning import SetPlan
from services.backtest.core.sets.refusals import (
    LookbackTooShort,
    TooCostly,
    WindowTooShort,
    unusable,
)
from services.backtest.core.strategies.strategy import Strategy
from services.common.errors import AssayError, Code, Violation, fields_invalid
from services.common.intervals import Interval


@dataclass(frozen=True, slots=True, eq=False)
class OneSet:
    """A set that can be run.

    Attributes:
        program: The strategy's, its choices made.
        signals: Places of the signals that count, by name.
        code: What gives them.
        chunk: The set alone.
    """

    program: Program
    signals: Mapping[str, int]
    code: PlaneCode
    chunk: Chunk


def one_set(
    bench: Workbench,
    strategy: Strategy,
    direction: Direction,
    values: Mapping[str, Value],
    execution: Execution,
) -> OneSet:
    """Plan a set; parameters not in `values` take their defaults.

    Raises:
        AssayError: As `single.run`.
    """
    plan = SetPlan(strategy, direction, as_sets(values), execution)
    group = next(plan.groups(), None)
    if group is None or not len(group.sets):
        raise _refusal(plan.failures)
    maker = ChunkMaker(bench, group, plan.combiner, execution)
    try:
        chunk = next(maker.chunks(), None)
    except IntervalUnusable as error:
        raise unusable(error) from error
    if chunk is None:
        raise _refusal(maker.failures)
    return OneSet(group.program, group.signals, maker.code, chunk)


def lookback(
    strategy: Strategy,
    direction: Direction,
    values: Mapping[str, Value],
    execution: Execution,
    interval: Interval,
) -> int:
    """Return the bars of `interval` before the window that a set needs.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID where the strategy asks for bars that those of
            `interval` do not make up.
    """
    return required_lookback(strategy, direction, as_sets(values), execution, interval)


def as_sets(values: Mapping[str, Value]) -> ParameterSets:
    """Return one set as columns of one value."""
    columns: dict[str, Column] = {}
    for name, value in values.items():
        if isinstance(value, str):
            columns[name] = WordColumn((value,), np.zeros(1, np.int64))
        elif isinstance(value, int):
            columns[name] = np.array([value], np.int64)
        else:
            columns[name] = np.array([value], np.float64)
    return ParameterSets(1, columns)


def _refusal(failures: Mapping[int, Exception]) -> Exception:
    """Return what a caller hears of the only set."""
    error = failures[0]
    if isinstance(error, InvalidSet):
        return fields_invalid(
            [Violation(f"parameters.{name}", problem) for name, problem in error.problems]
        )
    if isinstance(error, LookbackTooShort):
        return fields_invalid([Violation("snapshot.lookback_bar_count", str(error))])
    if isinstance(error, TooCostly):
        return fields_invalid([Violation("strategy.definition", str(error))])
    if isinstance(error, WindowTooShort):
        counts = {
            "needed_bar_count": str(error.needed),
            "available_bar_count": str(error.available),
        }
        return AssayError(Code.FAILED_PRECONDITION, "WINDOW_TOO_SHORT", str(error), metadata=counts)
    return error
