"""What a report says of a walk forward: its walk or its matrix, and how likely that is luck."""

from __future__ import annotations

import asyncio

from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.walk_forward import interval_of
from services.optimizer.convert.walk_forward_matrix_report import matrix_message, summary_of_cells
from services.optimizer.convert.walk_forward_report import (
    CellWalk,
    cell_walks,
    walk_forward_message,
)
from services.optimizer.convert.walk_luck import walk_luck, walk_luck_message
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import LedgerEntry, StudyRecord
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.walk_forward.matrix_summary import MatrixSummary
from services.optimizer.servicer.collaborators import Collaborators
from services.optimizer.servicer.trial_numbers import Numbers, TrialNumbers
from services.optimizer.servicer.window_trials import TrialsOfWindows


class WalkReports:
    """Makes the parts of reports that only studies that walk forward have."""

    def __init__(self, collaborators: Collaborators, numbers: TrialNumbers) -> None:
        self._out_of_sample = collaborators.out_of_sample
        self._numbers = numbers
        self._trials = TrialsOfWindows(collaborators.backtests)
        self._bootstrap = collaborators.bootstrap

    async def of(
        self,
        record: StudyRecord,
        plan: StudyPlan,
        table: TrialTable,
        best: Numbers,
        ledger: LedgerEntry,
        *,
        luck: bool,
    ) -> study_pb2.StudyReport:
        """Return a report with these parts alone; runs what has not been run lately.

        Args:
            record: The study.
            plan: Its plan.
            table: All its trials.
            best: The numbers of the windows' winners.
            ledger: All that was ever tried on the same dataset with the same strategy.
            luck: Whether luck is wanted.

        Raises:
            AssayError: workers or data are away, or the data are no longer those of the study.
        """
        spec = study_pb2.StudySpec.FromString(record.spec)
        winners = await self._numbers.trials(record.study_id, best)
        runs = await self._out_of_sample.of(spec, winners)
        walks = await asyncio.to_thread(cell_walks, spec, plan, winners, runs)
        report, summary = study_pb2.StudyReport(), None
        interval = interval_of(spec.data[0])
        if spec.walk_forward.HasField("matrix") and interval is not None:
            summary = await asyncio.to_thread(summary_of_cells, walks, interval)
            told = await asyncio.to_thread(
                matrix_message, record.study_id, plan, table, walks, summary
            )
            report.walk_forward_matrix.CopyFrom(told)
        else:
            one = await asyncio.to_thread(
                walk_forward_message, record.study_id, plan, table, walks[0]
            )
            report.walk_forward.CopyFrom(one)
        judged = judged_walk(walks, summary)
        if luck and judged is not None:
            windows = await self._trials.of(record, plan, table, judged)
            plateau = None if summary is None else summary.plateau
            found = await asyncio.to_thread(
                walk_luck, plan, judged, windows, ledger, self._bootstrap, plateau=plateau
            )
            report.luck.CopyFrom(walk_luck_message(found))
        return report


def judged_walk(walks: list[CellWalk], summary: MatrixSummary | None) -> CellWalk | None:
    """Return the walk that luck is told of; None where no window has a winner.

    The only one, or the cell with the best Sharpe ratio; where none has one, the first cell with a
    winner.
    """
    best = None if summary is None else summary.by_sharpe.best_cell_number
    if best is not None:
        return walks[best]
    return next((walk for walk in walks if walk.curve is not None), None)
