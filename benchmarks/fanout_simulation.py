"""Where the limits of 10, 100 and 1,000 workers are: costs measured here, spread by simulation.

    python benchmarks/fanout_simulation.py [--json]

Measured, on this machine: the owner's time per trial and per call, a worker's per call and per set,
the store's per trial (SQLite), the data service's per frame. Then a study is simulated on many
workers (benchmarks/parts/fanout.py says how), for sets of three weights, two sizes of generations
and two limits of calls in flight. No network is in it: workers are as near as on one machine.

    <weight>_<workers>_<generation>_<calls>_trials_per_second   what comes of it
    <weight>_<workers>_<generation>_<calls>_limit               who is busiest
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from assay.backtest.v1 import backtest_service_pb2_grpc

# The folder above, so that the file runs from anywhere without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parts import datasets, reference_grid, search_loop
from benchmarks.parts.fanout import Costs, Layout, simulated
from benchmarks.parts.printing import print_figures
from benchmarks.parts.processes import Service, service
from services.common.channel import connect
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation

WORKERS: Final = (10, 100, 1_000)
GENERATIONS: Final = {"default": 256, "wide": 16_384}
CALLS_AT_ONCE: Final = (16, 1_024)
SETS: Final = {"light": 0.0, "minutes": 5e-3, "heavy": 0.1}
"""Seconds of a set: a plain one over a year of hours, as measured; about one over four years of
minutes that is much in the market; and one of a slow plug-in."""

_CALLS: Final = 200
_SETS: Final = 50
_TRIALS: Final = 10_000


async def call_costs(worker: Service, request: reference_grid.Request) -> tuple[float, float, int]:
    """Return seconds per call here and on the worker, for a call of some sets, and their number."""
    async with connect(worker.address, "assay.backtest.v1.BacktestService") as channel:
        stub = backtest_service_pb2_grpc.BacktestServiceStub(channel)
        await stub.RunBacktestBatch(request)
        here, there = time.process_time(), worker.cpu_seconds()
        for _ in range(_CALLS):
            await stub.RunBacktestBatch(request)
        here, there = time.process_time() - here, worker.cpu_seconds() - there
    return here / _CALLS, there / _CALLS, request.set_count


async def store_cost(url: str) -> float:
    """Return seconds per trial that is appended, in generations of the default size."""
    plan = search_loop.plan_of("random", _TRIALS)
    trials = search_loop.history_of(plan, _TRIALS)
    store = await OptunaStore.open(url)
    await store.create(search_loop.record_of("appended", plan), plan.shape)
    (record,) = await store.claim("benchmark", 3_600_000, 1, "appended")
    began = time.perf_counter()
    for first in range(0, _TRIALS, plan.generation_size):
        part = trials[first : first + plan.generation_size]
        await store.append(record.lease, [Generation(part)], 0)
    seconds = time.perf_counter() - began
    await store.close()
    return seconds / _TRIALS


async def measured() -> Costs:
    """Measure all costs."""
    interval, bars, lookback = reference_grid.INTERVAL, reference_grid.BARS, reference_grid.LOOKBACK
    with tempfile.TemporaryDirectory() as folder, service("data", Path(folder)) as data:
        stored = await store_cost(f"sqlite:///{folder}/appended.sqlite3")
        began = time.process_time()
        url = f"sqlite:///{folder}/store.sqlite3"
        await search_loop.trials_per_second(url, "loop", "random", 0, _TRIALS)
        # The loop's process writes too.
        trial = max((time.process_time() - began) / _TRIALS - stored, 0.0)
        snapshot = datasets.synthetic(data.address, interval, bars, lookback)
        before = data.cpu_seconds()
        for _ in range(20):
            datasets.read_candles(data.address, snapshot)
        frame = (data.cpu_seconds() - before) / 20
        fast, slow = reference_grid.periods()
        few = reference_grid.crossovers(snapshot, fast[:_SETS], slow[:_SETS])
        many = reference_grid.crossovers(snapshot, fast, slow)
        for request in (few, many):
            request.metrics.extend(reference_grid.PLAIN_METRICS)
        settings = {"ASSAY_DATA_ADDRESS": data.address, "ASSAY_SLOTS": "1"}
        with service("backtest", Path(folder), **settings) as worker:
            call, small, _ = await call_costs(worker, few)
            _, large, _ = await call_costs(worker, many)
    per_set = (large - small) / (many.set_count - few.set_count)
    return Costs(
        trial=trial,
        call=call,
        served=max(small - _SETS * per_set, 0.0),
        set=per_set,
        stored=stored,
        frame=frame,
    )


def figures_of(costs: Costs) -> dict[str, float | str]:
    """Simulate all layouts."""
    figures: dict[str, float | str] = {
        f"cost_{name}_us": getattr(costs, name) * 1e6
        for name in ("trial", "call", "served", "set", "stored", "frame")
    }
    for weight, seconds in SETS.items():
        own = Costs(
            costs.trial,
            costs.call,
            costs.served,
            costs.set if weight == "light" else seconds,
            costs.stored,
            costs.frame,
        )
        for workers in WORKERS:
            for name, size in GENERATIONS.items():
                for calls in CALLS_AT_ONCE:
                    layout = Layout(workers, size, calls)
                    flow = simulated(own, layout, max(4, 65_536 // size))
                    key = f"{weight}_{workers}_{name}_{calls}"
                    figures[f"{key}_trials_per_second"] = round(flow.trials_per_second, 1)
                    figures[f"{key}_limit"] = flow.limit
    return figures


def main() -> None:
    """Measure, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    arguments = parser.parse_args()
    figures = figures_of(asyncio.run(measured()))
    print_figures(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
