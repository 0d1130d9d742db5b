"""Calls that tests make to a worker, and how they read refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from google.protobuf import json_format

from services.common.errors import AssayError
from services.common.status import error_of

if TYPE_CHECKING:
    from assay.backtest.v1 import backtest_service_pb2_grpc

DATASET = "datasets/synthetic.walk.1h"

# Quoted: only the stubs know this class.
Stub: TypeAlias = "backtest_service_pb2_grpc.BacktestServiceAsyncStub"
StartWorker = Callable[..., Awaitable[Any]]


def run_request(**fields: Any) -> pb.RunBacktestRequest:
    """Return a request for one crossover over the dataset, with the fields given instead."""
    usual = {
        "snapshot": {"dataset": DATASET},
        "strategy": {"name": "strategies/ma_crossover"},
        "parameters": [
            {"name": "fast_period", "value": {"int_value": "5"}},
            {"name": "slow_period", "value": {"int_value": "20"}},
        ],
    }
    return json_format.ParseDict(usual | fields, pb.RunBacktestRequest())


def batch_request(fast: list[int], **fields: Any) -> pb.RunBacktestBatchRequest:
    """Return a request for crossovers with these fast periods, with the fields given instead."""
    usual = {
        "snapshot": {"dataset": DATASET},
        "strategy": {"name": "strategies/ma_crossover"},
        "set_count": len(fast),
        "columns": [{"name": "fast_period", "int_values": {"values": fast}}],
        "fixed_parameters": [{"name": "slow_period", "value": {"int_value": "20"}}],
    }
    return json_format.ParseDict(usual | fields, pb.RunBacktestBatchRequest())


async def refusal(call: Awaitable[Any]) -> AssayError:
    """Return the error a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return error_of(caught.value)
