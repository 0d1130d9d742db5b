"""Requests to run backtests: checked as a whole, then plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeVar

from assay.backtest.v1 import backtest_service_pb2, strategy_pb2

from services.backtest.convert.choices import StrategyChoice
from services.backtest.convert.execution_model import (
    SearchedExecution,
    read_execution,
    with_parameters,
)
from services.backtest.convert.series import SeriesChoices, problems_with_series
from services.backtest.convert.snapshots import SnapshotChoice, problems_with_snapshot
from services.backtest.convert.values import equal_column
from services.backtest.core.execution import EXECUTION_PARAMETERS, Direction, Execution
from services.backtest.core.measures.return_sums import WantedReturns
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.strategies import Strategy
from services.common.errors import Violation

MOST_SETS: Final = 10_000
MOST_CURVE_BARS: Final = 100_000
"""A longer curve would not fit into the message size that gRPC clients take by default."""

MOST_CUTS: Final = 1_000
DEFAULT_CUTS: Final = 32

DEFAULT_BLOCKS: Final = 16
MOST_BLOCKS: Final = 64
MOST_GIVEN_BLOCKS: Final = 128

FEWEST_BARS: Final = 2
"""A decision and its fill."""

_METRICS: Final = frozenset(METRIC_NAMES)

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RunJob:
    """One backtest, checked.

    Attributes:
        choice: The candles.
        series: The series beside them.
        strategy: The strategy.
        told: The strategy as it is told again.
        direction: Sides allowed.
        values: Every parameter of the strategy, defaults included, in its order.
        given_execution: Execution parameters given among the parameters, in their order.
        execution: The execution model, those parameters included.
        detail: How much to tell, a `Detail`.
        bar_limit: Bars of the window to run, the first ones; None: all.
    """

    choice: SnapshotChoice
    series: SeriesChoices
    strategy: Strategy
    told: strategy_pb2.StrategyChoice
    direction: Direction
    values: Mapping[str, Value]
    given_execution: Mapping[str, Value]
    execution: Execution
    detail: int
    bar_limit: int | None

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
        series: The series beside them.
        strategy: The strategy.
        direction: Sides allowed.
        sets: A column per strategy parameter given, and per execution parameter that differs.
        execution: The execution model, equal execution parameters included.
        searched: Execution parameters that differ between the sets.
        metrics: Names of the metrics wanted, in the wanted order.
        bar_limit: Bars of the window to run, the first ones; None: all.
        returns: What is wanted of daily returns; None: nothing.
        bar_permutation_seed: Seed of the order of bars; None: their own.
    """

    choice: SnapshotChoice
    series: SeriesChoices
    strategy: Strategy
    direction: Direction
    sets: ParameterSets
    execution: Execution
    searched: Sequence[str]
    metrics: Sequence[str]
    bar_limit: int | None
    returns: WantedReturns | None = None
    bar_permutation_seed: int | None = None


@dataclass(frozen=True, slots=True)
class CheckJob:
    """A look for look-ahead, checked.

    Attributes:
        choice: The candles.
        strategy: The strategy.
        direction: Sides allowed.
        values: Every parameter of the strategy, defaults included.
        cut_count: Shorter frames to try.
    """

    choice: SnapshotChoice
    strategy: Strategy
    direction: Direction
    values: Mapping[str, Value]
    cut_count: int


def run_job(request: backtest_service_pb2.RunBacktestRequest) -> RunJob:
    """Check a request for one backtest.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID with everything wrong, or
            NOT_FOUND/STRATEGY_UNKNOWN when only that is.
    """
    found = problems_with_snapshot(request.snapshot)
    if request.detail not in backtest_service_pb2.Detail.values():
        found.append(Violation("detail", f"{request.detail} is not one of the choices"))
    bar_limit = _bar_limit(request, found)
    choice = StrategyChoice(request.strategy, found, beside=EXECUTION_PARAMETERS)
    found += problems_with_series(request.execution)
    execution = read_execution(request.execution, found)
    given = choice.reader.assignments(request.parameters, "parameters")
    choice.reader.require(choice.parameters, "parameters")
    searched = SearchedExecution(_of_execution(given), {}, choice.reader.places)
    execution = with_parameters(
        execution, request.execution, searched, found, stop_defined=choice.defines_stop
    )
    choice.check_together(given)
    return RunJob(
        strategy=choice.strategy_or_refusal(),
        choice=SnapshotChoice.from_proto(request.snapshot),
        series=SeriesChoices.from_proto(request.execution),
        told=choice.message,
        direction=choice.direction,
        values=choice.complete(given),
        given_execution=searched.fixed,
        execution=execution,
        detail=request.detail,
        bar_limit=bar_limit,
    )


def batch_job(request: backtest_service_pb2.RunBacktestBatchRequest) -> BatchJob:
    """Check a request for many backtests.

    Raises:
        AssayError: as `run_job`.
    """
    found = problems_with_snapshot(request.snapshot)
    count = request.set_count
    if not 1 <= count <= MOST_SETS:
        found.append(Violation("set_count", f"must be from 1 to {MOST_SETS:,}"))
    metrics = read_metrics(request.metrics, found)
    bar_limit = _bar_limit(request, found)
    returns = _wanted_returns(request, found)
    permutation_seed = _bar_permutation_seed(request, found)
    choice = StrategyChoice(request.strategy, found, beside=EXECUTION_PARAMETERS)
    found += problems_with_series(request.execution)
    execution = read_execution(request.execution, found)
    columns = choice.reader.columns(request.columns, count)
    fixed = choice.reader.assignments(request.fixed_parameters, "fixed_parameters")
    choice.reader.require(choice.parameters, "columns")
    searched = SearchedExecution(_of_execution(fixed), _of_execution(columns), choice.reader.places)
    execution = with_parameters(
        execution, request.execution, searched, found, stop_defined=choice.defines_stop
    )
    strategy = choice.strategy_or_refusal()
    own = {info.name for info in strategy.parameters}
    equal = {name: equal_column(value, count) for name, value in fixed.items() if name in own}
    return BatchJob(
        choice=SnapshotChoice.from_proto(request.snapshot),
        series=SeriesChoices.from_proto(request.execution),
        strategy=strategy,
        direction=choice.direction,
        sets=ParameterSets(count, {**equal, **columns}),
        execution=execution,
        searched=tuple(searched.columns),
        metrics=metrics,
        bar_limit=bar_limit,
        returns=returns,
        bar_permutation_seed=permutation_seed,
    )


def check_job(request: backtest_service_pb2.CheckLookAheadRequest) -> CheckJob:
    """Check a request to look for look-ahead.

    Raises:
        AssayError: as `run_job`.
    """
    found = problems_with_snapshot(request.snapshot)
    cut_count = request.cut_count if request.HasField("cut_count") else DEFAULT_CUTS
    if not 1 <= cut_count <= MOST_CUTS:
        found.append(Violation("cut_count", f"must be from 1 to {MOST_CUTS:,}"))
    choice = StrategyChoice(request.strategy, found)
    given = choice.reader.assignments(request.parameters, "parameters")
    choice.reader.require(choice.parameters, "parameters")
    choice.check_together(given)
    return CheckJob(
        strategy=choice.strategy_or_refusal(),
        choice=SnapshotChoice.from_proto(request.snapshot),
        direction=choice.direction,
        values=choice.complete(given),
        cut_count=cut_count,
    )


def _bar_limit(
    request: backtest_service_pb2.RunBacktestRequest | backtest_service_pb2.RunBacktestBatchRequest,
    found: list[Violation],
) -> int | None:
    if not request.HasField("bar_limit"):
        return None
    if request.bar_limit < FEWEST_BARS:
        found.append(Violation("bar_limit", f"must be at least {FEWEST_BARS}"))
    return request.bar_limit


def _wanted_returns(
    request: backtest_service_pb2.RunBacktestBatchRequest, found: list[Violation]
) -> WantedReturns | None:
    if not request.HasField("return_statistics"):
        return None
    wanted = request.return_statistics
    count = wanted.block_count if wanted.HasField("block_count") else DEFAULT_BLOCKS
    if count % 2 or not 2 <= count <= MOST_BLOCKS:
        told = f"must be even, from 2 to {MOST_BLOCKS}"
        found.append(Violation("return_statistics.block_count", told))
    lengths = wanted.block_day_counts
    told = ""
    if lengths and wanted.HasField("block_count"):
        told = "must be empty where block_count is given"
    elif len(lengths) > MOST_GIVEN_BLOCKS:
        told = f"holds {len(lengths):,} blocks; {MOST_GIVEN_BLOCKS} are the most"
    elif any(length < 1 for length in lengths):
        told = "must be at least 1 day each"
    if told:
        found.append(Violation("return_statistics.block_day_counts", told))
    return WantedReturns(count, tuple(lengths[:MOST_GIVEN_BLOCKS]), wanted.daily_returns)


def _bar_permutation_seed(
    request: backtest_service_pb2.RunBacktestBatchRequest, found: list[Violation]
) -> int | None:
    if not request.HasField("bar_permutation_seed"):
        return None
    if request.bar_permutation_seed < 0:
        found.append(Violation("bar_permutation_seed", "must be 0 or more"))
    return request.bar_permutation_seed


def _of_execution(values: Mapping[str, V]) -> dict[str, V]:
    """Return those of the values that belong to the execution model, in its order."""
    return {info.name: values[info.name] for info in EXECUTION_PARAMETERS if info.name in values}


def read_metrics(names: Sequence[str], found: list[Violation]) -> tuple[str, ...]:
    """Return the metrics wanted, all of them where none is named."""
    if len(names) > len(METRIC_NAMES):
        told = f"holds {len(names):,} names, but there are {len(METRIC_NAMES)} metrics"
        found.append(Violation("metrics", told))
    seen: set[str] = set()
    for number, name in enumerate(names[: len(METRIC_NAMES)]):
        if name not in _METRICS:
            near = get_close_matches(name, METRIC_NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            found.append(Violation(f"metrics[{number}]", f"no metric is called {name!r}{hint}"))
        elif name in seen:
            found.append(Violation(f"metrics[{number}]", f"{name!r} is wanted twice"))
        seen.add(name)
    return tuple(names) or METRIC_NAMES
