"""How the sets of a batch are run: checked together, then in groups that share a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from services.backtest.core.evaluation.workbench import resolved
from services.backtest.core.execution import (
    EXECUTION_PARAMETERS,
    Direction,
    Execution,
    problems_with,
)
from services.backtest.core.expression.program import Kind, Node, Program
from services.backtest.core.expression.statics import (
    evaluate_static,
    needed,
    problem_with_static,
    static_parameters,
)
from services.backtest.core.indicators.operation import Static
from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.kernel import Integers
from services.backtest.core.parameters import (
    Column,
    ParameterInfo,
    ParameterType,
    Value,
    WordColumn,
    problem_with,
)
from services.backtest.core.sets.parameter_sets import (
    Combinations,
    Combiner,
    InvalidSet,
    ParameterSets,
)
from services.backtest.core.strategies.strategy import Problems, Strategy

SIGNALS: Final = ("enter_long", "exit_long", "enter_short", "exit_short")
"""The signals in the order of the engine."""

DISTANCES: Final = {
    "stop_loss": "stop_loss_ratio",
    "take_profit": "take_profit_ratio",
    "trailing_stop": "trailing_stop_ratio",
    "position_fraction": "position_fraction_ratio",
}
"""The distances in the order of the engine's lines, with the execution parameter they replace."""

_ALLOWED: Final = {
    Direction.LONG: ("enter_long", "exit_long"),
    Direction.SHORT: ("enter_short", "exit_short"),
    Direction.BOTH: SIGNALS,
}
_EXECUTION_NAMES: Final = frozenset(info.name for info in EXECUTION_PARAMETERS)


@dataclass(frozen=True, slots=True, eq=False)
class SetGroup:
    """Sets that share a program.

    Attributes:
        sets: Their numbers, rising.
        program: The program, its choices made.
        signals: Places of the signals that count, by name.
    """

    sets: Integers
    program: Program
    signals: Mapping[str, int]


class SetPlan:
    """The sets of a batch, checked.

    Attributes:
        failures: What is wrong with sets that cannot be run, by their number.
        combiner: Finds the combinations of parameter values.
        execution_columns: The columns of execution parameters among the sets', as numbers.
    """

    def __init__(
        self, strategy: Strategy, direction: Direction, sets: ParameterSets, execution: Execution
    ) -> None:
        """Check every different combination of values once."""
        self._strategy = strategy
        self._direction = direction
        self._sets = sets
        self.failures: dict[int, Exception] = {}
        self.combiner = Combiner(sets, (*strategy.parameters, *EXECUTION_PARAMETERS))
        self.execution_columns = {
            name: np.asarray(column, np.float64)
            for name, column in sets.columns.items()
            if name in _EXECUTION_NAMES and not isinstance(column, WordColumn)
        }
        for info in strategy.parameters:
            self._check_values(info, sets.columns.get(info.name))
        self._check_requirements()
        self._check_execution(execution)

    def groups(self) -> Iterator[SetGroup]:
        """Yield the sets without failures, by the words of their categories."""
        names = [
            info.name for info in self._strategy.parameters if info.type is ParameterType.CATEGORY
        ]
        words = self.combiner.of(names)
        sound = np.ones(self._sets.count, np.bool_)
        sound[list(self.failures)] = False
        for place, chosen in enumerate(words.values):
            members = np.flatnonzero(sound & (words.of == place))
            if members.size:
                choice = tuple((name, str(word)) for name, word in chosen.items())
                program = resolved(self._strategy.program, choice)
                group = SetGroup(members, program, signals_of(program, self._direction))
                self._check_statics(group)
                yield self._without_failures(group)

    def _without_failures(self, group: SetGroup) -> SetGroup:
        if not self.failures:
            return group
        failed = np.fromiter(self.failures, np.int64, len(self.failures))
        return replace(group, sets=np.setdiff1d(group.sets, failed, assume_unique=True))

    def _fail(self, numbers: Integers, error: Exception) -> None:
        for number in numbers.tolist():
            self.failures.setdefault(number, error)

    def _check_values(self, info: ParameterInfo, column: Column | None) -> None:
        """Note the sets with a value out of bounds."""
        if column is None:
            if info.default is None:
                error = InvalidSet([(info.name, "must be given")])
                self._fail(np.arange(self._sets.count), error)
            return
        for value, numbers in _suspects(info, column):
            problem = problem_with(info, value)
            if problem:
                self._fail(numbers, InvalidSet([(info.name, problem)]))

    def _check_requirements(self) -> None:
        program = self._strategy.program
        names = {
            name
            for requirement in program.requirements
            for name in static_parameters(program, requirement.place)
        }
        if names:
            self._check(self.combiner.of(names), self._strategy.problems)

    def _check_execution(self, execution: Execution) -> None:
        """Note values out of bounds, and fields that do not go together; the same in every set."""
        for info in EXECUTION_PARAMETERS:
            if info.name in self.execution_columns:
                self._check_values(info, self.execution_columns[info.name])
        sound = next(
            (number for number in range(self._sets.count) if number not in self.failures), None
        )
        if sound is None or not self.execution_columns:
            return
        own: dict[str, Any] = {
            name: float(column[sound]) for name, column in self.execution_columns.items()
        }
        stop_defined = "stop_loss" in self._strategy.program.distances
        found = problems_with(replace(execution, **own), stop_defined=stop_defined)
        if found:
            self._fail(np.arange(self._sets.count), InvalidSet(found))

    def _check(
        self, combinations: Combinations, problems: Callable[[Mapping[str, Value]], Problems]
    ) -> None:
        for place, values in enumerate(combinations.values):
            found = problems(values)
            if found:
                self._fail(np.flatnonzero(combinations.of == place), InvalidSet(found))

    def _check_statics(self, group: SetGroup) -> None:
        """Note the sets whose values put a period, a factor or a whole number out of its bounds."""
        program = group.program
        for operation, number, place in _indicator_statics(program):
            static = INDICATORS[operation].statics[number]
            if not self._lies_within(program.nodes[place], static):
                self._check_static(group, place, operation, static)
        for place in _whole_arithmetic(program):
            self._check_static(group, place, program.nodes[place].field, None)

    def _check_static(self, group: SetGroup, place: int, where: str, static: Static | None) -> None:
        names = static_parameters(group.program, place)
        combinations = self.combiner.of(names)
        for chosen in np.unique(combinations.of[group.sets]).tolist():
            values = combinations.values[chosen]
            try:
                value = float(evaluate_static(group.program, place, values))
                problem = problem_with_static(static, value) if static else None
            except ArithmeticError as error:
                problem = f"{static.name}: {error}" if static else str(error)
            if problem:
                members = group.sets[combinations.of[group.sets] == chosen]
                # What no number decides a word has chosen.
                named = min(names) if names else self._first_category()
                self._fail(members, InvalidSet([(named, f"{where}: {problem}")]))

    def _first_category(self) -> str:
        infos = self._strategy.parameters
        return next(info.name for info in infos if info.type is ParameterType.CATEGORY)

    def _lies_within(self, node: Node, static: Static) -> bool:
        """Say whether a node is a parameter whose own bounds, already checked, are closer."""
        info = next((one for one in self._strategy.parameters if one.name == node.value), None)
        if node.operation != "parameter" or info is None:
            return False
        low, high = info.minimum, info.maximum
        if low is None or high is None:
            return False
        return static.minimum <= low and high <= static.maximum


def signals_of(program: Program, direction: Direction) -> dict[str, int]:
    """Return the places of the signals that count for a direction.

    Where both sides are entered at the first decision and nothing else, the long side has it.
    """
    places = {
        name: program.signals[name] for name in _ALLOWED[direction] if name in program.signals
    }
    both = places.get("enter_long") == places.get("enter_short", -1)
    if both and program.nodes[places["enter_long"]].operation == "first_decision":
        del places["enter_short"]
    return places


def _suspects(info: ParameterInfo, column: Column) -> Sequence[tuple[Value, Integers]]:
    """Return the values of a column that may be wrong, with the sets that have them."""
    if isinstance(column, WordColumn):
        return [
            (word, np.flatnonzero(column.indexes == place))
            for place, word in enumerate(column.words)
        ]
    kinds = {ParameterType.INT: "i", ParameterType.DOUBLE: "if", ParameterType.CATEGORY: ""}
    sound = np.isfinite(column) & (column.dtype.kind in kinds[info.type])
    if info.minimum is not None:
        sound &= column >= info.minimum
    if info.maximum is not None:
        sound &= column <= info.maximum
    wrong = np.flatnonzero(~sound)
    return [(column[number].item(), np.array([number])) for number in wrong]


@lru_cache(64)
def _indicator_statics(program: Program) -> tuple[tuple[str, int, int], ...]:
    """Return the periods and factors: the indicator, the number of its argument, the node.

    Constants too: a choice, which no compiler knows, may have put them there.
    """
    return tuple(
        {
            (node.operation, number, place)
            for node in program.nodes
            for number, place in enumerate(node.statics)
        }
    )


@lru_cache(64)
def _whole_arithmetic(program: Program) -> tuple[int, ...]:
    """Return the static nodes used bar by bar with arithmetic of whole numbers in them."""
    nodes = program.nodes
    used = {*program.signals.values(), *program.distances.values()}
    used |= {below for node in nodes if not node.static for below in node.inputs}
    return tuple(
        place
        for place in sorted(used)
        if nodes[place].static
        and any(
            nodes[below].kind is Kind.WHOLE and nodes[below].inputs
            for below in needed(nodes, (place,))
        )
    )
