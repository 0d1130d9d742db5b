"""What a backtest costs: the kernels against peers, and a worker against its kernels.

    python benchmarks/engine.py [--data FILE.csv.gz] [--no-peers] [--json]

The reference work is 2,500 moving-average crossovers over a year of hourly bars with five metrics,
on a made-up market or on the first 8,760 bars of a file, filled at the next open. Figures are CPU
time on one core. Kernel figures are of the core's batches in this process on a frame that is warm.
Peers run in environments of their own under .bench/, made once, on one thread, moving averages,
crossings and metrics included.

A machine is not equally fast from second to second. So both sides of a ratio run on the same
processor and take turns far shorter than a peer's grid: the peer runs a tenth of it, whole calls of
the size it is fastest with, then we run whole grids, after one that is not counted because the
caches hold the peer's data. A round's ratio is the sum of the peer's ten parts over the mean of our
runs between them, and the figure is the median of the rounds.

    plain_vs_raptorbt, plain_vs_vectorbt   a peer's time over ours, the same work
    general_vs_raptorbt     its time for the plain work over ours with stops, targets, trailing
                            stops, both sides, leverage and funding
    minute_ns_per_bar_per_set   100 sets, four years of minutes, rows and tables warm
    rpc_over_kernel         a worker's time for RunBacktestBatch over the kernel's
    parity_max_abs_diff     largest difference between our returns and a peer's, sets with the
                            same signals: crossings of exact means
    worker_peak_rss_mb      peak memory of a worker that runs the minute batch
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from assay.backtest.v1 import backtest_service_pb2_grpc
from assay.backtest.v1.backtest_service_pb2 import (
    RunBacktestBatchRequest,
    RunBacktestBatchResponse,
)

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import datasets, minute_grid, parity, reference_grid
from benchmarks.parts.kernel import Kernel, cpu_seconds, frame_of, funding_of
from benchmarks.parts.peer import Peer, one_processor, peer
from benchmarks.parts.printing import print_figures
from benchmarks.parts.processes import Service, service
from services.common.frames import Candles

_ROUNDS = 5
_SLICES = 10
"""Parts of a peer's grid that take turns with runs of ours."""
_RPC_SECONDS = 600.0

Figures = dict[str, float]


def run_batch(worker: Service, request: RunBacktestBatchRequest) -> RunBacktestBatchResponse:
    """Run a batch on a worker; failures end the benchmark."""
    with grpc.insecure_channel(worker.address) as channel:
        stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)
        answer: RunBacktestBatchResponse = stub.RunBacktestBatch(request, timeout=_RPC_SECONDS)
    if answer.failures:
        raise SystemExit(f"sets failed, the first with: {answer.failures[0].message}")
    return answer


def worker_round(worker: Service, request: RunBacktestBatchRequest) -> tuple[float, float]:
    """Return CPU and wall seconds of a batch."""
    cpu, wall = worker.cpu_seconds(), time.perf_counter()
    run_batch(worker, request)
    return worker.cpu_seconds() - cpu, time.perf_counter() - wall


def rpc_figures(worker: Service, request: RunBacktestBatchRequest, plain: Kernel) -> Figures:
    """Compare a worker with its kernel on the plain grid."""
    turns = [(worker_round(worker, request), plain.round(1)) for _ in range(6 * _ROUNDS)]
    of_worker = statistics.median(cpu for (cpu, _), _ in turns)
    of_kernel = statistics.median(kernel for _, kernel in turns)
    return {
        "rpc_over_kernel": of_worker / of_kernel,
        "grid_worker_cpu_ms": of_worker * 1e3,
        "grid_rpc_wall_ms": min(wall for (_, wall), _ in turns) * 1e3,
    }


def minute_figures(data: Service, worker: Service) -> Figures:
    """Run the minute batch in this process for its time, and on a worker for its memory."""
    interval, bars, lookback = minute_grid.INTERVAL, minute_grid.BARS, minute_grid.LOOKBACK
    snapshot = datasets.synthetic(data.address, interval, bars, lookback)
    request = minute_grid.minute_request(snapshot)
    candles = datasets.read_candles(data.address, snapshot)
    first_cpu = worker.cpu_seconds()
    run_batch(worker, request)
    first_cpu = worker.cpu_seconds() - first_cpu
    kernel = Kernel(frame_of(candles, interval, lookback), [request])
    seconds = kernel.round(_ROUNDS)
    return {
        "minute_ns_per_bar_per_set": seconds * 1e9 / (len(candles) * request.set_count),
        "minute_kernel_cpu_ms": seconds * 1e3,
        "minute_first_rpc_worker_cpu_ms": first_cpu * 1e3,
        "minute_exposure_ratio": kernel.mean("exposure_ratio"),
        "minute_trade_count": kernel.mean("trade_count"),
        "worker_peak_rss_mb": worker.peak_rss_mb(),
    }


def peer_round(other: Peer, ours: Sequence[tuple[Kernel, int]]) -> list[float]:
    """Return CPU seconds of a peer's grid, and of each of our kernels run so often in between."""
    turns = [
        [other.slice(part, _SLICES), *(kernel.turn(repeats) for kernel, repeats in ours)]
        for part in range(_SLICES)
    ]
    theirs, *own = zip(*turns, strict=True)
    return [sum(theirs), *(statistics.fmean(seconds) for seconds in own)]


def peer_figures(
    candles: Candles, kernels: dict[str, Kernel], answer: RunBacktestBatchResponse
) -> Figures:
    """Take turns with the peers on the hourly candles, and compare returns."""
    figures: Figures = {}
    for name, rounds, against in (
        ("raptorbt", _ROUNDS, {"plain": 5, "general": 1}),
        ("vectorbt", 3, {"plain": 10}),
    ):
        ours = [(kernels[kind], repeats) for kind, repeats in against.items()]
        with one_processor(), peer(name, candles) as other:
            found = [peer_round(other, ours) for _ in range(rounds)]
            figures |= parity.against(name, answer, other.results())
        for place, kind in enumerate(against, start=1):
            ratios = [seconds[0] / seconds[place] for seconds in found]
            figures[f"{kind}_vs_{name}"] = statistics.median(ratios)
            own = statistics.median(seconds[place] for seconds in found)
            figures[f"{kind}_beside_{name}_cpu_ms"] = own * 1e3
        figures[f"{name}_cpu_ms"] = statistics.median(seconds[0] for seconds in found) * 1e3
    differences = [figures[f"parity_{name}_max_abs_diff"] for name in ("raptorbt", "vectorbt")]
    return figures | {"parity_max_abs_diff": max(differences)}


def kernel_figures(kernels: dict[str, Kernel], cold: Callable[[], object]) -> Figures:
    """Tell what the kernels cost alone."""
    plain = kernels["plain"].round()
    return {
        "grid_kernel_cpu_ms": plain * 1e3,
        "grid_cold_cpu_ms": statistics.median(cpu_seconds(cold) for _ in range(_ROUNDS)) * 1e3,
        "grid_bar_backtests_per_second": 2_500 * reference_grid.BARS / plain,
        "grid_trade_count": kernels["plain"].mean("trade_count"),
        "general_kernel_cpu_ms": kernels["general"].round() * 1e3,
        "general_trade_count": kernels["general"].mean("trade_count"),
        "general_exposure_ratio": kernels["general"].mean("exposure_ratio"),
    }


def measure(file: Path | None, *, peers: bool) -> Figures:
    """Return all figures of one run."""
    interval, bars, lookback = reference_grid.INTERVAL, reference_grid.BARS, reference_grid.LOOKBACK
    with tempfile.TemporaryDirectory() as folder, service("data", Path(folder)) as data:
        if file:
            snapshot = datasets.imported(data.address, file, interval, bars, lookback)
        else:
            snapshot = datasets.synthetic(data.address, interval, bars, lookback)
        candles = datasets.read_candles(data.address, snapshot)
        request = reference_grid.plain_request(snapshot)
        funded = frame_of(candles, interval, lookback, funding_of(candles))
        kernels = {
            "plain": Kernel(frame_of(candles, interval, lookback), [request]),
            "general": Kernel(funded, reference_grid.general_requests(snapshot)),
        }
        figures = kernel_figures(
            kernels, lambda: Kernel(frame_of(candles, interval, lookback), [request])
        )
        settings = {"ASSAY_DATA_ADDRESS": data.address, "ASSAY_SLOTS": "1"}
        with service("backtest", Path(folder), **settings) as worker:
            answer = run_batch(worker, request)
            figures |= rpc_figures(worker, request, kernels["plain"])
        # A worker of its own: its peak is that of the minute batch alone.
        with service("backtest", Path(folder), **settings) as worker:
            figures |= minute_figures(data, worker)
    return figures | (peer_figures(candles, kernels, answer) if peers else {})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="hourly candles, CSV or CSV.gz")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures = measure(arguments.data, peers=not arguments.no_peers)
    print_figures(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
