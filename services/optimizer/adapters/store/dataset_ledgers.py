"""The ledger of studies over several data: a row for each dataset, as if each were a study's own.

A dataset that is there twice, over other bars, has one row: a trial counts once, its Sharpe ratios
each. The first dataset's row is the study's own and is written with it; here are the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.optimizer.adapters.store.store_ledger import counted, new_row
from services.optimizer.adapters.store.study_tables import LEDGER
from services.optimizer.core.records import LedgerKey
from services.optimizer.core.trial import Trial


def new_rows(ledger_id: str, key: LedgerKey, datasets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a study without trials; `datasets` is empty where there is only one."""
    others = list(_places(datasets))[1:]
    rows = [new_row(ledger_id, key)]
    for count, dataset in enumerate(others, start=1):
        rows.append(new_row(_id_of(ledger_id, count), LedgerKey(dataset, key.strategy)))
    return rows


def first_places(datasets: Sequence[str]) -> tuple[int, ...]:
    """Return the places of the first dataset; () where there is only one."""
    return next(iter(_places(datasets).values()), ())


def count_others(
    connection: sa.Connection, study: Any, datasets: Sequence[str], trials: Sequence[Trial]
) -> None:
    """Count trials of a locked study for all of its datasets but the first."""
    others = list(_places(datasets).values())[1:]
    if not others or not trials:
        return
    ids = [_id_of(study.ledger_id, count) for count in range(1, len(others) + 1)]
    rows = {row.ledger_id: row for row in connection.execute(_SELECT, {"ids": ids})}
    connection.execute(
        _UPDATE,
        [
            {"this_ledger": ledger_id, **counted(rows[ledger_id], trials, places)}
            for ledger_id, places in zip(ids, others, strict=True)
        ],
    )


def _places(datasets: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Return the places of each different dataset, in the order of their first ones."""
    return {
        name: tuple(place for place, other in enumerate(datasets) if other == name)
        for name in dict.fromkeys(datasets)
    }


def _id_of(ledger_id: str, count: int) -> str:
    return f"{ledger_id}-{count}"


_SELECT = sa.select(
    LEDGER.c.ledger_id,
    LEDGER.c.trial_count.label("ledger_trial_count"),
    LEDGER.c.evaluated_trial_count,
    LEDGER.c.sharpe_trial_count,
    LEDGER.c.sharpe_sum,
    LEDGER.c.sharpe_square_sum,
).where(LEDGER.c.ledger_id.in_(sa.bindparam("ids", expanding=True)))
_UPDATE = (
    sa.update(LEDGER)
    .where(LEDGER.c.ledger_id == sa.bindparam("this_ledger"))
    .values(
        {
            name: sa.bindparam(name)
            for name in (
                "trial_count",
                "evaluated_trial_count",
                "sharpe_trial_count",
                "sharpe_sum",
                "sharpe_square_sum",
            )
        }
    )
)
