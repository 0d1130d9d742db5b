"""Trials of other studies as JSON, in which floats keep every bit and points their order."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from services.optimizer.core.trial import (
    DatasetResult,
    IntermediateValue,
    Outcome,
    Trial,
    TrialState,
)


def prior_text(trial: Trial) -> str:
    """Return a trial as JSON."""
    fields: dict[str, Any] = {
        **asdict(trial),
        "state": trial.state.name,
        "parameters": dict(trial.parameters),
    }
    return json.dumps(fields)


def prior_of(text: str) -> Trial:
    """Return the trial that `prior_text` wrote."""
    fields = json.loads(text)
    outcome = fields["outcome"]
    steps = tuple(IntermediateValue(**one) for one in outcome["intermediate_values"])
    # Priors older than several data have none.
    results = tuple(
        DatasetResult(**{**one, "objective_values": tuple(one["objective_values"])})
        for one in outcome.get("dataset_results", ())
    )
    return Trial(
        **{
            **fields,
            "state": TrialState[fields["state"]],
            "objective_values": tuple(fields["objective_values"]),
            "constraint_values": tuple(fields["constraint_values"]),
            "outcome": Outcome(
                **{**outcome, "intermediate_values": steps, "dataset_results": results}
            ),
        }
    )
