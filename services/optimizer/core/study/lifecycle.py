"""The life of a study: which state may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.common.errors import AssayError, Code
from services.optimizer.core.records import StudyState

FINAL_STATES: Final = frozenset({StudyState.STOPPED, StudyState.SUCCEEDED, StudyState.FAILED})
"""States in which nothing happens until somebody asks for it."""

NEXT_STATES: Final[Mapping[StudyState, frozenset[StudyState]]] = {
    StudyState.PENDING: frozenset(
        {StudyState.RUNNING, StudyState.STOPPING, StudyState.FAILED},
    ),
    StudyState.RUNNING: frozenset(
        {StudyState.STOPPING, StudyState.SUCCEEDED, StudyState.FAILED},
    ),
    StudyState.STOPPING: frozenset({StudyState.STOPPED, StudyState.FAILED}),
    StudyState.STOPPED: frozenset({StudyState.PENDING}),
    StudyState.FAILED: frozenset({StudyState.PENDING}),
    StudyState.SUCCEEDED: frozenset({StudyState.PENDING}),
}
"""What may follow each state."""


def may_become(state: StudyState, wanted: StudyState) -> bool:
    """Tell whether a study in `state` may go to `wanted`."""
    return wanted in NEXT_STATES[state]


def too_many_studies(caller: str, limit: int) -> AssayError:
    """Return RESOURCE_EXHAUSTED/TOO_MANY_STUDIES for a caller; empty: for everybody."""
    who = f"caller {caller!r} has" if caller else "there are"
    return AssayError(
        Code.RESOURCE_EXHAUSTED,
        "TOO_MANY_STUDIES",
        f"{who} {limit:,} unfinished studies, as many as may be; wait for one, or stop one",
        metadata={"limit": str(limit)},
    )


def state_wrong(study_id: str, state: StudyState, deed: str) -> AssayError:
    """Return FAILED_PRECONDITION/STUDY_STATE_WRONG for a deed ("be stopped")."""
    return AssayError(
        Code.FAILED_PRECONDITION,
        "STUDY_STATE_WRONG",
        f"study {study_id!r} is {state.name} and cannot {deed}",
        metadata={"study": study_id, "state": state.name},
    )
