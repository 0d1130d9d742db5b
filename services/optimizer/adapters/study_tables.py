"""Assay's own tables beside Optuna's: what a study is, and its events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from services.optimizer.core.ports import SearchedParameter, StudyRecord, StudyShape, StudyState

METADATA = sa.MetaData()

STUDIES = sa.Table(
    "assay_studies",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("optuna_study_id", sa.Integer, nullable=False, unique=True),
    # NULL where the caller gave none: a request makes one study at most.
    sa.Column("request_id", sa.String(64), nullable=True, unique=True),
    sa.Column("request_digest", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("spec", sa.LargeBinary, nullable=False),
    sa.Column("warnings_json", sa.Text, nullable=False),
    sa.Column("code_version", sa.String(128), nullable=False),
    sa.Column("create_time_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("start_time_ms", sa.BigInteger, nullable=True),
    sa.Column("end_time_ms", sa.BigInteger, nullable=True),
    sa.Column("error", sa.LargeBinary, nullable=False),
    sa.Column("trials_digest", sa.String(128), nullable=False),
    sa.Column("outcome", sa.LargeBinary, nullable=False),
    sa.Column("shape_json", sa.Text, nullable=False),
    # Known with the first generation only.
    sa.Column("parameter_order_json", sa.Text, nullable=True),
    sa.Column("trial_count", sa.BigInteger, nullable=False),
    sa.Column("event_count", sa.BigInteger, nullable=False),
)

EVENTS = sa.Table(
    "assay_study_events",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
)


def row_of(record: StudyRecord) -> dict[str, Any]:
    """Return the columns of `STUDIES` that a record determines."""
    return {
        "study_id": record.study_id,
        "request_id": record.request_id or None,
        "request_digest": record.request_digest,
        "state": record.state.name,
        "spec": record.spec,
        "warnings_json": json.dumps(record.warnings),
        "code_version": record.code_version,
        "create_time_ms": record.create_time_ms,
        "start_time_ms": record.start_time_ms,
        "end_time_ms": record.end_time_ms,
        "error": record.error,
        "trials_digest": record.trials_digest,
        "outcome": record.outcome,
    }


def record_of(row: Mapping[str, Any]) -> StudyRecord:
    """Return the record that a row of `STUDIES` holds."""
    return StudyRecord(
        study_id=row["study_id"],
        request_id=row["request_id"] or "",
        request_digest=row["request_digest"],
        state=StudyState[row["state"]],
        spec=bytes(row["spec"]),
        create_time_ms=row["create_time_ms"],
        warnings=tuple(json.loads(row["warnings_json"])),
        code_version=row["code_version"],
        start_time_ms=row["start_time_ms"],
        end_time_ms=row["end_time_ms"],
        error=bytes(row["error"]),
        trials_digest=row["trials_digest"],
        outcome=bytes(row["outcome"]),
    )


def shape_text(shape: StudyShape) -> str:
    """Return a shape as JSON; floats keep every bit."""
    return json.dumps(asdict(shape))


def shape_of(text: str) -> StudyShape:
    """Return the shape that `shape_text` wrote."""
    fields = json.loads(text)
    searched = tuple(
        SearchedParameter(**{**item, "categories": tuple(item["categories"])})
        for item in fields["searched"]
    )
    return StudyShape(
        searched=searched,
        metric_names=tuple(fields["metric_names"]),
        maximize=tuple(fields["maximize"]),
        constraints=tuple(fields["constraints"]),
    )
