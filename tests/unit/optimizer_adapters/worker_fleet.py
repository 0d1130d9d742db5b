"""Stand-in workers for tests of the pool: a spec, its points, and what should come of them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.optimizer.v1 import study_pb2
from google.protobuf import json_format

from services.common.channel import connect
from services.optimizer.adapters.workers.worker_pool import Patience, WorkerPool
from services.optimizer.core.trial import Outcome, Point
from tests.unit.optimizer_adapters.standin_worker import (
    Behaviour,
    StandIn,
    outcome_of,
    start_server,
)

SERVICE = "assay.backtest.v1.BacktestService"
QUICK = Patience(call_seconds=20.0, first_pause_seconds=0.01, longest_pause_seconds=0.05)

SPEC = json_format.ParseDict(
    {
        "data": [
            {
                "dataset": "datasets/made.up.1h",
                "lookback_bar_count": 40,
                "content_digest": "ab" * 32,
            }
        ],
        "strategy": {"name": "strategies/ma_crossover", "direction": "DIRECTION_BOTH"},
        "execution": {"taker_fee_bps": 2.5},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 0, "high": 500}},
            {"name": "slow_period", "fixed_value": {"int_value": 40}},
            {"name": "width", "double_range": {"low": 0.5, "high": 9.5}},
            {"name": "average", "categories": {"values": ["sma", "ema"]}},
        ],
    },
    study_pb2.StudySpec(),
)


def points(count: int, first: int = 0) -> list[Point]:
    """Return points of the spec; fast_period counts up from `first`."""
    return [
        {
            "fast_period": first + place,
            "slow_period": 40,
            "width": 0.5 + place % 9,
            "average": ("sma", "ema")[place % 2],
        }
        for place in range(count)
    ]


def expected(wanted: Sequence[Point]) -> list[Outcome]:
    """Return what the workers say of points."""
    return [outcome_of(point) for point in wanted]


async def answer(request: pb.RunBacktestBatchRequest) -> None:
    """Behave well."""


class Fleet:
    """Stand-in workers of one test, and pools that use them."""

    def __init__(self) -> None:
        self._servers: list[grpc.aio.Server] = []
        self._channels: list[grpc.aio.Channel] = []
        self.ports: list[int] = []

    async def start(self, behaviour: Behaviour = answer, port: int = 0) -> StandIn:
        """Start one more worker."""
        worker = StandIn(behaviour)
        server, bound = await start_server(worker, port)
        self._servers.append(server)
        self.ports.append(bound)
        return worker

    def pool(self, max_in_flight: int = 16, patience: Patience = QUICK) -> WorkerPool:
        """Return a pool over all ports known so far, on a channel as the service opens it."""
        addresses = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        channel = connect(f"ipv4:{addresses}", SERVICE)
        self._channels.append(channel)
        return WorkerPool(channel, max_in_flight, patience)

    async def stop(self, place: int) -> None:
        """End a worker at once, with the calls it is busy with."""
        await self._servers[place].stop(None)

    async def close(self) -> None:
        """End everything."""
        for channel in self._channels:
            await channel.close()
        for server in self._servers:
            await server.stop(None)
