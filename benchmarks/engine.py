"""What a worker costs: the reference grid through RunBacktestBatch, and against vectorbt.

    python benchmarks/engine.py [--data FILE.csv.gz] [--peers] [--json]

Starts a data service and a worker with one slot as processes of their own, stores a year of
hourly candles (synthetic, or the first 8,760 bars of a file), and runs 2,500 moving-average
crossovers with five metrics. CPU time is what counts; wall time is told too. `--peers` runs the
same sets in vectorbt and compares every trade count and return.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
from assay.backtest.v1 import backtest_service_pb2, backtest_service_pb2_grpc
from assay.market.v1 import candles_pb2

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import parity, reference_grid
from benchmarks.parts.processes import Service, service

_REPEATS = 5

Figures = dict[str, float]


def _worker_figures(
    worker: Service, request: backtest_service_pb2.RunBacktestBatchRequest
) -> tuple[Figures, backtest_service_pb2.RunBacktestBatchResponse]:
    """Run the grid warm; return the best of several, and the answer."""
    with grpc.insecure_channel(worker.address) as channel:
        stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)
        answer = stub.RunBacktestBatch(request)
        costs = []
        for _ in range(_REPEATS):
            cpu, wall = worker.cpu_seconds(), time.perf_counter()
            answer = stub.RunBacktestBatch(request)
            costs.append((worker.cpu_seconds() - cpu, time.perf_counter() - wall))
    if answer.failures:
        raise SystemExit(f"sets failed, the first with: {answer.failures[0].message}")
    return {
        "grid_worker_cpu_seconds": min(cpu for cpu, _ in costs),
        "grid_wall_seconds": min(wall for _, wall in costs),
        "worker_peak_rss_mb": worker.peak_rss_mb(),
    }, answer


def _kernel_figures(
    data: Service,
    snapshot: candles_pb2.CandleSnapshot,
    request: backtest_service_pb2.RunBacktestBatchRequest,
) -> Figures:
    """Run the same grid in this process, without gRPC."""
    # Imported here: these pull in numba, which the other figures do not need.
    from services.backtest.convert.jobs import batch_job  # noqa: PLC0415
    from services.backtest.core import batch  # noqa: PLC0415
    from services.backtest.core.frame import Frame  # noqa: PLC0415
    from services.common.intervals import Interval  # noqa: PLC0415

    job = batch_job(request)
    candles = reference_grid.read_candles(data.address, snapshot)
    frame = Frame(
        candles, window_start=0, interval=Interval.HOUR_1, lookback_wanted=reference_grid.LOOKBACK
    )

    def run() -> None:
        batch.evaluate(
            frame,
            job.strategy,
            job.direction,
            job.sets,
            job.execution,
            job.metrics,
            threading.Event().is_set,
        )

    run()
    return {"kernel_cpu_seconds": min(_cpu_seconds(run) for _ in range(_REPEATS))}


def _cpu_seconds(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def measure(file: Path | None, *, peers: bool) -> Figures:
    """Return all figures of one run."""
    with tempfile.TemporaryDirectory() as folder, service("data", Path(folder)) as data:
        snapshot = reference_grid.make_dataset(data.address, file)
        request = reference_grid.batch_request(snapshot)
        settings = {"ASSAY_DATA_ADDRESS": data.address, "ASSAY_SLOTS": "1"}
        with service("backtest", Path(folder), **settings) as worker:
            figures, answer = _worker_figures(worker, request)
        figures |= _kernel_figures(data, snapshot, request)
        candles = reference_grid.read_candles(data.address, snapshot)
    figures["rpc_over_kernel"] = figures["grid_worker_cpu_seconds"] / figures["kernel_cpu_seconds"]
    if peers:
        figures |= parity.against_vectorbt(candles, answer)
        figures["vectorbt_over_kernel"] = (
            figures["vectorbt_cpu_seconds"] / figures["kernel_cpu_seconds"]
        )
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="hourly candles, CSV or CSV.gz")
    parser.add_argument("--peers", action="store_true", help="compare with vectorbt, set by set")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures = measure(arguments.data, peers=arguments.peers)
    if arguments.json:
        print(json.dumps(figures))
        return
    fast, _ = reference_grid.periods()
    print(f"reference grid: {len(fast):,} sets x {reference_grid.BARS:,} bars, best of {_REPEATS}")
    for name, value in figures.items():
        print(f"  {name:34} {value:.6g}")


if __name__ == "__main__":
    main()
