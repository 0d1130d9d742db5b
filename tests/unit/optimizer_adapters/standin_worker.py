"""A backtest worker that computes next to nothing and misbehaves on demand, over real gRPC.

As a program it serves on the port it is given and dies over sets whose fast_period is 13.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1 import backtest_service_pb2_grpc, metrics_pb2

from services.common.status import ErrorInterceptor
from services.optimizer.core.trial import Outcome, Point

Behaviour = Callable[[pb.RunBacktestBatchRequest], Awaitable[None]]

DEADLY = 13


def outcome_of(point: Point) -> Outcome:
    """Return what the stand-in says of a point."""
    fast, width = int(point["fast_period"]), float(point["width"])
    if fast == 0:
        return Outcome(failure_reason="WINDOW_TOO_SHORT", failure_message="too short")
    metrics = {"sharpe_ratio": width / fast, "trade_count": float(fast)}
    if fast % 5 == 0:
        del metrics["sharpe_ratio"]
        return Outcome(metrics, {"sharpe_ratio": metrics_pb2.UNDEFINED_REASON_NO_TRADES})
    return Outcome(metrics)


def points_of(request: pb.RunBacktestBatchRequest) -> list[Point]:
    """Return the searched half of the points of a request."""
    columns: dict[str, Sequence[Any]] = {}
    for column in request.columns:
        values = getattr(column, str(column.WhichOneof("values")))
        columns[column.name] = (
            [values.categories[index] for index in values.indexes]
            if column.HasField("category_values")
            else values.values
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def answer_to(request: pb.RunBacktestBatchRequest) -> pb.RunBacktestBatchResponse:
    """Return the columns for all sets of a request, as the contract wants them."""
    outcomes = [outcome_of(point) for point in points_of(request)]
    response = pb.RunBacktestBatchResponse()
    for name in ("sharpe_ratio", "trade_count"):
        column = response.columns.add(metric=name)
        reasons = [_reason(outcome, name) for outcome in outcomes]
        column.values.extend(one.metrics[name] for one in outcomes if name in one.metrics)
        if any(reasons):
            column.undefined_reasons.extend(
                metrics_pb2.UndefinedReason.ValueType(reason) for reason in reasons
            )
    for index, outcome in enumerate(outcomes):
        if outcome.failure_reason:
            response.failures.add(
                index=index, reason=outcome.failure_reason, message=outcome.failure_message
            )
    return response


def _reason(outcome: Outcome, name: str) -> int:
    if outcome.failure_reason:
        return metrics_pb2.UNDEFINED_REASON_SET_FAILED
    return outcome.undefined.get(name, 0)


class StandIn(backtest_service_pb2_grpc.BacktestServiceServicer):
    """Answers batches after the behaviour has had its way with them.

    Attributes:
        requests: The batches that came, in order.
        seconds_of: What it says that a point takes to compute; nothing where it is None.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.seconds_of: Callable[[Point], float] | None = None
        self.requests: list[pb.RunBacktestBatchRequest] = []
        self._behaviour = behaviour

    async def RunBacktestBatch(  # noqa: N802 - the contract's name
        self, request: pb.RunBacktestBatchRequest, context: Any
    ) -> pb.RunBacktestBatchResponse:
        """Behave, then answer."""
        self.requests.append(request)
        await self._behaviour(request)
        if self.seconds_of is not None:
            seconds = sum(map(self.seconds_of, points_of(request)))
            context.set_trailing_metadata((("x-compute-ns", str(round(seconds * 1e9))),))
        return answer_to(request)

    async def GetWorkerStatus(  # noqa: N802 - the contract's name
        self, request: pb.GetWorkerStatusRequest, context: Any
    ) -> pb.GetWorkerStatusResponse:
        """Say that there is a worker."""
        return pb.GetWorkerStatusResponse(slot_count=1)


async def start_server(servicer: StandIn, port: int = 0) -> tuple[grpc.aio.Server, int]:
    """Serve on a loopback port; returns the server and the port."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor("backtest.assay")])
    backtest_service_pb2_grpc.add_BacktestServiceServicer_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound


async def _die_over_the_deadly(request: pb.RunBacktestBatchRequest) -> None:
    if any(point["fast_period"] == DEADLY for point in points_of(request)):
        os._exit(1)


async def _serve(port: int) -> None:
    server, _ = await start_server(StandIn(_die_over_the_deadly), port)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
