"""What only workers can tell of the trials of windows: they are run again, in sample."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.luck import moments_of
from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.convert.walk_forward_report import CellWalk
from services.optimizer.core.analysis.luck.choosing import complete_numbers, covering
from services.optimizer.core.analysis.luck.overfitting import overfitting
from services.optimizer.core.analysis.luck.returns import joined
from services.optimizer.core.analysis.luck.walk import WindowTrials
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.walk_forward.evidence import WindowEvidence
from services.optimizer.servicer.collaborators import Backtests
from services.optimizer.servicer.luck_evidence import points_of

CAPACITY: Final = 16
"""Walks remembered: a few numbers for each window."""

_SETS_AT_ONCE: Final = 250
"""Sets of a call. Fixed, so that sums over calls have the same bits whoever answers."""

_CALLS_AT_ONCE: Final = 4

_CHEAP: Final = ("trade_count",)

Windows = tuple[WindowTrials, ...]


class TrialsOfWindows:
    """Cross-validates the trials of a walk, window by window; runs what it has not yet seen."""

    def __init__(self, backtests: Backtests, capacity: int = CAPACITY) -> None:
        self._backtests = backtests
        self._capacity = capacity
        self._held: OrderedDict[tuple[str, int, int, int], Windows] = OrderedDict()
        self._places = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def of(
        self, record: StudyRecord, plan: StudyPlan, table: TrialTable, walk: CellWalk
    ) -> Windows:
        """Return what the trials of each window with a winner say, by rising window.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        # A deleted study's namesake has another time of creation.
        key = (record.study_id, record.create_time_ms, len(table), walk.number)
        if key not in self._held:
            spec = study_pb2.StudySpec.FromString(record.spec)
            self._held[key] = await self._found(spec, plan, table, walk)
        self._held.move_to_end(key)
        found = self._held[key]
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return found

    async def _found(
        self, spec: study_pb2.StudySpec, plan: StudyPlan, table: TrialTable, walk: CellWalk
    ) -> Windows:
        won = [one for one in walk.evidence if one.winner is not None]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._window(spec, plan, table, one, len(won))) for one in won
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return tuple(task.result() for task in tasks)

    async def _window(
        self,
        spec: study_pb2.StudySpec,
        plan: StudyPlan,
        table: TrialTable,
        one: WindowEvidence,
        window_count: int,
    ) -> WindowTrials:
        interval = interval_of(spec.data[0])
        if interval is None or one.winner is None:
            raise ValueError("only windows with a winner, over candles, have trials to look at")
        span = one.window.in_sample
        own = slice(one.number, None, plan.window_count)
        numbers = await asyncio.to_thread(complete_numbers, table, own)
        bars = interval.bars_between(span.start_ms, span.end_ms)
        chosen = covering(numbers, one.winner.number, bars, window_count)
        answers = await self._answers(spec, plan, table, chosen, one.number)
        moments = joined([moments_of(answer) for answer in answers])
        return WindowTrials(
            window_number=one.number,
            trial_count=moments.sums.shape[0],
            complete_count=len(numbers),
            block_count=moments.sums.shape[1],
            block_day_count=moments.block_day_count,
            correlation=moments.correlation,
            overfitting=await asyncio.to_thread(overfitting, moments),
        )

    async def _answers(
        self,
        spec: study_pb2.StudySpec,
        plan: StudyPlan,
        table: TrialTable,
        numbers: npt.NDArray[np.int64],
        window: int,
    ) -> Sequence[backtest_service_pb2.RunBacktestBatchResponse]:
        """Run trials over the in-sample span of their window, in calls of fixed sizes."""

        async def call(
            part: npt.NDArray[np.int64],
        ) -> backtest_service_pb2.RunBacktestBatchResponse:
            async with self._places:
                return await self._backtests.run_points(
                    spec,
                    points_of(plan, table, part),
                    _CHEAP,
                    returns=backtest_service_pb2.ReturnStatisticsRequest(),
                    window_number=window,
                )

        starts = range(0, len(numbers), _SETS_AT_ONCE)
        return await asyncio.gather(
            *(call(numbers[start : start + _SETS_AT_ONCE]) for start in starts)
        )
