"""The ledger of everything ever tried: counted with each append, summed up when it is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters.store.study_tables import LEDGER
from services.optimizer.core.analysis.luck.sharpe import daily_sharpe
from services.optimizer.core.records import LedgerEntry, LedgerKey
from services.optimizer.core.trial import Trial, TrialState

SHARPE_METRIC: Final = "sharpe_ratio"
"""The metric whose values per day are summed up."""


def counted(row: Any, trials: Iterable[Trial], places: Sequence[int] = ()) -> dict[str, Any]:
    """Return a study's counters with these trials added, one after the other.

    Trial by trial, so that the sums do not depend on how many trials are stored together.

    Args:
        row: The counters so far.
        trials: Finished trials.
        places: Places of the dataset among those of the trials; empty where there is only one.
    """
    trial_count, evaluated = row.ledger_trial_count, row.evaluated_trial_count
    sharpe_count, total, squares = row.sharpe_trial_count, row.sharpe_sum, row.sharpe_square_sum
    for trial in trials:
        trial_count += 1
        if trial.reused_trial_number is not None:
            continue
        evaluated += 1
        for sharpe in _sharpe_ratios(trial, places):
            sharpe_count += 1
            daily = daily_sharpe(sharpe)
            total += daily
            squares += daily * daily
    return {
        "trial_count": trial_count,
        "evaluated_trial_count": evaluated,
        "sharpe_trial_count": sharpe_count,
        "sharpe_sum": total,
        "sharpe_square_sum": squares,
    }


def _sharpe_ratios(trial: Trial, places: Sequence[int]) -> list[float]:
    """Return the Sharpe ratios of a trial on one dataset, as far as they are defined."""
    outcome = trial.outcome
    if places:
        runs = [outcome.dataset_results[place] for place in places]
        found = [one.metrics.get(SHARPE_METRIC) for one in runs if not one.failure_reason]
    else:
        complete = trial.state is TrialState.COMPLETE
        found = [outcome.metrics.get(SHARPE_METRIC)] if complete else []
    return [value for value in found if value is not None]


def new_row(ledger_id: str, key: LedgerKey) -> dict[str, Any]:
    """Return the row of a study without trials."""
    return {
        "ledger_id": ledger_id,
        "dataset": key.dataset,
        "strategy": key.strategy,
        "trial_count": 0,
        "evaluated_trial_count": 0,
        "sharpe_trial_count": 0,
        "sharpe_sum": 0.0,
        "sharpe_square_sum": 0.0,
    }


def read_ledger(
    connection: sa.Connection, limit: int, offset: int, dataset: str, strategy: str
) -> list[LedgerEntry]:
    """Return entries by dataset and strategy; only those given, where not empty.

    Studies without a trial have tried nothing; those older than the ledger have no key.
    """
    wanted = [LEDGER.c.trial_count > 0, LEDGER.c.dataset != ""]
    if dataset:
        wanted.append(LEDGER.c.dataset == dataset)
    if strategy:
        wanted.append(LEDGER.c.strategy == strategy)
    # By code points on every database, whatever its language.
    order = [
        _by_code_points(connection, column) for column in (LEDGER.c.dataset, LEDGER.c.strategy)
    ]
    keys = (
        sa.select(LEDGER.c.dataset, LEDGER.c.strategy)
        .where(*wanted)
        .group_by(LEDGER.c.dataset, LEDGER.c.strategy)
        .order_by(*order)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    rows = connection.execute(
        sa.select(LEDGER)
        .where(*wanted)
        .join(
            keys, sa.and_(keys.c.dataset == LEDGER.c.dataset, keys.c.strategy == LEDGER.c.strategy)
        )
        .order_by(*order)
    )
    grouped = groupby(rows, lambda row: LedgerKey(row.dataset, row.strategy))
    return [_entry(key, list(studies)) for key, studies in grouped]


def _entry(key: LedgerKey, studies: list[Any]) -> LedgerEntry:
    return LedgerEntry(
        key=key,
        study_count=len(studies),
        trial_count=sum(row.trial_count for row in studies),
        evaluated_trial_count=sum(row.evaluated_trial_count for row in studies),
        sharpe_trial_count=sum(row.sharpe_trial_count for row in studies),
        # Exact sums, since rows come in any order.
        sharpe_sum=math.fsum(row.sharpe_sum for row in studies),
        sharpe_square_sum=math.fsum(row.sharpe_square_sum for row in studies),
    )


def _by_code_points(connection: sa.Connection, column: sa.Column[str]) -> sa.ColumnElement[str]:
    return column.collate("C") if connection.dialect.name == "postgresql" else column
