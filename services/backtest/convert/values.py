"""Parameter values: typed messages to plain values, with every mistake told by its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from assay.backtest.v1 import strategy_pb2

from services.backtest.core.parameters import (
    Column,
    ParameterInfo,
    ParameterType,
    Value,
    WordColumn,
    problem_with,
)
from services.common.errors import Violation

ValueKind = Literal["int_value", "double_value", "category_value"]

VALUE_KINDS: Final[Mapping[ParameterType, ValueKind]] = {
    ParameterType.INT: "int_value",
    ParameterType.DOUBLE: "double_value",
    ParameterType.CATEGORY: "category_value",
}
_KIND_WORDS: Final = {
    "int_value": "a whole number (int_value)",
    "double_value": "a number (double_value)",
    "category_value": "a word (category_value)",
}
_COLUMN_KINDS: Final = {
    ParameterType.INT: "int_values",
    ParameterType.DOUBLE: "double_values",
    ParameterType.CATEGORY: "category_values",
}


MOST_PARAMETERS: Final = 100
"""More than a strategy and the execution model have together."""

MOST_WORDS: Final = 100
"""Words of a category that may be listed, as many as it can have."""

_LONGEST_NAME: Final = 63

M = TypeVar("M")


class ParameterReader:
    """Reads the parameters of one request and notes everything wrong with them.

    Attributes:
        places: Where each parameter was given: "fast_period" in "columns[0]".
    """

    def __init__(
        self, known: Mapping[str, ParameterInfo], found: list[Violation], *, complete: bool
    ) -> None:
        """Note violations in `found`.

        `known` are the parameters that may be given; not `complete` when there may be others, of a
        strategy nobody knows.
        """
        self._known = known
        self._complete = complete
        self._found = found
        self.places: dict[str, str] = {}

    def assignments(
        self, messages: Sequence[strategy_pb2.ParameterAssignment], field: str
    ) -> dict[str, Value]:
        """Return the values of a list of assignments found in `field`, the good ones only."""
        values = {}
        for number, message in enumerate(self._judged(messages, field)):
            place = f"{field}[{number}]"
            info = self._info(message.name, place)
            value = self._value(info, message.value, f"{place}.value") if info else None
            if value is not None:
                values[message.name] = value
        return values

    def columns(
        self, messages: Sequence[strategy_pb2.ParameterColumn], set_count: int
    ) -> dict[str, Column]:
        """Return the columns of a batch, the good ones only."""
        columns: dict[str, Column] = {}
        for number, message in enumerate(self._judged(messages, "columns")):
            place = f"columns[{number}]"
            info = self._info(message.name, place)
            column = self._column(info, message, place, set_count) if info else None
            if column is not None:
                columns[message.name] = column
        return columns

    def require(self, infos: Iterable[ParameterInfo], field: str) -> None:
        """Note every parameter that has no default and was not given."""
        for info in infos:
            if info.default is None and info.name not in self.places:
                self._note(field, f"{info.name!r} has no default and must be given")

    def _judged(self, messages: Sequence[M], field: str) -> Sequence[M]:
        """Return as many as there can be; what is wrong with a million others helps nobody."""
        if len(messages) <= MOST_PARAMETERS:
            return messages
        self._note(field, f"holds {len(messages):,} parameters; at most {MOST_PARAMETERS}")
        return messages[:MOST_PARAMETERS]

    def _info(self, name: str, place: str) -> ParameterInfo | None:
        """Return what is known of a parameter given at `place`; None when it is no use there."""
        info = self._known.get(name)
        if not name:
            self._note(f"{place}.name", "is required")
        elif name in self.places:
            self._note(f"{place}.name", f"{name!r} is already given by {self.places[name]}")
            return None
        elif info is None and self._complete:
            self._note(f"{place}.name", _unknown(name, self._known))
        self.places[name] = place
        return info

    def _value(
        self, info: ParameterInfo, message: strategy_pb2.ParameterValue, field: str
    ) -> Value | None:
        kind = message.WhichOneof("kind")
        wanted = VALUE_KINDS[info.type]
        if kind is None:
            self._note(field, "is required")
            return None
        if kind != wanted:
            self._note(field, f"{info.name!r} takes {_KIND_WORDS[wanted]}, not {_KIND_WORDS[kind]}")
            return None
        value: Value = getattr(message, kind)
        problem = problem_with(info, value)
        if problem:
            self._note(field, problem)
            return None
        return value

    def _column(
        self,
        info: ParameterInfo,
        message: strategy_pb2.ParameterColumn,
        place: str,
        set_count: int,
    ) -> Column | None:
        kind = message.WhichOneof("values")
        wanted = _COLUMN_KINDS[info.type]
        if kind != wanted:
            told = f"takes {wanted}, not {kind}" if kind else f"needs {wanted}"
            self._note(f"{place}.{kind or wanted}", f"{info.name!r} {told}")
            return None
        field = f"{place}.{kind}"
        if info.type is ParameterType.CATEGORY:
            return self._words(info, message.category_values, field, set_count)
        numbers = np.array(getattr(message, kind).values)
        if not self._has_length(numbers, field, set_count):
            return None
        return numbers if self._within_bounds(info, numbers, field) else None

    def _words(
        self,
        info: ParameterInfo,
        message: strategy_pb2.CategoryColumn,
        field: str,
        set_count: int,
    ) -> WordColumn | None:
        before = len(self._found)
        for number, word in enumerate(message.categories[:MOST_WORDS]):
            problem = problem_with(info, word)
            if problem:
                self._note(f"{field}.categories[{number}]", problem)
        if len(message.categories) > MOST_WORDS:
            told = f"holds {len(message.categories):,} words; at most {MOST_WORDS}"
            self._note(f"{field}.categories", told)
        indexes = np.array(message.indexes).astype(np.int64)
        if self._has_length(indexes, f"{field}.indexes", set_count):
            count = len(message.categories)
            wrong = np.flatnonzero((indexes < 0) | (indexes >= count))
            if wrong.size:
                told = f"set {wrong[0]}: {indexes[wrong[0]]} is no place in {count} categories"
                self._note(f"{field}.indexes", told)
        if len(self._found) > before:
            return None
        return WordColumn(tuple(message.categories), indexes)

    def _within_bounds(
        self, info: ParameterInfo, numbers: npt.NDArray[np.generic], field: str
    ) -> bool:
        """Check a whole column by its extremes, which are outside the bounds if any number is."""
        odd = np.flatnonzero(~np.isfinite(numbers))
        suspects = {int(odd[0])} if odd.size else {int(numbers.argmin()), int(numbers.argmax())}
        problems = []
        for place in sorted(suspects):
            problem = problem_with(info, numbers[place].item())
            if problem:
                problems.append(f"set {place}: {problem}")
        if problems:
            self._note(field, "; ".join(problems))
        return not problems

    def _has_length(self, column: npt.NDArray[np.generic], field: str, set_count: int) -> bool:
        if len(column) == set_count:
            return set_count > 0
        self._note(field, f"holds {len(column)} values for {set_count} sets")
        return False

    def _note(self, field: str, description: str) -> None:
        self._found.append(Violation(field, description))


def _unknown(name: str, known: Iterable[str]) -> str:
    if len(name) > _LONGEST_NAME:
        return f"no parameter has a name longer than {_LONGEST_NAME} characters"
    near = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no parameter is called {name!r}{hint}"


def known_parameters(
    own: Iterable[ParameterInfo], execution: Iterable[ParameterInfo]
) -> dict[str, ParameterInfo]:
    """Return the parameters that may be given, by name: the strategy's and the execution's."""
    return {info.name: info for info in (*own, *execution)}


def equal_column(value: Value, set_count: int) -> Column:
    """Return a column of one value for all sets."""
    if isinstance(value, str):
        return WordColumn((value,), np.zeros(set_count, np.int64))
    if isinstance(value, int):
        return np.full(set_count, value, np.int64)
    return np.full(set_count, value, np.float64)


def first_value(column: Column) -> Value:
    """Return the first set's value."""
    if isinstance(column, WordColumn):
        return column.words[int(column.indexes[0])]
    value: int | float = column.item(0)
    return value


def value_message(value: Value) -> strategy_pb2.ParameterValue:
    """Return a value as the contract's typed message."""
    if isinstance(value, str):
        return strategy_pb2.ParameterValue(category_value=value)
    if isinstance(value, float):
        return strategy_pb2.ParameterValue(double_value=value)
    return strategy_pb2.ParameterValue(int_value=value)
