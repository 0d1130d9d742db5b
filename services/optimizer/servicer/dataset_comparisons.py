"""What a study is compared with: buy-and-hold and the ledger, on each of its datasets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from assay.backtest.v1 import metrics_pb2
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.data_aggregation import spec_of_dataset
from services.optimizer.convert.report_parts import ledger_message
from services.optimizer.convert.reports import buy_and_hold_request
from services.optimizer.core.records import LedgerEntry, LedgerKey, StudyRecord
from services.optimizer.servicer.collaborators import Collaborators

_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Comparisons:
    """What a study is compared with, by dataset in the order of its spec.

    Attributes:
        buy_and_hold: Buy-and-hold on each.
        ledgers: All that was ever tried on each with its strategy.
    """

    buy_and_hold: tuple[metrics_pb2.Metrics, ...]
    ledgers: tuple[LedgerEntry, ...]

    def put_into(self, report: study_pb2.StudyReport) -> None:
        """Write the comparisons of a study over several data into its report."""
        if len(self.ledgers) > 1:
            report.ClearField("buy_and_hold")
            report.ClearField("ledger")
            report.dataset_buy_and_hold.extend(self.buy_and_hold)
            report.dataset_ledger.extend(map(ledger_message, self.ledgers))


async def comparisons(
    collaborators: Collaborators, record: StudyRecord, spec: study_pb2.StudySpec
) -> Comparisons:
    """Return what a stored study is compared with.

    Raises:
        AssayError: workers or data are away, or the data are no longer those of the study.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def held(place: int) -> metrics_pb2.Metrics:
        async with places:
            request = buy_and_hold_request(spec_of_dataset(spec, place))
            return (await collaborators.backtests.run(request)).metrics

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(held(place)) for place in range(len(spec.data))]
    except ExceptionGroup as failed:
        # One refusal is enough: without its comparison there is no report.
        raise failed.exceptions[0] from failed
    ledgers = {}
    for dataset in dict.fromkeys(one.dataset for one in spec.data):
        key = LedgerKey(dataset, record.ledger_key.strategy)
        entries = await collaborators.store.ledger(1, 0, key.dataset, key.strategy)
        ledgers[dataset] = entries[0] if entries else LedgerEntry(key)
    return Comparisons(
        tuple(task.result() for task in tasks), tuple(ledgers[one.dataset] for one in spec.data)
    )
