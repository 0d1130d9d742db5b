"""What an optimizer measures of itself.

Most is read when somebody asks for it, from counts that its parts keep anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.optimizer.adapters.workers.worker_pool import WorkerPool
from services.optimizer.core.records import Generation, StudyState
from services.optimizer.core.study.lifecycle import FINAL_STATES
from services.optimizer.core.study.ownership import Ownership
from services.optimizer.core.trial import TrialState

STORE_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Seconds."""


class StoreMetrics:
    """Hears of what the store does; a `StoreObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "assay_optimizer_store_duration_seconds",
            "Transactions of the study store, their waiting included.",
            ("operation",),
            registry=registry,
            buckets=STORE_BUCKETS,
        )
        self._failures = PrometheusCounter(
            "assay_optimizer_store_failures",
            "Transactions that the study store did not answer.",
            ("operation",),
            registry=registry,
        )
        self._trials = PrometheusCounter(
            "assay_optimizer_trials", "Trials stored.", ("state",), registry=registry
        )
        self._generations = PrometheusCounter(
            "assay_optimizer_generations", "Generations stored.", registry=registry
        )
        for state in TrialState:
            self._trials.labels(state.name.lower())

    def transacted(self, operation: str, seconds: float, *, answered: bool) -> None:
        """Note a transaction."""
        self._seconds.labels(operation).observe(seconds)
        failures = self._failures.labels(operation)
        if not answered:
            failures.inc()

    def appended(self, generations: Sequence[Generation]) -> None:
        """Note stored generations."""
        self._generations.inc(len(generations))
        states = Counter(trial.state for one in generations for trial in one.trials)
        for state, count in states.items():
            self._trials.labels(state.name.lower()).inc(count)


class LiveMetrics(Collector):
    """What lives in this process: studies, their leases, and their work for the workers."""

    def __init__(self, ownership: Ownership, pool: WorkerPool) -> None:
        self._ownership = ownership
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """Yield the values of now; called by the thread that serves metrics."""
        yield from self._studies()
        yield from self._leases()
        yield from self._work()

    def _studies(self) -> Iterator[Metric]:
        lives = list(self._ownership.lives.values())
        states = Counter(life.record.state for life in lives)
        studies = GaugeMetricFamily(
            "assay_optimizer_studies", "Studies this replica owns.", labels=("state",)
        )
        for state in StudyState:
            if state not in FINAL_STATES:
                studies.add_metric((state.name.lower(),), states[state])
        yield studies
        yield GaugeMetricFamily(
            "assay_optimizer_unsaved_trials",
            "Finished trials on their way into the store.",
            sum(life.unsaved_trial_count for life in lives),
        )

    def _leases(self) -> Iterator[Metric]:
        tally = self._ownership.tally
        yield CounterMetricFamily(
            "assay_optimizer_lease_claims", "Studies claimed, new or another's.", tally.claimed
        )
        yield CounterMetricFamily(
            "assay_optimizer_lease_losses", "Studies that another replica has taken.", tally.lost
        )
        yield CounterMetricFamily(
            "assay_optimizer_lease_renewal_failures",
            "Rounds of renewing leases that failed.",
            tally.unrenewed,
        )

    def _work(self) -> Iterator[Metric]:
        loads = list(self._pool.loads)
        yield GaugeMetricFamily(
            "assay_optimizer_waiting_sets",
            "Parameter sets wanted now that no worker has.",
            sum(load.waiting_set_count for load in loads),
        )
        yield GaugeMetricFamily(
            "assay_optimizer_in_flight_sets",
            "Parameter sets that workers have.",
            sum(load.flying_set_count for load in loads),
        )
        failures = CounterMetricFamily(
            "assay_optimizer_worker_failures",
            "Calls to workers that had to be repeated.",
            labels=("kind",),
        )
        for kind, count in list(self._pool.failures.items()):
            failures.add_metric((kind.name.lower(),), count)
        yield failures
