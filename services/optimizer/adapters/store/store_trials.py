"""Trials read from the store: pages of them, chosen ones, all as columns, and those of others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from services.optimizer.adapters.store import optuna_studies
from services.optimizer.adapters.store.optuna_reads import TrialReader
from services.optimizer.adapters.store.prior_trials import prior_of
from services.optimizer.adapters.store.study_rows import shape_of
from services.optimizer.adapters.store.study_tables import COLUMNS, PRIORS, STUDIES
from services.optimizer.adapters.store.trial_columns import CELL_BYTES, TableFiller
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import StudyShape
from services.optimizer.core.trial import Trial

_GROUPS_AT_ONCE: Final = 64


def read_trials(
    connection: sa.Connection, study_id: str, first_number: int, limit: int | None
) -> list[Trial]:
    """Return trials from a number on; [] if no study."""
    study = _study(connection, study_id)
    if study is None or study.parameter_order_json is None:
        return []
    end = study.trial_count if limit is None else min(study.trial_count, first_number + limit)
    pages = _reader(connection, study).pages(first_number, end)
    return [trial for page in pages for trial in page]


def read_numbered(connection: sa.Connection, study_id: str, numbers: Sequence[int]) -> list[Trial]:
    """Return the trials with these numbers, in this order."""
    study = _study(connection, study_id)
    if study is None or study.parameter_order_json is None:
        return []
    known = [number for number in numbers if 0 <= number < study.trial_count]
    return _reader(connection, study).numbered(known)


def read_table(connection: sa.Connection, study_id: str, metrics: Sequence[str]) -> TrialTable:
    """Return all trials as columns; an empty table without columns if no study."""
    study = _study(connection, study_id)
    if study is None:
        return TableFiller(StudyShape((), (), ()), 0, metrics).table()
    filler = TableFiller(_shape_of(study.shape_json), study.trial_count, metrics)
    order = json.loads(study.metric_order_json)
    covered_from = study.trial_count
    places = [order.index(name) for name in metrics if name in order]
    wanted = range(min(places), max(places) + 1) if places else range(0)
    for row in _groups(connection, study_id, wanted):
        covered_from = min(covered_from, row.first_number)
        filler.put_base(row.first_number, row.trial_count, row.base)
        if wanted:
            names = order[wanted.start : wanted.stop]
            # SQLite's word for what is beyond the end is NULL.
            packed = row.metrics or b""
            filler.put_metrics(row.first_number, row.trial_count, names, packed)
    # Trials older than the columns.
    if covered_from:
        for page in _reader(connection, study).pages(0, covered_from):
            filler.put_trials(page)
    return filler.table()


def _groups(connection: sa.Connection, study_id: str, places: range) -> Iterator[Any]:
    """Yield the groups of a study with a run of their metrics, a few at a time."""
    columns: list[Any] = [COLUMNS.c.first_number, COLUMNS.c.trial_count, COLUMNS.c.base]
    if places:
        width = COLUMNS.c.trial_count * CELL_BYTES
        part = sa.func.substr(COLUMNS.c.metrics, width * places.start + 1, width * len(places))
        columns.append(sa.type_coerce(part, sa.LargeBinary).label("metrics"))
    query = sa.select(*columns).where(COLUMNS.c.study_id == study_id)
    streaming = {"stream_results": True, "yield_per": _GROUPS_AT_ONCE}
    yield from connection.execute(query, execution_options=streaming)


def read_priors(connection: sa.Connection, study_id: str) -> list[Trial]:
    """Return the trials of others a study was created with."""
    texts = connection.execute(
        sa.select(PRIORS.c.trial_json).where(PRIORS.c.study_id == study_id).order_by(PRIORS.c.place)
    )
    return [prior_of(text) for text in texts.scalars()]


def _study(connection: sa.Connection, study_id: str) -> Any:
    # None as well where Optuna's own tools have deleted its half.
    return connection.execute(_SELECT_STUDY, {"study_id": study_id}).one_or_none()


def _reader(connection: sa.Connection, study: Any) -> TrialReader:
    order = json.loads(study.parameter_order_json)
    return TrialReader(connection, study.optuna_study_id, _shape_of(study.shape_json), order)


@lru_cache(maxsize=256)
def _shape_of(shape_json: str) -> StudyShape:
    return shape_of(shape_json)


_SELECT_STUDY = (
    sa.select(
        STUDIES.c.optuna_study_id,
        STUDIES.c.shape_json,
        STUDIES.c.parameter_order_json,
        STUDIES.c.metric_order_json,
        STUDIES.c.trial_count,
    )
    .join(optuna_studies.STUDIES, optuna_studies.STUDIES.c.study_id == STUDIES.c.optuna_study_id)
    .where(STUDIES.c.study_id == sa.bindparam("study_id"))
)
