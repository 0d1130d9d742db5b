"""Runs one backtest after the other until /tmp/enough exists, and says how many calls failed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import grpc
from assay.backtest.v1.backtest_service_pb2 import RunBacktestRequest
from assay.backtest.v1.backtest_service_pb2_grpc import BacktestServiceStub
from assay.data.v1.data_service_pb2 import SyncDatasetRequest
from assay.data.v1.data_service_pb2_grpc import DataServiceStub
from google.protobuf.json_format import ParseDict

from services.common.channel import connect

DATASET = "datasets/synthetic.rehearsal.1h"
WINDOW = {"start_time": "2024-01-01T00:00:00Z", "end_time": "2024-04-01T00:00:00Z"}
BACKTEST = {"snapshot": {"dataset": DATASET}, "strategy": {"name": "strategies/ma_crossover"}}
PAUSE_SECONDS = 0.2


async def main() -> int:
    """Call until told that it is enough; returns the exit status."""
    data = connect(os.environ["ASSAY_DATA_ADDRESS"], "assay.data.v1.DataService")
    workers = connect(os.environ["ASSAY_BACKTEST_ADDRESS"], "assay.backtest.v1.BacktestService")
    wanted = ParseDict({"name": DATASET, "window": WINDOW}, SyncDatasetRequest())
    async for _ in DataServiceStub(data).SyncDataset(wanted):
        pass
    calls, failures = 0, []
    while not Path("/tmp/enough").exists():  # noqa: ASYNC240, S108 - a pod's own folder, looked at
        calls += 1
        try:
            request = ParseDict(BACKTEST, RunBacktestRequest())
            await BacktestServiceStub(workers).RunBacktest(request)
            Path("/tmp/begun").touch()  # noqa: ASYNC240, S108
        except grpc.aio.AioRpcError as error:
            failures.append(f"{error.code().name}: {error.details()}")
        await asyncio.sleep(PAUSE_SECONDS)
    sys.stdout.write("\n".join([*failures, f"{calls} calls, {len(failures)} failed\n"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
