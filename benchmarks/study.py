"""How long a whole study takes: 100 TPE trials on a year of hourly bars, embedded.

Run alone: `python benchmarks/study.py [--data FILE] [--json]`. Starts `assay serve` in a temporary
folder, gets candles (a synthetic year, or your file of hourly bars), and measures wall time from
the call that creates the study to the event that carries its result, after one study of ten trials
that warms nothing but connections.

    study_seconds               best of the runs, over gRPC
    study_command_seconds       best of the runs, `assay study create FILE --watch` from its start
    store_and_search_ms_per_trial   (study_seconds - backtests alone) / trials
    optimizer_peak_rss_mb, worker_peak_rss_mb
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from assay.backtest.v1 import backtest_service_pb2, backtest_service_pb2_grpc
from assay.optimizer.v1 import optimizer_service_pb2, optimizer_service_pb2_grpc, study_pb2
from google.protobuf import json_format

ASSAY = Path(sys.executable).parent / "assay"
STUDY_FILE = Path(__file__).parents[1] / "examples" / "studies" / "ma_crossover_tpe.yaml"
RUNS = 3


def assay(environment: dict[str, str], *arguments: str) -> None:
    """Run the command line; its output is dropped, its failure is ours."""
    subprocess.run([ASSAY, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def served(home: Path) -> Iterator[dict[str, str]]:
    """Run `assay serve`; yields the environment of its clients."""
    command = [str(ASSAY), "serve", "--home", str(home), "--ports", "0,0,0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            addresses = re.findall(r"127\.0\.0\.1:\d+", server.stdout.readline())
            names = ("ASSAY_DATA_ADDRESS", "ASSAY_BACKTEST_ADDRESS", "ASSAY_OPTIMIZER_ADDRESS")
            yield os.environ | dict(zip(names, addresses, strict=True))
        finally:
            server.terminate()


def dataset_of(environment: dict[str, str], data: Path | None) -> str:
    """Store a year of hourly candles; returns the dataset's name."""
    if data is not None:
        assay(environment, "dataset", "import", str(data), "--name", "file.benchmark.1h")
        return "datasets/file.benchmark.1h"
    window = ("--start", "2023-01-01", "--end", "2024-01-01")
    assay(environment, "dataset", "sync", "synthetic.benchmark.1h", *window, "--seed", "1")
    return "datasets/synthetic.benchmark.1h"


def run_study(stub: Any, spec: study_pb2.StudySpec) -> tuple[float, study_pb2.Study]:
    """Create a study and watch it to its end; returns seconds and the study."""
    started = time.perf_counter()
    request = optimizer_service_pb2.CreateStudyRequest(spec=spec)
    name = stub.CreateStudy(request, timeout=60).study.name
    events = stub.WatchStudy(optimizer_service_pb2.WatchStudyRequest(name=name), timeout=300)
    *_, last = events
    study: study_pb2.Study = last.event.study_finished
    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    return time.perf_counter() - started, study


def backtest_seconds(stub: Any, study: study_pb2.Study, trials: list[study_pb2.Trial]) -> float:
    """Return the time of the same backtests alone, in calls of eight."""
    started = time.perf_counter()
    for first in range(0, len(trials), 8):
        part = trials[first : first + 8]
        request = backtest_service_pb2.RunBacktestBatchRequest(
            snapshot=study.spec.data[0],
            strategy=study.spec.strategy,
            execution=study.spec.execution,
            set_count=len(part),
        )
        for place, parameter in enumerate(study.spec.parameters):
            column = request.columns.add(name=parameter.name)
            for trial in part:
                value = trial.parameters[place].value
                if value.WhichOneof("kind") == "category_value":
                    words = column.category_values
                    if value.category_value not in words.categories:
                        words.categories.append(value.category_value)
                    words.indexes.append(list(words.categories).index(value.category_value))
                else:
                    column.int_values.values.append(value.int_value)
        stub.RunBacktestBatch(request, timeout=60)
    return time.perf_counter() - started


def peak_rss_mb(home: Path, name: str) -> float:
    """Return the largest resident size so far of a child of `assay serve`."""
    pid = int(next((home / "run").glob(f"{name}*.pid")).read_text())
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def measure(home: Path, data: Path | None) -> dict[str, float]:
    """Run everything once; returns the figures."""
    with served(home) as environment:
        content = yaml.safe_load(STUDY_FILE.read_text())
        content["data"] = [{"dataset": dataset_of(environment, data)}]
        file = home / "study.json"
        file.write_text(json.dumps(content))
        spec = json_format.ParseDict(content, study_pb2.StudySpec())
        with (
            grpc.insecure_channel(environment["ASSAY_OPTIMIZER_ADDRESS"]) as channel,
            grpc.insecure_channel(environment["ASSAY_BACKTEST_ADDRESS"]) as worker,
        ):
            stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
            small = study_pb2.StudySpec()
            small.CopyFrom(spec)
            small.bayesian.trial_count = 10
            run_study(stub, small)
            runs = [run_study(stub, spec) for _ in range(RUNS)]
            study = runs[0][1]
            listed = stub.ListTrials(
                optimizer_service_pb2.ListTrialsRequest(parent=study.name, page_size=1000)
            )
            backtests: Any = backtest_service_pb2_grpc.BacktestServiceStub(worker)
            alone = min(backtest_seconds(backtests, study, listed.trials) for _ in range(RUNS))
        commands = []
        for _ in range(RUNS):
            started = time.perf_counter()
            assay(environment, "study", "create", str(file), "--watch")
            commands.append(time.perf_counter() - started)
        seconds = min(run[0] for run in runs)
        return {
            "trial_count": len(listed.trials),
            "study_seconds": seconds,
            "study_command_seconds": min(commands),
            "store_and_search_ms_per_trial": (seconds - alone) / len(listed.trials) * 1e3,
            "optimizer_peak_rss_mb": peak_rss_mb(home, "optimizer"),
            "worker_peak_rss_mb": peak_rss_mb(home, "backtest"),
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
        print(f"{name:32} {figure:10.3f}")


if __name__ == "__main__":
    main()
