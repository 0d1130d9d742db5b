"""What an indicator is: a pure function from columns and numbers to a column, with its lookback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.backtest.core.kernel import Numbers

Columns = tuple[Numbers, ...]
Statics = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Static:
    """An argument that is the same at every bar: a period or a factor.

    Attributes:
        name: Its name, for example "period".
        whole: Whether it must be a whole number.
        minimum: Smallest value allowed.
        maximum: Largest value allowed.
        default: The value used where none is written; None when it must be.
    """

    name: str
    whole: bool
    minimum: float
    maximum: float
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of the expression language that gives a number per bar.

    `compute` gets float64 columns of equal length, C-contiguous and read-only, that begin at the
    bar the operation starts at, and the statics in order; it returns one column per output, of the
    same length, whose first `undefined(statics)` values are NaN (all, where there are fewer bars).
    A recursive one is seeded from the first bars of its columns. It must be causal: a value depends
    on nothing behind its bar. Inside a column values may be NaN; what comes from them is NaN, but a
    windowed operation recovers once they have left its window, and a recursive one keeps its state
    over them.

    Attributes:
        name: Its name in the language, for example "macd_signal".
        columns: Candle columns it reads, before its series: open, high, low, close, volume.
        series: Names of its series arguments.
        statics: Its other arguments.
        lookback: Bars before a bar that its value depends on, or is said to depend on.
        undefined: Values without a number at the beginning; at most the lookback.
        compute: The columns of all outputs of its family.
        family: What names the computation; operations with equal family share it.
        output: Which of the family's outputs it is.
        description: What it tells, its formula, and where that comes from.
        lookback_text: The lookback in words of its arguments, for example "4 * period".
        plugin: Package that brings it; empty for those of this service.
    """

    name: str
    columns: tuple[str, ...]
    series: tuple[str, ...]
    statics: tuple[Static, ...]
    lookback: Callable[[Statics], int]
    undefined: Callable[[Statics], int]
    compute: Callable[[Columns, Statics], Columns]
    family: str
    output: int
    description: str
    lookback_text: str
    plugin: str = ""

    @property
    def signature(self) -> str:
        """How it is written: "rsi(series, period)"."""
        defaults = (
            one.name if one.default is None else f"{one.name} = {one.default:g}"
            for one in self.statics
        )
        return f"{self.name}({', '.join((*self.series, *defaults))})"
