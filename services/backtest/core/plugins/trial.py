"""Whether an operation keeps its contract: its words, its lengths, a run on a tiny market."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from services.backtest.core.expression.words import LANGUAGE_WORDS, is_name
from services.backtest.core.indicators.operation import Columns, Operation, Static, Statics
from services.backtest.core.kernel import frozen
from services.backtest.core.plugins.calls import PlugInFailed, outputs

CANDLE_COLUMNS: Final = ("open", "high", "low", "close", "volume")
LONGEST_LOOKBACK: Final = 10_000_000
_BARS: Final = 64


def problem_with_operation(operation: Operation) -> str | None:
    """Return the first thing wrong with an operation of a plug-in, or None.

    The trial compiles what it is made of, at its defaults or smallest values.
    """
    rules = (_with_words, _with_statics, _with_lengths, _with_trial)
    return next((told for rule in rules if (told := rule(operation))), None)


def _with_words(operation: Operation) -> str | None:
    if not operation.description or not operation.lookback_text:
        return "has no description or no words for its lookback"
    if not operation.columns and not operation.series:
        return "reads no column and no series"
    unknown = [name for name in operation.columns if name not in CANDLE_COLUMNS]
    if unknown:
        return f"reads {unknown[0]!r}, which is none of {', '.join(CANDLE_COLUMNS)}"
    names = (*operation.series, *(one.name for one in operation.statics))
    bad = [name for name in names if not is_name(name) or name in LANGUAGE_WORDS]
    if bad:
        return f"has an argument {bad[0]!r}, which is no name or a word of the language"
    return None if len(set(names)) == len(names) else "has two arguments of one name"


def _with_statics(operation: Operation) -> str | None:
    return next((told for one in operation.statics if (told := _with_static(one))), None)


def _with_static(static: Static) -> str | None:
    given = [static.minimum, static.maximum]
    given += [] if static.default is None else [static.default]
    if not all(math.isfinite(value) for value in given):
        return f"has bounds of {static.name} that are not finite"
    if static.whole and any(value != math.floor(value) for value in given):
        return f"has bounds or a default of {static.name} that are not whole"
    if not static.minimum <= given[-1] <= static.maximum or static.minimum > static.maximum:
        return f"has bounds of {static.name} the wrong way round, or its default outside"
    return None


def _corners(operation: Operation) -> Iterator[Statics]:
    """Yield the values tried: the smallest, the largest, and the defaults last."""
    yield tuple(float(one.minimum) for one in operation.statics)
    yield tuple(float(one.maximum) for one in operation.statics)
    yield tuple(
        float(one.minimum if one.default is None else one.default) for one in operation.statics
    )


def _with_lengths(operation: Operation) -> str | None:
    for statics in _corners(operation):
        lookback = _length(operation.lookback, statics)
        undefined = _length(operation.undefined, statics)
        if lookback is None or undefined is None or not undefined <= lookback <= LONGEST_LOOKBACK:
            told = f"lookback {lookback} and undefined {undefined} at {statics}"
            return f"has {told}: whole numbers are wanted, 0 <= undefined <= lookback <= 10,000,000"
    return None


def _length(length: Callable[[Statics], int], statics: Statics) -> int | None:
    """Return a length, or None where it is none."""
    try:
        value = length(statics)
    except Exception:  # noqa: BLE001 - whatever an author's function raises
        return None
    return value if isinstance(value, int) and value >= 0 else None


def _with_trial(operation: Operation) -> str | None:
    *_, statics = _corners(operation)
    columns = _market(operation, operation.undefined(statics) + _BARS)
    try:
        outputs(operation, columns, statics)
    except PlugInFailed as failed:
        cause = " ".join(str(failed.__cause__).split())
        return f"fails on a market of {len(columns[0]):,} bars: {failed}: {cause}"
    return None


def _market(operation: Operation, bars: int) -> Columns:
    rows = np.arange(bars, dtype=np.float64)
    close = 100.0 + (rows % 7.0 - rows % 4.0)
    market = {"open": close, "high": close + 1.0, "low": close - 1.0, "close": close}
    market["volume"] = rows % 5.0
    given = [market[name] for name in operation.columns]
    return tuple(frozen(column) for column in [*given, *(close for _ in operation.series)])
