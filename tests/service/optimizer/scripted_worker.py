"""A worker of the tests' own: a real BacktestService whose strategy earns by a formula."""

# ruff: noqa: N802 - the contract gives the names

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from assay.backtest.v1 import (
    backtest_service_pb2,
    backtest_service_pb2_grpc,
    execution_pb2,
    metrics_pb2,
    strategy_pb2,
    stress_pb2,
)
from assay.market.v1 import candles_pb2

from services.common.errors import AssayError, Code, Violation, refuse
from services.common.frames_codec import timestamp_from_ms
from services.common.server import Application
from tests.service.optimizer.scripted_returns import statistics_of

BAR_COUNT = 8_784
DATASET = "datasets/bybit.linear.btcusdt.1h"

Value = int | float | str


def _number(
    name: str, kind: int, low: float, high: float, default: strategy_pb2.ParameterValue | None
) -> strategy_pb2.ParameterInfo:
    return strategy_pb2.ParameterInfo(
        name=name,
        type=strategy_pb2.ParameterInfo.Type.ValueType(kind),
        minimum=low,
        maximum=high,
        default_value=default,
    )


_INT = strategy_pb2.ParameterInfo.TYPE_INT
_DOUBLE = strategy_pb2.ParameterInfo.TYPE_DOUBLE

STRATEGIES = [
    strategy_pb2.Strategy(name="strategies/buy_and_hold"),
    strategy_pb2.Strategy(
        name="strategies/ma_crossover",
        parameters=[
            _number("fast_period", _INT, 1, 10_000, None),
            _number("slow_period", _INT, 1, 10_000, None),
            strategy_pb2.ParameterInfo(
                name="average",
                type=strategy_pb2.ParameterInfo.TYPE_CATEGORY,
                categories=["sma", "ema"],
                default_value=strategy_pb2.ParameterValue(category_value="sma"),
            ),
        ],
    ),
]


def metrics_of(values: Mapping[str, Value]) -> dict[str, float] | None:
    """Return what a set earns; None for a set whose sharpe_ratio is undefined."""
    fast, slow = float(values["fast_period"]), float(values["slow_period"])
    bonus = 0.25 if values.get("average") == "ema" else 0.0
    stop = float(values.get("stop_loss_ratio", 0.05))
    if fast == slow:
        return None
    return {
        "sharpe_ratio": bonus + 2 - abs(fast - 17) / 12 - abs(slow - 110) / 70 - abs(stop - 0.05),
        "max_drawdown_ratio": 0.1 + fast / 500,
        "trade_count": 2000 // slow,
    }


class ScriptedWorker(backtest_service_pb2_grpc.BacktestServiceServicer):
    """Answers by `metrics_of`; what else it says can be set.

    Attributes:
        earns: What a set earns; None for one whose sharpe_ratio is undefined.
        gate: Batches of a study wait for it; probes do not.
        failures: Errors of the next batches of a study, in order.
        probe_failure: Error of every probe and of RunBacktest.
        missing_bar_count: What it says of the data.
        synthetic: What it says of the data.
        window_bar_count: Bars of its window.
        batches: Set counts of the batches of studies.
        runs: Requests for one backtest.
        reruns: Batches of reports: trials and their neighbours once more.
        stress_tests: Requests for stress tests.
        permuted: Seeds of the batches on permuted bars.
    """

    def __init__(self) -> None:
        self.earns: Callable[[Mapping[str, Value]], dict[str, float] | None] = metrics_of
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.failures: list[AssayError] = []
        self.probe_failure: AssayError | None = None
        self.missing_bar_count = 0
        self.synthetic = False
        self.window_bar_count = BAR_COUNT
        self.batches: list[int] = []
        self.probes: list[backtest_service_pb2.RunBacktestBatchRequest] = []
        self.runs: list[backtest_service_pb2.RunBacktestRequest] = []
        self.reruns: list[backtest_service_pb2.RunBacktestBatchRequest] = []
        self.stress_tests: list[stress_pb2.RunStressTestRequest] = []
        self.permuted: list[int] = []

    def close_gate(self) -> None:
        """Keep the batches that come from now on; `waiting` is set by the first of them."""
        self.gate.clear()
        self.waiting.clear()

    async def ListStrategies(
        self, request: backtest_service_pb2.ListStrategiesRequest, context: Any
    ) -> backtest_service_pb2.ListStrategiesResponse:
        """List the strategies, one a page."""
        page = int(request.page_token or 0)
        return backtest_service_pb2.ListStrategiesResponse(
            strategies=STRATEGIES[page : page + 1],
            execution_parameters=[
                _number("position_fraction_ratio", _DOUBLE, 5e-324, 1.0, None),
                _number("stop_loss_ratio", _DOUBLE, 5e-324, 0.9999999999999999, None),
            ],
            next_page_token=str(page + 1) if page + 1 < len(STRATEGIES) else "",
        )

    async def GetWorkerStatus(
        self, request: backtest_service_pb2.GetWorkerStatusRequest, context: Any
    ) -> backtest_service_pb2.GetWorkerStatusResponse:
        """Say which code runs."""
        return backtest_service_pb2.GetWorkerStatusResponse(slot_count=2, code_version="scripted")

    async def RunBacktest(
        self, request: backtest_service_pb2.RunBacktestRequest, context: Any
    ) -> backtest_service_pb2.RunBacktestResponse:
        """Return the metrics of buy-and-hold."""
        self.runs.append(request)
        refuse(_violations(request))
        if self.probe_failure is not None:
            raise self.probe_failure
        return backtest_service_pb2.RunBacktestResponse(
            metrics=metrics_pb2.Metrics(total_return_ratio=1.2)
        )

    async def RunBacktestBatch(
        self, request: backtest_service_pb2.RunBacktestBatchRequest, context: Any
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        """Run the sets of a probe or of a study."""
        sets = _sets_of(request)
        if request.HasField("bar_permutation_seed"):
            self.permuted.append(request.bar_permutation_seed)
            return self._response(request, sets)
        if request.metrics:
            again = request.HasField("return_statistics") or list(request.metrics) != [
                "trade_count"
            ]
            (self.reruns if again else self.probes).append(request)
            refuse(_violations(request))
            if self.probe_failure is not None:
                raise self.probe_failure
        else:
            self.batches.append(len(sets))
            self.waiting.set()
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
        return self._response(request, sets)

    async def RunStressTest(
        self, request: stress_pb2.RunStressTestRequest, context: Any
    ) -> stress_pb2.RunStressTestResponse:
        """Put a set under stress."""
        self.stress_tests.append(request)
        if self.probe_failure is not None:
            raise self.probe_failure
        return stressed(request)

    def _response(
        self, request: backtest_service_pb2.RunBacktestBatchRequest, sets: list[dict[str, Value]]
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        lookback = max(int(values.get("slow_period", 0)) for values in sets)
        response = backtest_service_pb2.RunBacktestBatchResponse(
            snapshot=_resolved(request.snapshot, lookback),
            execution=_filled(request.execution),
            bar_count=request.bar_limit or self.window_bar_count,
            missing_bar_count=self.missing_bar_count,
            synthetic=self.synthetic,
        )
        for index, values in enumerate(sets):
            needed = int(values.get("slow_period", 0)) + 2
            if needed > self.window_bar_count:
                response.failures.add(
                    index=index,
                    reason="WINDOW_TOO_SHORT",
                    message=f"needs {needed} bars",
                    metadata={
                        "needed_bar_count": str(needed),
                        "available_bar_count": str(self.window_bar_count),
                    },
                )
        if request.HasField("return_statistics"):
            response.return_statistics.CopyFrom(statistics_of(sets, request.return_statistics))
        # Buy-and-hold, without parameters, earns what nobody asks for.
        earned = [self.earns(values) if values else None for values in sets]
        if request.HasField("bar_permutation_seed"):
            more = permuted_bonus(request.bar_permutation_seed)
            for one in earned:
                if one is not None:
                    one["sharpe_ratio"] += more
        for name in request.metrics or metrics_pb2.Metrics.DESCRIPTOR.fields_by_name:
            if name != "undefined":
                response.columns.append(_column(name, earned))
        return response


def permuted_bonus(seed: int) -> float:
    """Return what is added to the Sharpe ratios of a permuted market, from -3 to 1."""
    return seed % 1_000 / 250 - 3


def stressed(request: stress_pb2.RunStressTestRequest) -> stress_pb2.RunStressTestResponse:
    """Return what a set earns under stress: half of its Sharpe ratio for each factor more."""
    values = {
        one.name: getattr(one.value, str(one.value.WhichOneof("kind")))
        for one in request.parameters
    }
    sharpe = (metrics_of(values) or {})["sharpe_ratio"]

    def metrics(times: float) -> metrics_pb2.Metrics:
        return metrics_pb2.Metrics(sharpe_ratio=sharpe * times, total_return_ratio=times / 4)

    factors = request.parts.cost_factors or [1.0, 2.0, 3.0]
    some = stress_pb2.StressDistribution(
        defined_count=100, mean=0.1, quantile_05=-0.01, median=0.1, positive_ratio=0.9
    )
    noise = metrics_pb2.MetricColumn(metric=request.metrics[0], values=[0.0, sharpe * 0.7, 9.0])
    return stress_pb2.RunStressTestResponse(
        base=metrics(1.0),
        costs=[
            stress_pb2.CostStress(factor=factor, metrics=metrics(1.4 - 0.5 * (factor - 1)))
            for factor in factors
        ],
        delay=stress_pb2.DelayStress(bar_count=1, metrics=metrics(0.1)),
        noise=stress_pb2.NoiseStress(
            variant_count=3, noise_ratio=0.001, total_return_ratio=some, columns=[noise]
        ),
        drops=stress_pb2.TradeDropStress(variant_count=1_000, total_return_ratio=some),
        entry_permutation=stress_pb2.EntryPermutation(variant_count=999, p_value=0.05),
        bar_count=BAR_COUNT,
    )


def _sets_of(request: backtest_service_pb2.RunBacktestBatchRequest) -> list[dict[str, Value]]:
    sets: list[dict[str, Value]] = [{} for _ in range(request.set_count)]
    for one in request.fixed_parameters:
        for values in sets:
            values[one.name] = getattr(one.value, str(one.value.WhichOneof("kind")))
    for column in request.columns:
        kind = column.WhichOneof("values")
        words = column.category_values
        given: Sequence[Value] = (
            [words.categories[index] for index in words.indexes]
            if kind == "category_values"
            else list(getattr(column, str(kind)).values)
        )
        for values, value in zip(sets, given, strict=True):
            values[column.name] = value
    return sets


def _resolved(snapshot: candles_pb2.CandleSnapshot, lookback: int) -> candles_pb2.CandleSnapshot:
    resolved = candles_pb2.CandleSnapshot()
    resolved.CopyFrom(snapshot)
    if not resolved.window.HasField("start_time"):
        resolved.window.start_time.CopyFrom(timestamp_from_ms(1_704_067_200_000))
    if not resolved.window.HasField("end_time"):
        resolved.window.end_time.CopyFrom(timestamp_from_ms(1_735_689_600_000))
    if not resolved.HasField("lookback_bar_count"):
        resolved.lookback_bar_count = lookback
    resolved.content_digest = resolved.content_digest or "ab" * 32
    return resolved


def _violations(
    request: backtest_service_pb2.RunBacktestRequest | backtest_service_pb2.RunBacktestBatchRequest,
) -> list[Violation]:
    """Return what a worker would say of definition and execution model, as far as tests need it."""
    found = []
    model, definition = request.execution, request.strategy.definition
    for name, limit in (("taker_fee_bps", 1_000), ("stop_loss_ratio", 1)):
        if not 0 <= getattr(model, name) < limit:
            found.append(Violation(f"execution.{name}", "is out of bounds"))
    found += [
        Violation(f"execution.{name}", "is not one of the choices")
        for name in ("intrabar_policy", "target_fill")
        if getattr(model, name) > 3
    ]
    if "?" in definition.enter_long:
        place = definition.enter_long.index("?") + 1
        found.append(Violation("strategy.definition.enter_long", f"character {place}: odd"))
    return found


def _filled(model: execution_pb2.ExecutionModel) -> execution_pb2.ExecutionModel:
    """Return an execution model with defaults and digests, as a worker tells it."""
    filled = execution_pb2.ExecutionModel(
        initial_capital_quote=10_000, taker_fee_bps=5.5, slippage_bps=0, position_fraction_ratio=1
    )
    filled.MergeFrom(model)
    for name in ("funding", "mark", "detail"):
        series: execution_pb2.PinnedSeries = getattr(filled, name)
        if filled.HasField(name):
            series.content_digest = series.content_digest or "cd" * 32
    return filled


def _column(name: str, earned: list[dict[str, float] | None]) -> metrics_pb2.MetricColumn:
    column = metrics_pb2.MetricColumn(metric=name)
    reasons = []
    for metrics in earned:
        if metrics is not None and name in metrics:
            column.values.append(metrics[name])
            reasons.append(metrics_pb2.UNDEFINED_REASON_UNSPECIFIED)
        else:
            reasons.append(metrics_pb2.UNDEFINED_REASON_NO_TRADES)
    if any(reasons):
        column.undefined_reasons.extend(reasons)
    return column


async def _nothing() -> None:
    """Need no warm-up and leave nothing open."""


def application(worker: ScriptedWorker) -> Application:
    """Return the worker as a service."""

    def register(server: grpc.aio.Server) -> None:
        backtest_service_pb2_grpc.add_BacktestServiceServicer_to_server(worker, server)

    return Application(
        name="backtest",
        service="assay.backtest.v1.BacktestService",
        domain="backtest.assay",
        register=register,
        warm_up=_nothing,
        close=_nothing,
    )


def refusal(code: Code, reason: str, domain: str | None = None, **metadata: str) -> AssayError:
    """Return an error for the worker to raise."""
    return AssayError(code, reason, f"scripted {reason}", metadata=metadata, domain=domain)
