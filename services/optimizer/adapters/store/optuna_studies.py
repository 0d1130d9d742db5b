"""Studies as Optuna 5.0 keeps them, apart from their trials: made and deleted in few statements."""

from __future__ import annotations

import json

import sqlalchemy as sa
from optuna.storages._rdb import models

from services.optimizer.adapters.optuna_terms import directions_of
from services.optimizer.core.records import StudyShape

STUDIES: sa.Table = models.StudyModel.__table__
_DIRECTIONS: sa.Table = models.StudyDirectionModel.__table__
_ATTRIBUTES: sa.Table = models.StudySystemAttributeModel.__table__
_TRIALS: sa.Table = models.TrialModel.__table__

_METRIC_NAMES_KEY = "study:metric_names"
"""Where `optuna.Study.set_metric_names` puts them."""


def insert(connection: sa.Connection, name: str, shape: StudyShape) -> int:
    """Make a study with directions and metric names; returns Optuna's id.

    Raises:
        IntegrityError: a study of this name exists.
    """
    made = connection.execute(STUDIES.insert().returning(STUDIES.c.study_id), {"study_name": name})
    optuna_study_id: int = made.scalar_one()
    connection.execute(
        _DIRECTIONS.insert(),
        [
            {"study_id": optuna_study_id, "objective": place, "direction": direction}
            for place, direction in enumerate(directions_of(shape.maximize))
        ],
    )
    connection.execute(
        _ATTRIBUTES.insert(),
        {
            "study_id": optuna_study_id,
            "key": _METRIC_NAMES_KEY,
            "value_json": json.dumps(shape.metric_names),
        },
    )
    return optuna_study_id


def delete(connection: sa.Connection, optuna_study_id: int) -> None:
    """Delete a study with everything any Optuna client may have put into it."""
    trial_ids = sa.select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == optuna_study_id)
    children_first = reversed(models.BaseModel.metadata.sorted_tables)
    for table in children_first:
        if "study_id" in table.c:
            connection.execute(sa.delete(table).where(table.c.study_id == optuna_study_id))
        elif "trial_id" in table.c:
            connection.execute(sa.delete(table).where(table.c.trial_id.in_(trial_ids)))
