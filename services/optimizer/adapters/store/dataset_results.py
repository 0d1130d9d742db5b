"""What each of several data says of a trial, as JSON in an attribute of Optuna's trial.

The names of metrics stand once, each dataset's values in their order (null where undefined): some
nine hundred bytes per dataset. Floats keep every bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.optimizer.core.trial import DatasetResult

DATASET_RESULTS: Final = "dataset_results"
"""User attribute of a trial over several data."""


def packed(results: Sequence[DatasetResult]) -> dict[str, Any]:
    """Return results as what JSON can hold; {} for none."""
    if not results:
        return {}
    names = list(dict.fromkeys(name for one in results for name in one.metrics))
    return {
        "metrics": names,
        "datasets": [
            {
                "objective_values": list(one.objective_values),
                "feasible": one.feasible,
                "values": [one.metrics.get(name) for name in names],
                "undefined": dict(one.undefined),
                "failure_reason": one.failure_reason,
                "failure_message": one.failure_message,
            }
            for one in results
        ],
    }


def unpacked(fields: Mapping[str, Any]) -> tuple[DatasetResult, ...]:
    """Return the results that `packed` was given."""
    names = fields.get("metrics", ())
    return tuple(
        DatasetResult(
            objective_values=tuple(one["objective_values"]),
            feasible=one["feasible"],
            metrics={
                name: value
                for name, value in zip(names, one["values"], strict=True)
                if value is not None
            },
            undefined=one["undefined"],
            failure_reason=one["failure_reason"],
            failure_message=one["failure_message"],
        )
        for one in fields.get("datasets", ())
    )
