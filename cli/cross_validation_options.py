"""Options of `assay study report` that say how the days are cut for cross-validation."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from assay.optimizer.v1.resampling_pb2 import CrossValidationOptions

CrossValidationFlag: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--cross-validation/--no-cross-validation",
        help="Whether to tell what choosing the best earns on other days.",
    ),
]
GroupsOption: TypeAlias = Annotated[
    int | None, typer.Option("--groups", help="Groups of days to cross-validate by; 10 by default.")
]
TestGroupsOption: TypeAlias = Annotated[
    int | None, typer.Option("--test-groups", help="Groups tested at a time; 2 by default.")
]
PurgeOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--purge-days", help="Days left out before a tested group; 1 by default."),
]
EmbargoOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--embargo-days", help="Days left out behind it; by default the lookback."),
]


def cross_validation_options(
    groups: int | None,
    test_groups: int | None,
    purge_days: int | None,
    embargo_days: int | None,
    *,
    wanted: bool,
) -> CrossValidationOptions:
    """Return the options as a message; None leaves the choice to the service."""
    return CrossValidationOptions(
        wanted=wanted,
        group_count=groups,
        test_group_count=test_groups,
        purge_days=purge_days,
        embargo_days=embargo_days,
    )
