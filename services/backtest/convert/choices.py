"""The strategy a request chooses, by name or written down, and its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from assay.backtest.v1 import strategy_pb2

from services.backtest.convert.definitions import read_definition
from services.backtest.convert.values import ParameterReader, known_parameters
from services.backtest.core.execution import Direction
from services.backtest.core.parameters import ParameterInfo, Value
from services.backtest.core.strategies import STRATEGIES, Strategy
from services.common.errors import Violation, refuse, unknown

STRATEGY_PREFIX: Final = "strategies/"
_NAME: Final = re.compile(r"strategies/[a-z][a-z0-9_]{0,62}")


class StrategyChoice:
    """The strategy a request chooses, and a reader for its parameters.

    Attributes:
        message: The choice as it is told again, every field set.
        direction: Sides allowed.
        parameters: The strategy's own parameters; none when the strategy is not known.
        reader: Reads the request's parameters.
    """

    def __init__(
        self,
        message: strategy_pb2.StrategyChoice,
        found: list[Violation],
        *,
        beside: Iterable[ParameterInfo] = (),
    ) -> None:
        """Note in `found` what is wrong; `beside` are parameters to give beside its own."""
        self._found = found
        self._bare_name = message.name.removeprefix(STRATEGY_PREFIX)
        self._strategy = self._chosen(message)
        self.direction = self._direction(message.direction)
        self.message = strategy_pb2.StrategyChoice()
        self.message.CopyFrom(message)
        self.message.direction = strategy_pb2.Direction.ValueType(self.direction)
        self.parameters = self._strategy.parameters if self._strategy else ()
        known = known_parameters(self.parameters, beside)
        self.reader = ParameterReader(known, found, complete=self._strategy is not None)

    @property
    def defines_stop(self) -> bool:
        """Whether the strategy has a stop of its own, or may have one where it is not known."""
        return self._strategy is None or bool(self._strategy.definition.stop_loss)

    def complete(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return every parameter of the strategy with a value, in its order."""
        values = {info.name: given.get(info.name, info.default) for info in self.parameters}
        return {name: value for name, value in values.items() if value is not None}

    def check_together(self, given: Mapping[str, Value]) -> None:
        """Note values that make no sense together, if each makes sense alone."""
        if self._strategy is None or any(
            item.field.startswith("parameters") for item in self._found
        ):
            return
        self._found += [
            Violation(self.reader.places.get(name, "parameters"), description)
            for name, description in self._strategy.problems(self.complete(given))
        ]

    def strategy_or_refusal(self) -> Strategy:
        """Return the strategy when nothing at all is wrong with the request.

        Raises:
            AssayError: INVALID_ARGUMENT/FIELD_INVALID with everything noted, an unknown strategy
                among it; NOT_FOUND/STRATEGY_UNKNOWN when that is all.
        """
        judged = any(
            item.field.startswith(("strategy.name", "strategy.definition")) for item in self._found
        )
        if self._strategy is None and not judged:
            error = unknown("strategy", self._bare_name, STRATEGIES, "STRATEGY_UNKNOWN")
            if not self._found:
                raise error
            self._found.append(Violation("strategy.name", error.message))
        refuse(self._found)
        if self._strategy is None:
            raise AssertionError("a choice without violations is a strategy")
        return self._strategy

    def _chosen(self, message: strategy_pb2.StrategyChoice) -> Strategy | None:
        if message.HasField("definition"):
            if message.name:
                told = "is given beside a definition; exactly one of them must be"
                self._found.append(Violation("strategy.name", told))
            return read_definition(message.definition, "strategy.definition", self._found)
        if not message.name:
            told = "is required where there is no definition"
            self._found.append(Violation("strategy.name", told))
        elif not _NAME.fullmatch(message.name):
            told = 'must have the form "strategies/{strategy}"'
            self._found.append(Violation("strategy.name", told))
        return STRATEGIES.get(self._bare_name)

    def _direction(self, number: int) -> Direction:
        if number in list(Direction):
            return Direction(number)
        if number:
            self._found.append(
                Violation("strategy.direction", f"{number} is not one of the choices")
            )
        return Direction.LONG
