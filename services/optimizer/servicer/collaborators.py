"""Who does the work behind the RPCs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from assay.backtest.v1 import backtest_service_pb2, stress_pb2
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.out_of_sample_runs import OutOfSampleRuns
from services.optimizer.convert.reports import Importances
from services.optimizer.core.analysis.best_history import Hypervolume
from services.optimizer.core.analysis.luck.resampling import Bootstrap
from services.optimizer.core.analysis.trial_export import ExportFormat, ExportLayout, TrialExport
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.supervisor import Supervisor
from services.optimizer.core.trial import Point

EngagePermuted: TypeAlias = Callable[[StudyRecord, int], Awaitable[Engagement]]
"""Makes plan, search and workers of a study, on bars in the order of a seed."""

Export: TypeAlias = Callable[[ExportFormat, ExportLayout], TrialExport]
"""Begins a file of trials."""


class Backtests(Protocol):
    """The workers outside a study's loop."""

    async def catalog(self) -> backtest_service_pb2.ListStrategiesResponse:
        """Return all strategies, with the execution model's parameters."""

    async def run_batch(
        self, request: backtest_service_pb2.RunBacktestBatchRequest
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        """Run a few sets."""

    async def run(
        self, request: backtest_service_pb2.RunBacktestRequest
    ) -> backtest_service_pb2.RunBacktestResponse:
        """Run one set."""

    async def run_points(
        self,
        spec: study_pb2.StudySpec,
        points: Sequence[Point],
        metrics: Sequence[str],
        *,
        returns: backtest_service_pb2.ReturnStatisticsRequest | None = None,
        window_number: int | None = None,
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        """Run points of a stored study, for these metrics; told too is what is asked of returns.

        Over the in-sample span of a window where one is given.
        """

    async def stress(
        self, request: stress_pb2.RunStressTestRequest
    ) -> stress_pb2.RunStressTestResponse:
        """Put one set under stress."""

    async def code_version(self) -> str:
        """Return the version of the workers' code."""


@dataclass(frozen=True, slots=True)
class Collaborators:
    """Who does the work.

    Attributes:
        store: Studies, trials and events.
        supervisor: Runs the studies.
        backtests: The workers.
        importances: Judges parameters by finished trials, one entry per objective; blocks.
        hypervolume: Measures what a front dominates; blocks.
        bootstrap: Draws daily returns again; blocks.
        export: Makes files of trials.
        out_of_sample: Runs the winners of a walk forward.
        engage_permuted: Makes what searches a study again, on bars in the order of a seed.
        clock: Time.
        draw_seed: Draws a seed for a study that gives none.
        make_study_id: Makes an id for a study that chooses none.
        trial_limit: Most trials of a study.
        caller_limit: Most unfinished studies of a caller; None: any number.
        standing: What this process is doing, but for what the store says.
    """

    store: StudyStore
    supervisor: Supervisor
    backtests: Backtests
    importances: Importances
    hypervolume: Hypervolume
    bootstrap: Bootstrap
    export: Export
    out_of_sample: OutOfSampleRuns
    engage_permuted: EngagePermuted
    clock: Clock
    draw_seed: Callable[[], int]
    make_study_id: Callable[[], str]
    trial_limit: int
    caller_limit: int | None
    standing: Callable[[], pb.GetReplicaStatusResponse]
