"""Which study a call is about: its log line says so, and the calls to workers made for it."""

from __future__ import annotations

from services.common.telemetry import study_id
from services.optimizer.convert.requests import study_id_of, study_id_violations


def concerned(name: str, field: str = "name") -> str:
    """Return the id in the name of the study that the call is about.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID.
    """
    found = study_id_of(name, field)
    study_id.set(found)
    return found


def note_wanted(wanted: str) -> None:
    """Note the id a caller wants for a new study, where it is one."""
    if wanted and not list(study_id_violations(wanted)):
        study_id.set(wanted)
