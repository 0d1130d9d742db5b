"""Indicators and position functions made of compiled functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.backtest.core.indicators.families import Output, recursive, windowed
from services.backtest.core.indicators.operation import Columns, Operation, Static, Statics
from services.backtest.core.kernel import Numbers
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.plugins.calls import check_column
from services.backtest.core.strategies.definition import Definition

Kernel = Callable[..., Numbers]
Length = Callable[..., int]


def number(
    name: str,
    description: str,
    default: float,
    minimum: float,
    maximum: float,
    unit: str = "",
) -> ParameterInfo:
    """Return a parameter that is any number within bounds; `bars` returns one that counts bars."""
    return ParameterInfo(
        name, ParameterType.DOUBLE, unit, description, minimum, maximum, default=default
    )


def indicator(
    name: str,
    description: str,
    *,
    kernel: Kernel,
    lookback: Length,
    lookback_text: str,
    columns: Sequence[str] = (),
    series: Sequence[str] = (),
    parameters: Sequence[ParameterInfo] = (),
    undefined: Length | None = None,
    keeps_state: bool = False,
) -> Operation:
    """Return an indicator computed by a function compiled with `numba.njit(nogil=True)`.

    The kernel gets one float64 column per name in `columns`, then one per name in `series`, all of
    equal length and read-only, then the parameters' values, int or float. It returns a new float64
    array of that length. Its value at a bar may depend on that bar and those before it alone. It is
    never called with fewer bars than the undefined ones and one. Numbers that are not finite, or
    beyond 1e140, never reach it: an indicator without state is undefined as long as one is among
    the bars it looks back on, one with state passes over the bar. An infinity it returns is
    undefined.

    Args:
        name: Its name in the language, for example "efficiency_ratio".
        description: What it tells, its formula and where that comes from.
        kernel: The compiled function.
        lookback: The bars before a bar that its value depends on, from the parameters' values.
        lookback_text: The same in words of the parameters, for example "4 * period".
        columns: Candle columns it reads: open, high, low, close, volume.
        series: Names of its series arguments, which come first where it is called.
        parameters: Its other arguments, numbers; one without default must be written.
        undefined: Values at the beginning that are no numbers yet, from the parameters' values; at
            most the lookback. They are undefined whatever the kernel returns. None: the lookback.
        keeps_state: Whether it carries a state from bar to bar beyond the lookback, as an
            exponential average does; it is then seeded from the first bars it is given.

    Raises:
        ValueError: The kernel is not compiled, or with options that do not keep results equal or
            the worker answering; it reads nothing; a parameter is a word or has no bounds.
    """
    _check_kernel(name, kernel)
    if not columns and not series:
        raise ValueError(f"{name}: an indicator reads at least one column or series")
    statics = tuple(_static(name, info) for info in parameters)

    def lengths(length: Length) -> Callable[[Statics], int]:
        return lambda values: length(*_typed(statics, values))

    begins = lengths(undefined or lookback)

    def compute(given: Columns, values: Statics) -> Columns:
        bars, missing = len(given[0]), begins(values)
        if bars <= missing:
            return (np.full(bars, np.nan),)
        column = kernel(*given, *_typed(statics, values))
        check_column(column, bars)
        made = column.copy()
        made[:missing] = np.nan
        return (made,)

    family = recursive if keeps_state else windowed
    (operation,) = family(
        Output(name, description, begins),
        columns=tuple(columns),
        series=tuple(series),
        statics=statics,
        lookback=lengths(lookback),
        lookback_text=lookback_text,
        compute=compute,
    )
    return operation


def position_function(
    name: str,
    description: str,
    *,
    kernel: Kernel,
    lookback: Length,
    lookback_text: str,
    columns: Sequence[str],
    parameters: Sequence[ParameterInfo] = (),
    undefined: Length | None = None,
) -> tuple[Operation, Definition]:
    """Return an indicator that tells a target position, and the strategy that takes it.

    The kernel is that of an indicator with state. It returns a position per bar, taken at the next
    open: above 0 long, below 0 short, 0 flat; only the sign counts, and where it is undefined the
    position stays what it was. The indicator is also there for other definitions; the strategy has
    the function's name and parameters.

    Raises:
        ValueError: As `indicator`.
    """
    operation = indicator(
        name,
        description,
        kernel=kernel,
        lookback=lookback,
        lookback_text=lookback_text,
        columns=columns,
        parameters=parameters,
        undefined=undefined,
        keeps_state=True,
    )
    target = f"{name}({', '.join(info.name for info in parameters)})"
    definition = Definition(
        name=name,
        description=description,
        parameters=tuple(parameters),
        enter_long=f"{target} > 0",
        exit_long=f"{target} <= 0",
        enter_short=f"{target} < 0",
        exit_short=f"{target} >= 0",
    )
    return operation, definition


def _check_kernel(name: str, kernel: object) -> None:
    options: dict[str, Any] | None = getattr(kernel, "targetoptions", None)
    if options is None:
        raise ValueError(f"{name}: the kernel must be compiled with numba.njit(nogil=True)")
    if not options.get("nogil"):
        raise ValueError(f"{name}: without nogil=True a kernel stops the worker from answering")
    for option in ("fastmath", "parallel"):
        if options.get(option):
            raise ValueError(f"{name}: with {option} results would differ between machines")


def _static(name: str, info: ParameterInfo) -> Static:
    if info.type is ParameterType.CATEGORY or info.minimum is None or info.maximum is None:
        raise ValueError(f"{name}: {info.name} must be a number with a minimum and a maximum")
    default = info.default if isinstance(info.default, (int, float)) else None
    return Static(info.name, info.type is ParameterType.INT, info.minimum, info.maximum, default)


def _typed(statics: Sequence[Static], values: Statics) -> tuple[int | float, ...]:
    return tuple(
        int(value) if one.whole else value for one, value in zip(statics, values, strict=True)
    )
