"""`python -m services.optimizer`: wires the optimizer together and serves until told to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time

import grpc
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2

from services.common.channel import connect
from services.common.server import Application, serve
from services.common.settings import SettingsError, read_settings
from services.common.telemetry import configure_logging
from services.optimizer.adapters.backtest_client import BacktestClient
from services.optimizer.adapters.importance import importances
from services.optimizer.adapters.optuna_search import TpeSearch
from services.optimizer.adapters.optuna_store import OptunaStore
from services.optimizer.adapters.worker_pool import WorkerPool
from services.optimizer.convert.events import DOMAIN, MessageWriter
from services.optimizer.convert.specs import stored_plan
from services.optimizer.core.events import Clock
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import Search, StudyRecord
from services.optimizer.core.runner import Engagement, patiently
from services.optimizer.core.search import plain_search
from services.optimizer.core.space import accepts
from services.optimizer.core.supervisor import Engage, Supervisor
from services.optimizer.core.trial_cache import TrialCache
from services.optimizer.servicer import Collaborators, OptimizerServicer
from services.optimizer.settings import OptimizerSettings

NAME = "optimizer"
SERVICE = "assay.optimizer.v1.OptimizerService"
BACKTEST_SERVICE = "assay.backtest.v1.BacktestService"
SEED_BITS = 63

CLOCK = Clock(
    now_ms=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=asyncio.sleep
)


def search_of(plan: StudyPlan) -> Search:
    """Return the search a plan asks for."""
    plain = plain_search(plan)
    if plain is not None:
        return plain
    filters = plan.constraints.on_parameters
    return TpeSearch(
        searched=plan.shape.searched,
        fixed=plan.space.fixed,
        order=tuple(one.name for one in plan.space.parameters),
        maximize=plan.shape.maximize,
        constraint_count=len(plan.constraints.on_metrics),
        seed=plan.seed,
        startup_trial_count=plan.startup_trial_count,
        accept=lambda point: accepts(point, filters),
    )


def engaging(pool: WorkerPool) -> Engage:
    """Return the function that makes plan, search and workers of a stored study."""

    async def engage(record: StudyRecord) -> Engagement:
        plan = await asyncio.to_thread(stored_plan, record.spec)
        search = await asyncio.to_thread(search_of, plan)
        workers = pool.workers_for(study_pb2.StudySpec.FromString(record.spec))
        return Engagement(plan, search, workers)

    return engage


def application(settings: OptimizerSettings, store: OptunaStore) -> Application:
    """Build the optimizer on an open store; call it inside the event loop that will serve it."""
    channel = connect(
        settings.worker_target, BACKTEST_SERVICE, timeout_seconds=settings.rpc_timeout_seconds
    )
    trials = TrialCache(store)
    supervisor = Supervisor(store, engaging(WorkerPool(channel)), MessageWriter(), CLOCK, trials)
    servicer = OptimizerServicer(
        Collaborators(
            store=store,
            supervisor=supervisor,
            trials=trials,
            backtests=BacktestClient(channel),
            importances=importances,
            clock=CLOCK,
            draw_seed=lambda: secrets.randbits(SEED_BITS),
            make_study_id=lambda: f"study-{secrets.token_hex(4)}",
            trial_limit=settings.trial_limit,
        )
    )

    def register(server: grpc.aio.Server) -> None:
        optimizer_service_pb2_grpc.add_OptimizerServiceServicer_to_server(servicer, server)

    async def take_up() -> None:
        await patiently(supervisor.take_up, CLOCK, "store")

    async def close() -> None:
        await supervisor.close()
        await channel.close()
        await store.close()

    return Application(
        NAME, SERVICE, DOMAIN, register, take_up, close, drain=supervisor.release_watchers
    )


async def _serve(settings: OptimizerSettings) -> None:
    # The store is waited for: a database often starts later than those who need it.
    configure_logging(NAME, settings)
    store = await patiently(lambda: OptunaStore.open(settings.store_url), CLOCK, "store")
    await serve(application(settings, store), settings)


def main() -> None:
    """Serve; exit code 2 when the settings cannot be used."""
    try:
        settings = read_settings(OptimizerSettings, os.environ)
    except SettingsError as error:
        print(f"services.optimizer: {error}", file=sys.stderr)  # noqa: T201 - nothing logs yet
        sys.exit(2)
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
