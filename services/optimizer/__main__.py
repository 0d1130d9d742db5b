"""`python -m services.optimizer`: wires the optimizer together and serves until told to stop.

`python -m services.optimizer migrate` only makes or completes the tables of the study store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence

import grpc
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2
from prometheus_client import CollectorRegistry

from services.common.channel import connect
from services.common.observing.tracing import is_tracing, traced
from services.common.server import Application, serve
from services.common.settings import SettingsError, read_settings
from services.common.telemetry import configure_logging, study_id
from services.optimizer.adapters.analysis.bootstrap import ArchBootstrap
from services.optimizer.adapters.analysis.exports import trial_export
from services.optimizer.adapters.analysis.hypervolume import hypervolume
from services.optimizer.adapters.analysis.importance import importances
from services.optimizer.adapters.generation_spans import GenerationSpans
from services.optimizer.adapters.metrics import LiveMetrics, StoreMetrics
from services.optimizer.adapters.replica_standing import ReplicaStanding
from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.adapters.workers.backtest_client import BacktestClient
from services.optimizer.adapters.workers.study_workers import StudyWorkers
from services.optimizer.adapters.workers.worker_pool import WorkerPool
from services.optimizer.convert.events import DOMAIN, MessageWriter
from services.optimizer.convert.out_of_sample_runs import OutOfSampleRuns
from services.optimizer.convert.specs import stored_plan
from services.optimizer.core.ports import StudyStore
from services.optimizer.core.records import StudyRecord
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.ownership import Replica
from services.optimizer.core.study.patience import patiently
from services.optimizer.core.study.study_life import Engage
from services.optimizer.core.study.supervisor import Supervisor
from services.optimizer.core.trial import Trial
from services.optimizer.servicer import Collaborators, OptimizerServicer
from services.optimizer.servicer.collaborators import EngagePermuted
from services.optimizer.settings import OptimizerSettings

logger = logging.getLogger(__name__)

NAME = "optimizer"
SERVICE = "assay.optimizer.v1.OptimizerService"
BACKTEST_SERVICE = "assay.backtest.v1.BacktestService"
SEED_BITS = 63

CLOCK = Clock(
    now_ms=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=asyncio.sleep
)


def engaging(pool: WorkerPool, store: StudyStore, out_of_sample: OutOfSampleRuns) -> Engage:
    """Return the function that makes plan, search and workers of a stored study."""

    async def engage(record: StudyRecord) -> Engagement:
        # The task of the study's life: all that is logged and called in it is the study's.
        study_id.set(record.study_id)
        plan = await asyncio.to_thread(stored_plan, record.spec)
        spec = study_pb2.StudySpec.FromString(record.spec)
        priors = await store.priors(record.study_id) if spec.HasField("warm_start") else ()
        search = await asyncio.to_thread(search_of, plan, priors)

        async def conclude(winners: Sequence[Trial]) -> None:
            await out_of_sample.of(spec, winners)

        engagement = Engagement(
            plan, search, StudyWorkers.of(pool, spec), conclude if plan.walk_forward else None
        )
        return GenerationSpans(engagement).engagement if is_tracing() else engagement

    return engage


def engaging_permuted(pool: WorkerPool, store: StudyStore) -> EngagePermuted:
    """Return the function that makes what searches a stored study again on permuted bars."""

    async def engage(record: StudyRecord, bar_permutation_seed: int) -> Engagement:
        plan = await asyncio.to_thread(stored_plan, record.spec)
        spec = study_pb2.StudySpec.FromString(record.spec)
        priors = await store.priors(record.study_id) if spec.HasField("warm_start") else ()
        search = await asyncio.to_thread(search_of, plan, priors)
        return Engagement(plan, search, StudyWorkers.of(pool, spec, bar_permutation_seed))

    return engage


def replica_of(settings: OptimizerSettings) -> Replica:
    """Return what tells this process from other replicas."""
    made_up = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
    return Replica(
        name=settings.replica_name or made_up,
        lease_ms=round(settings.lease_seconds * 1000),
        study_limit=settings.study_limit,
        caller_limit=settings.studies_per_caller,
    )


def registry_of(supervisor: Supervisor, pool: WorkerPool, store: OptunaStore) -> CollectorRegistry:
    """Return what an optimizer measures of itself."""
    registry = CollectorRegistry()
    registry.register(LiveMetrics(supervisor.ownership, pool))
    store.observe(StoreMetrics(registry))
    return registry


def servicer_of(
    settings: OptimizerSettings,
    store: OptunaStore,
    supervisor: Supervisor,
    pool: WorkerPool,
    backtests: BacktestClient,
    out_of_sample: OutOfSampleRuns,
    standing: ReplicaStanding,
) -> OptimizerServicer:
    """Return who answers the RPCs."""
    return OptimizerServicer(
        Collaborators(
            store=store,
            supervisor=supervisor,
            backtests=backtests,
            importances=importances,
            hypervolume=hypervolume,
            bootstrap=ArchBootstrap(),
            export=trial_export,
            out_of_sample=out_of_sample,
            engage_permuted=engaging_permuted(pool, store),
            clock=CLOCK,
            draw_seed=lambda: secrets.randbits(SEED_BITS),
            make_study_id=lambda: f"study-{secrets.token_hex(4)}",
            trial_limit=settings.trial_limit,
            caller_limit=settings.studies_per_caller,
            standing=standing,
        )
    )


def application(settings: OptimizerSettings, store: OptunaStore) -> Application:
    """Build the optimizer on an open store; call it inside the event loop that will serve it."""
    channel = connect(
        settings.worker_target,
        BACKTEST_SERVICE,
        timeout_seconds=settings.rpc_timeout_seconds,
        security=settings,
    )
    backtests = BacktestClient(channel)
    out_of_sample = OutOfSampleRuns(backtests.run)
    pool = WorkerPool(channel, settings.calls_at_once)
    engage = engaging(pool, store, out_of_sample)
    replica = replica_of(settings)
    supervisor = Supervisor(store, engage, MessageWriter(), CLOCK, replica)
    standing = ReplicaStanding(replica, supervisor.ownership, pool, CLOCK.now_ms())
    servicer = servicer_of(settings, store, supervisor, pool, backtests, out_of_sample, standing)

    def register(server: grpc.aio.Server) -> None:
        optimizer_service_pb2_grpc.add_OptimizerServiceServicer_to_server(servicer, server)

    async def begin() -> None:
        supervisor.begin()

    async def close() -> None:
        await supervisor.close()
        await channel.close()
        await store.close()

    return Application(
        NAME,
        SERVICE,
        DOMAIN,
        register,
        begin,
        close,
        drain=supervisor.release_watchers,
        registry=registry_of(supervisor, pool, store),
    )


async def _open_store(settings: OptimizerSettings) -> OptunaStore:
    # The store is waited for: a database often starts later than those who need it.
    configure_logging(NAME, settings)
    return await patiently(lambda: OptunaStore.open(settings.store_url), CLOCK, "store")


async def _serve(settings: OptimizerSettings) -> None:
    store = await _open_store(settings)
    async with traced(NAME, settings.otlp_endpoint):
        await serve(application(settings, store), settings)


async def _migrate(settings: OptimizerSettings) -> None:
    store = await _open_store(settings)
    await store.close()
    logger.info("store.migrated")


_COMMANDS = {(): _serve, ("migrate",): _migrate}


def main() -> None:
    """Serve, or migrate the store; exit code 2 when the settings cannot be used."""
    command = _COMMANDS.get(tuple(sys.argv[1:]))
    if command is None:
        sys.exit("usage: python -m services.optimizer [migrate]")
    try:
        settings = read_settings(OptimizerSettings, os.environ)
        asyncio.run(command(settings))
    except SettingsError as error:
        print(f"services.optimizer: {error}", file=sys.stderr)  # noqa: T201 - nothing logs yet
        sys.exit(2)


if __name__ == "__main__":
    main()
