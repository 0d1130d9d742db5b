"""A study survives anything: the same trials on any workers and store, whoever is killed meanwhile.

Four studies run at once, one of each search. Every fault strikes in the middle: the workers are
frozen at an early generation, so that no study can end before the fault, and go on after it. One
of the two replicas of the optimizer believes to run on the least of all x86-64 processors, so that
studies are also taken over from one kind of processor to another.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import optuna
import pytest
from assay.optimizer.v1 import (
    optimizer_service_pb2,
    optimizer_service_pb2_grpc,
    study_pb2,
)
from optuna.trial import TrialState

from tests.lesser_processors import LESSER_PROCESSOR
from tests.private_servers import PostgresServer, RedisServer

TRIAL_COUNT = 96
FROZEN_AT = 1
"""Generation of the study `TRIGGER` after which the workers are frozen."""

TRIGGER = "tpe"

SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {"grid": {}, "generation_size": 4},
    "random": {"random": {"trial_count": TRIAL_COUNT}, "generation_size": 4},
    "tpe": {"bayesian": {"trial_count": TRIAL_COUNT}, "generation_size": 4},
    "nsga2": {
        "evolutionary": {"trial_count": TRIAL_COUNT, "population_size": 8},
        "objectives": [
            {"metric": "total_return_ratio"},
            {"metric": "max_drawdown_ratio", "direction": "DIRECTION_MINIMIZE"},
        ],
    },
}


@dataclass
class Setting:
    """A system with all that can be broken in it.

    Attributes:
        name: Workers and store, in words.
        system: The services: one data service, some workers, two optimizers.
        url: The study database.
        postgres: Its server; None on SQLite.
        redis: The frame cache's server.
    """

    name: str
    system: Any
    url: str
    postgres: PostgresServer | None
    redis: RedisServer


@pytest.fixture(scope="module", params=["1-sqlite", "3-sqlite", "1-postgresql", "3-postgresql"])
def setting(
    request: pytest.FixtureRequest, start_shared_system: Any, redis_server: RedisServer
) -> Iterator[Setting]:
    """Start a system with so many workers on a fresh store."""
    workers, store = request.param.split("-")
    settings = {"redis_url": redis_server.url, "lease_seconds": "1.5"}
    postgres = None
    if store == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
        settings["database_url"] = postgres.new_database()
    system = start_shared_system(
        workers=int(workers), optimizers=2, other_processor=LESSER_PROCESSOR, **settings
    )
    home = system.optimizer.environment["ASSAY_HOME"]
    url = settings.get("database_url", f"sqlite:///{home}/optimizer.sqlite3")
    yield Setting(request.param, system, url, postgres, redis_server)
    for process in system.processes():
        process.send(signal.SIGTERM)


@pytest.fixture(scope="session")
def digests() -> dict[str, str]:
    """Remember each search's digest, whichever variant ran first."""
    return {}


Fault = Callable[[Setting, str], Callable[[], None]]
"""Strikes while a study, given by name, is frozen; returns what mends it when the study is over."""


def nothing(setting: Setting, study: str) -> Callable[[], None]:
    """Strike nobody."""
    del setting, study
    return lambda: None


def worker_killed(setting: Setting, study: str) -> Callable[[], None]:
    """Kill a worker with its work in hand, and start it again."""
    del study
    victim = setting.system.workers[0]
    victim.send(signal.SIGKILL)
    victim.start()
    return victim.wait_until_serving  # type: ignore[no-any-return]


def owner_killed(setting: Setting, study: str) -> Callable[[], None]:
    """Kill the replica that owns the study; the other one takes it over."""
    victim = owner_of(setting, study)
    victim.send(signal.SIGKILL)

    def mend() -> None:
        assert owner_of(setting, study, alive=victim) is not victim
        victim.start()
        victim.wait_until_serving()

    return mend


def postgres_killed(setting: Setting, study: str) -> Callable[[], None]:
    """Kill PostgreSQL and start it again on its files."""
    del study
    assert setting.postgres is not None
    setting.postgres.kill()
    setting.postgres.restart()
    return lambda: None


def redis_killed(setting: Setting, study: str) -> Callable[[], None]:
    """Kill Redis while the study runs to its end."""
    del study
    setting.redis.kill()
    return setting.redis.restart


FAULTS: dict[str, Fault] = {
    "no fault": nothing,
    "worker killed": worker_killed,
    "owner killed": owner_killed,
    "PostgreSQL killed": postgres_killed,
    "Redis killed": redis_killed,
}


def owner_of(setting: Setting, study: str, alive: Any = None) -> Any:
    """Return the replica that owns a study; with `alive` the other one may have been killed."""
    replicas = [one for one in setting.system.optimizers if one is not alive]
    stub = setting.system.stub(
        optimizer_service_pb2_grpc.OptimizerServiceStub,
        "ipv4:" + ",".join(one.address for one in replicas),
    )
    request = optimizer_service_pb2.GetStudyRequest(name=study)
    owner = stub.GetStudy(request, timeout=60, wait_for_ready=True).study.owner
    return next(one for one in setting.system.optimizers if f"-{one.running.pid}-" in f"-{owner}-")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_digest_survives_every_fault(
    setting: Setting,
    fault: str,
    bayesian_spec: dict[str, Any],
    grid_spec: dict[str, Any],
    digests: dict[str, str],
) -> None:
    """Exactly the wanted trials, each once, none left running, and one digest for all variants."""
    if fault == "PostgreSQL killed" and setting.postgres is None:
        pytest.skip("the store is a file")
    studies = {}
    for search, choice in SEARCHES.items():
        spec = grid_spec if search == "grid" else bayesian_spec
        spec = {key: value for key, value in spec.items() if key not in {"grid", "bayesian"}}
        study_id = f"{search}-{fault.lower().replace(' ', '-')}"
        studies[search] = setting.system.create(study_id, spec | choice).name
    mends: list[Callable[[], None]] = []

    def strike(event: study_pb2.StudyEvent) -> None:
        if mends or event.generation_finished.generation_number < FROZEN_AT:
            return
        for worker in setting.system.workers:
            worker.halt()
        try:
            mends.append(FAULTS[fault](setting, studies[TRIGGER]))
        finally:
            for worker in setting.system.workers:
                worker.go_on()

    def watched(search: str) -> study_pb2.Study:
        on_event = strike if search == TRIGGER else lambda _: None
        finished: study_pb2.Study = setting.system.watch(studies[search], on_event)
        return finished

    with ThreadPoolExecutor() as watchers:
        ended = dict(zip(studies, watchers.map(watched, studies), strict=True))
    for mend in mends:
        mend()

    assert mends
    for search, study in ended.items():
        assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
        assert study.trials_digest == digests.setdefault(search, study.trials_digest), search
        assert_exactly(setting, study.name, 90 if search == "grid" else TRIAL_COUNT)


def assert_exactly(setting: Setting, name: str, count: int) -> None:
    """Count a study's trials through the service and through Optuna."""
    listed = [trial.number for trial in setting.system.trials(name)]
    assert listed == list(range(count))
    storage = optuna.storages.RDBStorage(setting.url)
    stored = optuna.load_study(study_name=name.removeprefix("studies/"), storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.number for trial in stored] == listed
    assert {trial.state for trial in stored} <= {TrialState.COMPLETE, TrialState.FAIL}
