"""What a walk forward costs a worker: five windows of 2,500 grid points on a year of hourly bars.

Run alone: `python benchmarks/walk_forward.py [--data FILE] [--json]`. Starts `assay serve` in a
temporary folder with one worker, gets candles (a synthetic year, or your file of hourly bars), and
after one small study that compiles and warms everything runs the whole walk: in-sample grids of 90
days in five windows 55 days apart, the winners over the 55 days behind them.

    worker_seconds      CPU seconds of the worker, best of the runs
    study_seconds       from the call that creates the study to its last event, best of the runs
    window_count, trial_count
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import grpc
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format

from benchmarks.study import dataset_of, run_study, served

RUNS = 3


def spec_of(dataset: str, fast_count: int) -> study_pb2.StudySpec:
    """Return the walk forward over 50 times as many points."""
    content = {
        "data": [{"dataset": dataset}],
        "strategy": {"name": "strategies/ma_crossover"},
        "parameters": [
            {"name": "fast_period", "int_range": {"low": 2, "high": 1 + fast_count}},
            {"name": "slow_period", "int_range": {"low": 60, "high": 305, "step": 5}},
        ],
        "objectives": [{"metric": "total_return_ratio"}],
        "grid": {},
        "walk_forward": {"in_sample": {"days": 90}, "out_of_sample": {"days": 55}},
    }
    return json_format.ParseDict(content, study_pb2.StudySpec())


def cpu_seconds(home: Path, name: str) -> float:
    """Return the CPU seconds so far of a child of `assay serve`."""
    pid = int(next((home / "run").glob(f"{name}*.pid")).read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(home: Path, data: Path | None) -> dict[str, float]:
    """Run everything; returns the figures."""
    with served(home) as environment:
        dataset = dataset_of(environment, data)
        with grpc.insecure_channel(environment["ASSAY_OPTIMIZER_ADDRESS"]) as channel:
            stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
            run_study(stub, spec_of(dataset, 2))
            worker_seconds, study_seconds = [], []
            for _ in range(RUNS):
                before = cpu_seconds(home, "backtest")
                seconds, study = run_study(stub, spec_of(dataset, 50))
                worker_seconds.append(cpu_seconds(home, "backtest") - before)
                study_seconds.append(seconds)
        return {
            "worker_seconds": min(worker_seconds),
            "study_seconds": min(study_seconds),
            "window_count": len(study.spec.walk_forward.windows),
            "trial_count": study.progress.finished_trial_count,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="hourly candles; unset: a synthetic year")
    parser.add_argument("--json", action="store_true", help="one flat JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        figures = measure(Path(folder), arguments.data)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{name:20} {figure:10.3f}")


if __name__ == "__main__":
    main()
