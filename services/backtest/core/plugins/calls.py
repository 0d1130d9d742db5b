"""Calls of operations: what plug-ins give is checked before anything is made of it."""

from __future__ import annotations

import numpy as np

from services.backtest.core.indicators.operation import Columns, Operation, Statics


class PlugInFailed(Exception):  # noqa: N818 - says what happened
    """An operation of a plug-in raised, or gave what its contract does not allow."""


def outputs(operation: Operation, columns: Columns, statics: Statics) -> Columns:
    """Return what an operation computes.

    Built-in ones are tested and cost nothing here; what comes of a plug-in is checked, and copied
    so that it can never change again.

    Raises:
        PlugInFailed: With a message that names operation and package.
    """
    if not operation.plugin:
        return operation.compute(columns, statics)
    who = f"{operation.name} of {operation.plugin}"
    try:
        made = operation.compute(columns, statics)
        _check(operation, made, len(columns[0]), operation.undefined(statics))
    except WrongColumnError as wrong:
        raise PlugInFailed(f"{who} {wrong}") from wrong
    except Exception as error:
        raise PlugInFailed(f"{who} raised {type(error).__name__}") from error
    return tuple(column.copy() for column in made)


class WrongColumnError(Exception):
    """An operation gave something else than the columns it promises."""


def check_column(column: object, bars: int) -> None:
    """Raise WrongColumnError for what is no column of `bars` float64."""
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        raise WrongColumnError(f"gave {_told(column)}, not a column")
    if column.dtype != np.float64:
        raise WrongColumnError(f"gave a column of {column.dtype}, not of float64")
    if len(column) != bars:
        raise WrongColumnError(f"gave {len(column):,} values for {bars:,} bars")


def _check(operation: Operation, made: object, bars: int, undefined: int) -> None:
    if not isinstance(made, tuple) or len(made) <= operation.output:
        given = f"{len(made)}" if isinstance(made, tuple) else _told(made)
        raise WrongColumnError(
            f"gave {given}, not a tuple of {operation.output + 1} or more columns"
        )
    for column in made:
        check_column(column, bars)
    if not np.isnan(made[operation.output][:undefined]).all():
        raise WrongColumnError(f"gave numbers in its first {undefined:,} values")


def _told(value: object) -> str:
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    return f"{type(value).__name__}{shape}"
