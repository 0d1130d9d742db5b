"""Health under full load: a study at full speed, hundreds of watchers, and how fast health answers.

    python benchmarks/crowd.py [--watchers 500] [--json]

One data service, one worker with a slot per CPU, one optimizer on SQLite. A random study of light
trials runs while everybody watches it over streams of their own; beside that, a process of its
own asks every service for its health ten times a second, until the study is over.

    <service>_health_ms_median, _p99, _max   wall time of a health check
    study_seconds, watched_events            how long it took, and events told to all watchers
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import datasets, reference_grid
from benchmarks.parts.printing import print_figures
from benchmarks.parts.processes import service

_PAUSE_SECONDS: Final = 0.1
_TRIALS: Final = 20_000
_ALONE: Final = [("grpc.use_local_subchannel_pool", 1)]
"""A connection of its own for each channel."""

_SPEC: Final = {
    "strategy": {"name": "strategies/ma_crossover"},
    "parameters": [
        {"name": "fast_period", "int_range": {"low": 5, "high": 100}},
        {"name": "slow_period", "int_range": {"low": 20, "high": 200}},
        {"name": "stop_loss_ratio", "double_range": {"low": 0.005, "high": 0.1}},
    ],
    "objectives": [{"metric": "total_return_ratio"}],
    "random": {"trial_count": _TRIALS},
    "seed": "1",
}


async def health_of(address: str, done: Path) -> list[float]:
    """Ask a process for its health until a file is there; return the seconds each answer took."""
    found = []
    async with grpc.aio.insecure_channel(address, options=_ALONE) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest())
        while not await asyncio.to_thread(done.exists):
            began = time.perf_counter()
            await stub.Check(health_pb2.HealthCheckRequest())
            found.append(time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_SECONDS)
    return found


def checked(addresses: dict[str, str], done: Path) -> dict[str, list[float]]:
    """Ask all processes; runs in a process that does nothing else."""

    async def all_of_them() -> list[list[float]]:
        return await asyncio.gather(*(health_of(one, done) for one in addresses.values()))

    return dict(zip(addresses, asyncio.run(all_of_them()), strict=True))


async def watched(address: str, name: str) -> int:
    """Watch a study to its end over a stream of one's own; return how many events were told."""
    count = 0
    async with grpc.aio.insecure_channel(address, options=_ALONE) as channel:
        stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
        async for answer in stub.WatchStudy(pb.WatchStudyRequest(name=name)):
            count += 1
            if answer.event.HasField("study_finished"):
                break
    return count


async def crowded(address: str, spec: study_pb2.StudySpec, watchers: int) -> tuple[float, int]:
    """Run the study before its watchers; return seconds and events."""
    async with grpc.aio.insecure_channel(address, options=_ALONE) as channel:
        stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
        began = time.perf_counter()
        study = (await stub.CreateStudy(pb.CreateStudyRequest(spec=spec))).study
        counts = await asyncio.gather(*(watched(address, study.name) for _ in range(watchers)))
        return time.perf_counter() - began, sum(counts)


def told(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(seconds)
    return {
        f"{name}_health_ms_median": statistics.median(ordered) * 1e3,
        f"{name}_health_ms_p99": ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] * 1e3,
        f"{name}_health_ms_max": ordered[-1] * 1e3,
    }


def measure(watchers: int) -> dict[str, float]:
    """Return all figures of one run."""
    interval, bars, lookback = reference_grid.INTERVAL, reference_grid.BARS, reference_grid.LOOKBACK
    with tempfile.TemporaryDirectory() as folder, service("data", Path(folder)) as data:
        snapshot = datasets.synthetic(data.address, interval, bars, lookback)
        spec = json_format.ParseDict(_SPEC, study_pb2.StudySpec())
        spec.data.append(snapshot)
        slots = str(os.cpu_count() or 1)
        settings = {"ASSAY_DATA_ADDRESS": data.address, "ASSAY_SLOTS": slots}
        with service("backtest", Path(folder), **settings) as worker:
            addresses = {"ASSAY_BACKTEST_ADDRESS": worker.address}
            with service("optimizer", Path(folder), **addresses) as optimizer:
                services = {"data": data, "backtest": worker, "optimizer": optimizer}
                asked = {name: one.address for name, one in services.items()}
                done = Path(folder) / "done"
                spawn = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=spawn) as apart:
                    health = apart.submit(checked, asked, done)
                    try:
                        seconds, events = asyncio.run(crowded(optimizer.address, spec, watchers))
                    finally:
                        done.touch()
                    told_health = health.result()
    figures = {"study_seconds": seconds, "watched_events": float(events)}
    for name, found in told_health.items():
        figures |= told(name, found)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watchers", type=int, default=500, help="streams at once")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures = measure(arguments.watchers)
    print_figures(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
