"""The backtest workers as the optimizer asks them outside a study's loop."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import grpc
from assay.backtest.v1 import backtest_service_pb2, backtest_service_pb2_grpc, stress_pb2
from assay.optimizer.v1 import study_pb2

from services.common.errors import AssayError, Code
from services.common.status import error_of
from services.optimizer.adapters.workers.batch_messages import BatchMaker, Part
from services.optimizer.core.trial import Point

RETRY_AFTER_MS: Final = 1_000

T = TypeVar("T")


class BacktestClient:
    """Calls one RPC at a time and tells failures in the optimizer's words.

    Every method may raise AssayError: UNAVAILABLE/NO_WORKERS, UNAVAILABLE/DATA_UNAVAILABLE, or what
    a worker or the data service says, with its own domain.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)

    async def catalog(self) -> backtest_service_pb2.ListStrategiesResponse:
        """Return all strategies, with the execution model's parameters."""
        catalog = await _called(
            self._stub.ListStrategies(backtest_service_pb2.ListStrategiesRequest(page_size=1_000))
        )
        while catalog.next_page_token:
            page = await _called(
                self._stub.ListStrategies(
                    backtest_service_pb2.ListStrategiesRequest(
                        page_size=1_000, page_token=catalog.next_page_token
                    )
                )
            )
            catalog.strategies.extend(page.strategies)
            catalog.next_page_token = page.next_page_token
        return catalog

    async def run_batch(
        self, request: backtest_service_pb2.RunBacktestBatchRequest
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        """Run a few sets."""
        return await _called(self._stub.RunBacktestBatch(request))

    async def run(
        self, request: backtest_service_pb2.RunBacktestRequest
    ) -> backtest_service_pb2.RunBacktestResponse:
        """Run one set."""
        return await _called(self._stub.RunBacktest(request))

    async def run_points(
        self,
        spec: study_pb2.StudySpec,
        points: Sequence[Point],
        metrics: Sequence[str],
        *,
        returns: backtest_service_pb2.ReturnStatisticsRequest | None = None,
        window_number: int | None = None,
    ) -> backtest_service_pb2.RunBacktestBatchResponse:
        """Run points of a stored study, for these metrics; told too is what is asked of returns.

        Over the in-sample span of a window where one is given.
        """
        request = BatchMaker(spec).request(points, Part(window_number=window_number))
        request.metrics.extend(metrics)
        if returns is not None:
            request.return_statistics.CopyFrom(returns)
        return await _called(self._stub.RunBacktestBatch(request))

    async def stress(
        self, request: stress_pb2.RunStressTestRequest
    ) -> stress_pb2.RunStressTestResponse:
        """Put one set under stress."""
        return await _called(self._stub.RunStressTest(request))

    async def code_version(self) -> str:
        """Return the version of the workers' code."""
        status = await _called(
            self._stub.GetWorkerStatus(backtest_service_pb2.GetWorkerStatusRequest())
        )
        return status.code_version


def in_own_words(error: AssayError) -> AssayError:
    """Return a failure as the optimizer's contract names it."""
    if error.code is not Code.UNAVAILABLE:
        return error
    of_data = error.reason == "DATA_UNAVAILABLE" or error.domain == "data.assay"
    who = "the data service does not answer" if of_data else "no worker answers"
    return AssayError(
        Code.UNAVAILABLE,
        "DATA_UNAVAILABLE" if of_data else "NO_WORKERS",
        f"{who}: {error.message}",
        retry_after_ms=error.retry_after_ms or RETRY_AFTER_MS,
    )


async def _called(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise in_own_words(error_of(error)) from error
