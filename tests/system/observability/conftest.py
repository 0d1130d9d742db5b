"""A system that tells all about itself, with one study behind it."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from assay.optimizer.v1 import study_pb2
from prometheus_client.parser import text_string_to_metric_families

from tests.system.observability.collector import Collector, collecting

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Scrape:
    """The metrics of one process at one moment."""

    text: str
    families: set[str]
    samples: dict[tuple[str, Labels], float]

    def value(self, name: str, **labels: str) -> float:
        """Return a sample."""
        return self.samples[name, tuple(sorted(labels.items()))]

    def total(self, name: str) -> float:
        """Return the sum of a name's samples over all labels."""
        return sum(value for (found, _), value in self.samples.items() if found == name)


def scraped(process: Any) -> Scrape:
    """Return a process's metrics, from where its log says that they are."""
    port = re.findall(r"metrics\.listening .*\bport=(\d+)", process.log.read_text())[-1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return Scrape(text, families, samples)


@dataclass(frozen=True)
class Watched:
    """A system after a study, and who received its traces."""

    system: Any
    study: study_pb2.Study
    collector: Collector
    scrape: Callable[[Any], Scrape] = scraped


@pytest.fixture(scope="module")
def watched(start_shared_system: Any) -> Iterator[Watched]:
    """Run one study on two workers with metrics and traces."""
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "OTEL_BSP_SCHEDULE_DELAY", "100")
        system = start_shared_system(
            workers=2, metrics_address="127.0.0.1:0", otlp_endpoint=collector.endpoint
        )
        yield Watched(system, system.watch(system.create("watched", SPEC).name), collector)


SPEC: dict[str, Any] = {
    "data": [{"dataset": "datasets/synthetic.system.1h"}],
    "strategy": {"name": "strategies/ma_crossover"},
    "parameters": [
        {"name": "fast_period", "int_range": {"low": 5, "high": 50, "step": 5}},
        {"name": "slow_period", "int_range": {"low": 20, "high": 200, "step": 20}},
    ],
    "constraints": ["fast_period < slow_period"],
    "objectives": [{"metric": "sharpe_ratio"}],
    "grid": {},
    "generation_size": 16,
}
