"""Parameter sets as columns, and the different combinations of values in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.backtest.core.kernel import Integers
from services.backtest.core.parameters import Column, ParameterInfo, Value, WordColumn

_NARROW: Final = 65_536
"""Span of whole numbers that are told apart by counting."""


class InvalidSet(Exception):  # noqa: N818 - says what it is about
    """A set whose values are out of bounds or make no sense together.

    Attributes:
        problems: Parameter name and what is wrong with it.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in self.problems))


@dataclass(frozen=True, slots=True, eq=False)
class ParameterSets:
    """Parameter sets as columns, of strategy and searchable execution parameters alike.

    Attributes:
        count: Number of sets.
        columns: By parameter name one value per set; parameters without a column take defaults.
    """

    count: int
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Combinations:
    """The different values that some parameters take together.

    Attributes:
        values: Each combination by parameter name.
        of: For every set the place of its combination, shape (sets,).
    """

    values: tuple[Mapping[str, Value], ...]
    of: Integers

    def used(self, sets: Integers) -> tuple[Integers, Integers]:
        """Return the combinations that sets have, and which of these each has."""
        if len(sets) == len(self.of):
            return np.arange(len(self.values)), self.of
        used, of = np.unique(self.of[sets], return_inverse=True)
        return used, of


class Combiner:
    """Finds the combinations of parameters in sets, each only once.

    Attributes:
        given: The parameters that have a column.
    """

    def __init__(self, sets: ParameterSets, infos: Iterable[ParameterInfo]) -> None:
        """Take the sets, and the parameters that may be asked for, for their defaults."""
        self.given = frozenset(sets.columns)
        self._sets = sets
        self._defaults = {info.name: info.default for info in infos}
        self._known: dict[tuple[str, ...], Combinations] = {}

    def of(self, names: Iterable[str]) -> Combinations:
        """Return the combinations of the parameters named; those without a value are left out."""
        key = tuple(sorted(names))
        if key not in self._known:
            self._known[key] = self._combine(key)
        return self._known[key]

    def _combine(self, names: tuple[str, ...]) -> Combinations:
        parts = [(name, *self._distinct(name)) for name in names]
        if len(parts) == 1 and not isinstance(self._sets.columns.get(names[0]), WordColumn):
            # Every value is there once already.
            name, values, places = parts[0]
            alone = tuple({name: value} if value is not None else {} for value in values)
            return Combinations(alone, places)
        codes = np.zeros(self._sets.count, np.int64)
        for _, values, places in parts:
            # Kept small, so that many parameters do not overflow.
            _, codes = np.unique(codes * len(values) + places, return_inverse=True)
        _, firsts, of = np.unique(codes, return_index=True, return_inverse=True)
        combined = tuple(
            {
                name: value
                for name, values, places in parts
                if (value := values[places[first]]) is not None
            }
            for first in firsts
        )
        return Combinations(combined, of)

    def _distinct(self, name: str) -> tuple[list[Value | None], Integers]:
        column = self._sets.columns.get(name)
        if column is None:
            return [self._defaults[name]], np.zeros(self._sets.count, np.int64)
        if isinstance(column, WordColumn):
            return list(column.words), column.indexes
        if column.dtype == np.int64 and len(column):
            least, most = int(column.min()), int(column.max())
            if most - least < _NARROW:
                # Counting is quicker than sorting.
                present = np.zeros(most - least + 1, np.int64)
                present[column - least] = 1
                whole: list[Value | None] = [*(np.flatnonzero(present) + least).tolist()]
                return whole, (np.cumsum(present) - 1)[column - least]
        values, places = np.unique(column, return_inverse=True)
        found: list[Value | None] = values.tolist()
        return found, places
