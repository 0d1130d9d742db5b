"""Parameter sets: columns of values, checked and dealt out set by set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from services.backtest.core.execution import EXECUTION_PARAMETERS, Execution, problems_with
from services.backtest.core.parameters import ParameterInfo, Value, problem_with
from services.backtest.core.strategies import Strategy
from services.backtest.core.terms import Terms, terms_of

_EXECUTION_NAMES: Final = tuple(info.name for info in EXECUTION_PARAMETERS)


class InvalidSet(Exception):  # noqa: N818 - says what it is about
    """A set whose values are out of bounds or make no sense together.

    Attributes:
        problems: Parameter name and what is wrong with it.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in self.problems))


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """Parameter sets as columns, of strategy and searchable execution parameters alike.

    Attributes:
        count: Number of sets.
        columns: By parameter name one value per set; parameters without a column take defaults.
    """

    count: int
    columns: Mapping[str, Sequence[Value]]


def problems_with_values(strategy: Strategy, values: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Return everything wrong with one value per parameter of a strategy."""
    found = [
        (info.name, problem)
        for info in strategy.parameters
        if (problem := _problem(info, values.get(info.name)))
    ]
    return found or strategy.problems(values)


def required_lookback(strategy: Strategy, sets: ParameterSets) -> int:
    """Return the bars before the window that the set with the longest lookback needs.

    Sets that make no sense count as nothing.
    """
    plan = SetPlan(strategy, sets, Execution())
    longest = 0
    for index in range(sets.count):
        with suppress(InvalidSet):
            longest = max(longest, strategy.lookback(plan.values(index)))
    return longest


class SetPlan:
    """Deals out the values and terms of each set."""

    def __init__(self, strategy: Strategy, sets: ParameterSets, execution: Execution) -> None:
        """Check every distinct value once."""
        self._strategy = strategy
        self._sets = sets
        self._execution = execution
        self._terms = terms_of(execution)
        self._columns = [(info.name, self._column(info)) for info in strategy.parameters]
        self._execution_columns = [
            (name, sets.columns[name]) for name in _EXECUTION_NAMES if name in sets.columns
        ]
        self._bad = {
            info.name: bad
            for info in strategy.parameters
            if (bad := _bad_values(info, self._column(info)))
        }

    def _column(self, info: ParameterInfo) -> Sequence[Any]:
        given = self._sets.columns.get(info.name)
        return (info.default,) * self._sets.count if given is None else given

    def values(self, index: int) -> dict[str, Value]:
        """Return every strategy parameter of a set; raises InvalidSet."""
        values = {name: column[index] for name, column in self._columns}
        if self._bad:
            found = [
                (name, bad[key])
                for name, bad in self._bad.items()
                if (key := (type(values[name]), values[name])) in bad
            ]
            if found:
                raise InvalidSet(found)
        problems = self._strategy.problems(values)
        if problems:
            raise InvalidSet(problems)
        return values

    def terms(self, index: int) -> Terms:
        """Return the execution model of a set as terms; raises InvalidSet."""
        if not self._execution_columns:
            return self._terms
        own: dict[str, Any] = {name: column[index] for name, column in self._execution_columns}
        execution = replace(self._execution, **own)
        problems = problems_with(execution)
        if problems:
            raise InvalidSet(problems)
        return terms_of(execution)


def _problem(info: ParameterInfo, value: Value | None) -> str | None:
    return "must be given" if value is None else problem_with(info, value)


def _bad_values(
    info: ParameterInfo, column: Sequence[Value | None]
) -> dict[tuple[type, Value | None], str]:
    """Return what is wrong with the distinct values of a column, by type and value."""
    distinct = {(type(value), value) for value in column}
    return {key: problem for key in distinct if (problem := _problem(info, key[1]))}
