"""Many parameter sets on one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.backtest.core.engine import NO_LEVELS
from services.backtest.core.evaluation.timeline import IntervalUnusable
from services.backtest.core.evaluation.workbench import Workbench, workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Bytes, Numbers
from services.backtest.core.measures.return_sums import ReturnAdder, ReturnSums, WantedReturns
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.backtest.core.plugins.calls import PlugInFailed
from services.backtest.core.sets.chunks import Chunk, ChunkMaker
from services.backtest.core.sets.parameter_sets import InvalidSet, ParameterSets
from services.backtest.core.sets.planning import SetGroup, SetPlan
from services.backtest.core.sets.refusals import (
    LookbackTooShort,
    TooCostly,
    WindowTooShort,
    unusable,
)
from services.backtest.core.sets.runs import Runner
from services.backtest.core.strategies.strategy import Strategy


class Cancelled(Exception):  # noqa: N818 - says what happened
    """The batch was cancelled."""


@dataclass(frozen=True, slots=True)
class SetFailure:
    """A set that could not be run.

    Attributes:
        index: Its place in the batch.
        reason: As in ErrorReason without the prefix.
        message: What happened, for people.
        metadata: The reason's particulars.
    """

    index: int
    reason: str
    message: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """Metrics of many sets.

    Attributes:
        values: By metric one number per set, shape (sets,); NaN where undefined.
        reasons: By metric why, shape (sets,), numbers of UndefinedReason; 0 where defined.
        failures: The sets that could not be run, by rising index.
        returns: Sums over daily returns, where wanted.
    """

    values: dict[str, Numbers]
    reasons: dict[str, Bytes]
    failures: tuple[SetFailure, ...]
    returns: ReturnSums | None = None


def evaluate(
    frame: Frame,
    strategy: Strategy,
    direction: Direction,
    sets: ParameterSets,
    execution: Execution,
    metrics: Sequence[str],
    cancelled: Callable[[], bool],
    wanted: WantedReturns | None = None,
) -> BatchResult:
    """Run every set and return the metrics asked for, names of METRIC_NAMES.

    With `wanted` the sums over daily returns too.

    A set that cannot be run is a failure and leaves its neighbours unharmed. `cancelled` is asked
    before every few hundred sets.

    Raises:
        Cancelled: `cancelled` said so.
        AssayError: INVALID_ARGUMENT/FIELD_INVALID where the strategy asks for bars that the frame's
            do not make up.
    """
    batch = _Batch(workbench_of(frame), strategy, direction, sets, execution, metrics, wanted)
    try:
        for group in batch.plan.groups():
            batch.run(group, cancelled)
    except IntervalUnusable as error:
        raise unusable(error) from error
    return batch.result()


class _Batch:
    """The sets of a batch and what has come of them so far."""

    def __init__(
        self,
        bench: Workbench,
        strategy: Strategy,
        direction: Direction,
        sets: ParameterSets,
        execution: Execution,
        metrics: Sequence[str],
        wanted: WantedReturns | None,
    ) -> None:
        self.plan = SetPlan(strategy, direction, sets, execution)
        self._bench = bench
        self._metrics = metrics
        self._execution = execution
        summed = wanted is not None
        self._runner = Runner(bench, strategy, direction, execution, metrics, daily=summed)
        self._returns = None
        if wanted is not None:
            levels = len(bench.market.span.midnights)
            self._returns = ReturnAdder(sets.count, levels, wanted)
        self._values = np.full((sets.count, len(METRIC_NAMES)), np.nan)
        self._reasons = np.zeros((sets.count, len(METRIC_NAMES)), np.uint8)
        self._failures: dict[int, Exception] = self.plan.failures

    def run(self, group: SetGroup, cancelled: Callable[[], bool]) -> None:
        """Run the sets of a group, chunk by chunk."""
        maker = ChunkMaker(self._bench, group, self.plan.combiner, self._execution)
        for chunk in maker.chunks():
            step = self._runner.comparing.sets_at_once(maker.code, group.signals, chunk)
            for begin in range(0, len(chunk.sets), step):
                if cancelled():
                    raise Cancelled
                self._run(maker, group, chunk.part(begin, begin + step))
        for number, failure in maker.failures.items():
            self._failures.setdefault(number, failure)

    def _run(self, maker: ChunkMaker, group: SetGroup, chunk: Chunk) -> None:
        columns = {name: column[chunk.sets] for name, column in self.plan.execution_columns.items()}
        levels = self._returns.room(len(chunk.sets)) if self._returns else NO_LEVELS
        values, reasons, finite = self._runner.run(
            maker.code, group.signals, chunk, columns, levels
        )
        own: Any = chunk.sets
        if own[-1] - own[0] + 1 == len(own):
            # Neighbours, as most sets are, are written in one piece.
            own = slice(own[0], own[-1] + 1)
        self._values[own] = values
        self._reasons[own] = reasons
        if self._returns is not None:
            self._returns.add(own, levels, finite)
        for number in chunk.sets[finite == 0].tolist():
            error = ArithmeticError("equity outgrew what a double can hold")
            self._failures.setdefault(number, error)

    def result(self) -> BatchResult:
        """Return what has come of all sets."""
        failed = list(self._failures)
        self._values[failed] = np.nan
        self._reasons[failed] = UndefinedReason.SET_FAILED
        places = {name: METRIC_NAMES.index(name) for name in self._metrics}
        failures = sorted(self._failures.items(), key=lambda item: item[0])
        return BatchResult(
            values={name: self._values[:, place].copy() for name, place in places.items()},
            reasons={name: self._reasons[:, place].copy() for name, place in places.items()},
            failures=tuple(_failure(index, error) for index, error in failures),
            returns=None if self._returns is None else self._returns.result(),
        )


def _failure(index: int, error: Exception) -> SetFailure:
    if isinstance(error, WindowTooShort):
        counts = {
            "needed_bar_count": str(error.needed),
            "available_bar_count": str(error.available),
        }
        return SetFailure(index, "WINDOW_TOO_SHORT", str(error), counts)
    if isinstance(error, (InvalidSet, LookbackTooShort, TooCostly)):
        return SetFailure(index, "FIELD_INVALID", str(error), {})
    told = f"the set could not be computed: {type(error).__name__}"
    if isinstance(error, PlugInFailed):
        told = f"the set could not be computed: {error}"
    return SetFailure(index, "SET_FAILED", told, {})
