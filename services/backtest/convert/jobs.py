"""Requests to run backtests: checked as a whole, then plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeVar

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2

from services.backtest.convert.execution_model import read_execution, with_parameters
from services.backtest.convert.snapshots import SnapshotChoice, problems_with_snapshot
from services.backtest.convert.values import ParameterReader, known_parameters
from services.backtest.core.batch import ParameterSets
from services.backtest.core.execution import EXECUTION_PARAMETERS, Direction, Execution
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.strategies import STRATEGIES, Strategy
from services.common.errors import Violation, refuse, unknown

STRATEGY_PREFIX: Final = "strategies/"
MOST_SETS: Final = 10_000
MOST_CURVE_BARS: Final = 100_000
"""A longer curve would not fit into the message size that gRPC clients take by default."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RunJob:
    """One backtest, checked.

    Attributes:
        choice: The candles.
        strategy: The strategy.
        direction: Sides allowed.
        values: Every parameter of the strategy, defaults included, in its order.
        given_execution: Execution parameters given among the parameters, in their order.
        execution: The execution model, those parameters included.
        detail: How much to tell, a `Detail`.
    """

    choice: SnapshotChoice
    strategy: Strategy
    direction: Direction
    values: Mapping[str, Value]
    given_execution: Mapping[str, Value]
    execution: Execution
    detail: int

    def curve_violations(self, bar_count: int) -> list[Violation]:
        """Return what is wrong with wanting a curve of so many bars."""
        if self.detail != backtest_service_pb2.DETAIL_EQUITY_CURVE or bar_count <= MOST_CURVE_BARS:
            return []
        told = f"the curve of {bar_count:,} bars is too long; at most {MOST_CURVE_BARS:,}"
        return [Violation("detail", told)]


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Many backtests on one frame, checked.

    Attributes:
        choice: The candles.
        strategy: The strategy.
        direction: Sides allowed.
        sets: A column per strategy parameter, and per execution parameter that differs in them.
        execution: The execution model, equal execution parameters included.
        metrics: Names of the metrics wanted, in the wanted order.
    """

    choice: SnapshotChoice
    strategy: Strategy
    direction: Direction
    sets: ParameterSets
    execution: Execution
    metrics: Sequence[str]


def run_job(request: backtest_service_pb2.RunBacktestRequest) -> RunJob:
    """Check a request for one backtest.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID with everything wrong, or
            NOT_FOUND/STRATEGY_UNKNOWN when only that is.
    """
    found = problems_with_snapshot(request.snapshot)
    if request.detail not in backtest_service_pb2.Detail.values():
        found.append(Violation("detail", f"{request.detail} is not one of the choices"))
    choice = _Choice(request.strategy, found)
    execution = read_execution(request.execution, found)
    given = choice.reader.assignments(request.parameters, "parameters")
    choice.reader.require(choice.parameters, "parameters")
    chosen = _of_execution(given)
    execution = with_parameters(execution, chosen, {}, choice.reader.places, found)
    choice.check_together(given)
    strategy = choice.strategy_or_refusal()
    return RunJob(
        choice=SnapshotChoice.from_proto(request.snapshot),
        strategy=strategy,
        direction=choice.direction,
        values=_complete(strategy, given),
        given_execution=chosen,
        execution=execution,
        detail=request.detail,
    )


def batch_job(request: backtest_service_pb2.RunBacktestBatchRequest) -> BatchJob:
    """Check a request for many backtests.

    Raises:
        AssayError: as `run_job`.
    """
    found = problems_with_snapshot(request.snapshot)
    if not 1 <= request.set_count <= MOST_SETS:
        found.append(Violation("set_count", f"must be from 1 to {MOST_SETS:,}"))
    metrics = _metrics(request.metrics, found)
    choice = _Choice(request.strategy, found)
    execution = read_execution(request.execution, found)
    columns = choice.reader.columns(request.columns, request.set_count)
    fixed = choice.reader.assignments(request.fixed_parameters, "fixed_parameters")
    choice.reader.require(choice.parameters, "columns")
    execution = with_parameters(
        execution, _of_execution(fixed), _of_execution(columns), choice.reader.places, found
    )
    strategy = choice.strategy_or_refusal()
    equal = {
        name: [value] * request.set_count
        for name, value in _complete(strategy, fixed).items()
        if name not in columns
    }
    return BatchJob(
        choice=SnapshotChoice.from_proto(request.snapshot),
        strategy=strategy,
        direction=choice.direction,
        sets=ParameterSets(request.set_count, {**equal, **columns}),
        execution=execution,
        metrics=metrics,
    )


class _Choice:
    """The strategy a request chooses, and a reader for its parameters.

    Attributes:
        direction: Sides allowed.
        parameters: The strategy's own parameters; none when the strategy is not known.
        reader: Reads the request's parameters.
    """

    def __init__(self, message: strategy_pb2.StrategyChoice, found: list[Violation]) -> None:
        self._found = found
        self._bare_name = message.name.removeprefix(STRATEGY_PREFIX)
        self._strategy = STRATEGIES.get(self._bare_name)
        if not message.name:
            found.append(Violation("strategy.name", "is required"))
        elif not message.name.startswith(STRATEGY_PREFIX):
            found.append(Violation("strategy.name", 'must have the form "strategies/{strategy}"'))
        self.direction = Direction.LONG
        if int(message.direction) in list(Direction):
            self.direction = Direction(message.direction)
        elif message.direction:
            told = f"{message.direction} is not one of the choices"
            found.append(Violation("strategy.direction", told))
        self.parameters = self._strategy.parameters if self._strategy else ()
        known = known_parameters(self.parameters, EXECUTION_PARAMETERS)
        self.reader = ParameterReader(known, found, complete=self._strategy is not None)

    def check_together(self, given: Mapping[str, Value]) -> None:
        """Note values that make no sense together, if each makes sense alone."""
        if self._strategy is None or any(
            item.field.startswith("parameters") for item in self._found
        ):
            return
        self._found += [
            Violation(self.reader.places.get(name, "parameters"), description)
            for name, description in self._strategy.problems(_complete(self._strategy, given))
        ]

    def strategy_or_refusal(self) -> Strategy:
        """Return the strategy when nothing at all is wrong with the request.

        Raises:
            AssayError: INVALID_ARGUMENT/FIELD_INVALID with everything noted, an unknown strategy
                among it; NOT_FOUND/STRATEGY_UNKNOWN when that is all.
        """
        if self._strategy is not None:
            refuse(self._found)
            return self._strategy
        error = unknown("strategy", self._bare_name, STRATEGIES, "STRATEGY_UNKNOWN")
        if self._found and not any(item.field == "strategy.name" for item in self._found):
            self._found.append(Violation("strategy.name", error.message))
        refuse(self._found)
        raise error


def _of_execution(values: Mapping[str, V]) -> dict[str, V]:
    """Return those of the values that belong to the execution model, in its order."""
    return {info.name: values[info.name] for info in EXECUTION_PARAMETERS if info.name in values}


def _complete(strategy: Strategy, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return every parameter of the strategy with a value, in its order."""
    values = {info.name: given.get(info.name, info.default) for info in strategy.parameters}
    return {name: value for name, value in values.items() if value is not None}


def _metrics(names: Sequence[str], found: list[Violation]) -> tuple[str, ...]:
    """Return the metrics wanted, all of them where none is named."""
    for number, name in enumerate(names):
        if name not in METRIC_NAMES:
            near = get_close_matches(name, METRIC_NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            found.append(Violation(f"metrics[{number}]", f"no metric is called {name!r}{hint}"))
        elif name in names[:number]:
            found.append(Violation(f"metrics[{number}]", f"{name!r} is wanted twice"))
    return tuple(names) or tuple(METRIC_NAMES)
