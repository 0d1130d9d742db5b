"""What a strategy is: a definition and the program it was checked and turned into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.backtest.core.expression.compiler import compile_program
from services.backtest.core.expression.program import Program, Requirement
from services.backtest.core.expression.statics import (
    WholeTooLarge,
    evaluate_static,
    static_parameters,
)
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.parameters import ParameterInfo, Value
from services.backtest.core.strategies.definition import Definition

Values = Mapping[str, Value]
Problems = list[tuple[str, str]]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Strategy:
    """A strategy.

    Attributes:
        definition: It as written down.
        program: It as operations.
    """

    definition: Definition
    program: Program

    @staticmethod
    def compiled(definition: Definition, indicators: Mapping[str, Operation]) -> Strategy:
        """Return the strategy of a definition; raises DefinitionInvalid."""
        return Strategy(definition, compile_program(definition, indicators))

    @property
    def name(self) -> str:
        """Bare name of a built-in, for example "ma_crossover"; empty for a caller's own."""
        return self.definition.name

    @property
    def description(self) -> str:
        """When it enters and when it exits."""
        return self.definition.description

    @property
    def parameters(self) -> tuple[ParameterInfo, ...]:
        """Its parameters."""
        return self.definition.parameters

    def problems(self, values: Values) -> Problems:
        """Return the requirements that a parameter set breaks.

        Args:
            values: Every parameter of the strategy, each sound for itself.

        Returns:
            For each the first parameter it names, and what is wrong.
        """
        found = []
        for requirement in self.program.requirements:
            try:
                broken = not evaluate_static(self.program, requirement.place, values)
                told = f'must satisfy "{requirement.text}"'
            except WholeTooLarge as error:
                broken, told = True, f'must satisfy "{requirement.text}", but {error}'
            if broken:
                found.append((self._first_named(requirement), told))
        return found

    def _first_named(self, requirement: Requirement) -> str:
        """Return the first parameter a requirement names, itself or through terms."""
        names = static_parameters(self.program, requirement.place)
        written = (match.group() for match in _NAME.finditer(requirement.text))
        declared = (info.name for info in self.parameters)
        return next(name for name in (*written, *declared) if name in names)
