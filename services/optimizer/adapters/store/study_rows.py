"""Study records, limits and shapes as rows of Assay's tables, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.optimizer.core.records import (
    LedgerKey,
    SearchedParameter,
    StudyRecord,
    StudyShape,
    StudyState,
)
from services.optimizer.core.study.limits import Limits


def created_row(record: StudyRecord) -> dict[str, Any]:
    """Return the columns of `STUDIES` that a new study's record determines."""
    return {
        "study_id": record.study_id,
        "request_id": record.request_id or None,
        "request_digest": record.request_digest,
        "spec": record.spec,
        "warnings_json": json.dumps(record.warnings),
        "code_version": record.code_version,
        "create_time_ms": record.create_time_ms,
        "limits_json": limits_text(record.limits),
        "elapsed_ms": record.elapsed_ms,
        "owner": record.owner,
        "lease_epoch": record.lease_epoch,
        "ledger_dataset": record.ledger_key.dataset,
        "ledger_strategy": record.ledger_key.strategy,
        "caller": record.caller or None,
        **updated_row(record),
    }


def updated_row(record: StudyRecord) -> dict[str, Any]:
    """Return the columns of `STUDIES` that change with a study's state."""
    return {
        "state": record.state.name,
        "start_time_ms": record.start_time_ms,
        "end_time_ms": record.end_time_ms,
        "error": record.error,
        "trials_digest": record.trials_digest,
        "outcome": record.outcome,
        "stop_reason": record.stop_reason,
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
        limits=limits_of(row["limits_json"]),
        stop_reason=row["stop_reason"],
        elapsed_ms=row["elapsed_ms"],
        owner=row["owner"],
        lease_epoch=row["lease_epoch"],
        ledger_key=LedgerKey(row["ledger_dataset"], row["ledger_strategy"]),
        caller=row["caller"] or "",
    )


def limits_text(limits: Limits) -> str:
    """Return limits as JSON; floats keep every bit."""
    return json.dumps(asdict(limits))


def limits_of(text: str | None) -> Limits:
    """Return the limits that `limits_text` wrote; `Limits(0)` where a study is older than them."""
    return Limits(0) if text is None else Limits(**json.loads(text))


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
        # Studies older than several data have none.
        datasets=tuple(fields.get("datasets", ())),
    )
