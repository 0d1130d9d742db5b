"""A study is a function of its spec: the same trials on any workers, any store, after any kill."""

import signal
from typing import Any

import optuna
import pytest
from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

STORES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def digests() -> dict[str, str]:
    """Remember each search's digest, whichever variant ran first."""
    return {}


def database(store: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of a fresh database."""
    if store == "sqlite":
        return {}
    return {"database_url": request.getfixturevalue("postgres_server").new_database()}


def test_an_optimizer_killed_mid_study_goes_on_where_it_was(
    start_optimizer: Any, bayesian_spec: dict[str, Any], digests: dict[str, str]
) -> None:
    """After kill -9 and a restart the study ends by itself with the same trials."""
    system = start_optimizer()
    killed = False

    def kill_once(event: study_pb2.StudyEvent) -> None:
        nonlocal killed
        if event.generation_finished.generation_number == 3 and not killed:
            killed = True
            system.optimizer.send(signal.SIGKILL)
            system.optimizer.start()

    study = system.watch(system.create("killed", bayesian_spec).name, kill_once)

    assert killed
    assert study.state == study_pb2.Study.STATE_SUCCEEDED, study.error
    assert len(system.trials(study.name)) == 100
    assert study.trials_digest == digests.setdefault("bayesian", study.trials_digest)


@pytest.mark.parametrize("store", STORES)
def test_every_trial_replays_and_optuna_reads_them_all(
    store: str,
    start_optimizer: Any,
    bayesian_spec: dict[str, Any],
    grid_spec: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    """RunBacktest gives each trial's metrics bit for bit; optuna.load_study finds each trial."""
    settings = database(store, request)
    system = start_optimizer(**settings)
    home = system.optimizer.environment["ASSAY_HOME"]
    url = settings.get("database_url", f"sqlite:///{home}/optimizer.sqlite3")

    for study_id, spec, count in (("tpe", bayesian_spec, 100), ("grid", grid_spec, 90)):
        study = system.watch(system.create(study_id, spec).name)
        trials = system.trials(study.name)

        assert len(trials) == count
        assert_replays(system.backtest_stub, study, trials)
        assert_optuna_reads(url, study_id, trials)


def assert_replays(stub: Any, study: study_pb2.Study, trials: list[study_pb2.Trial]) -> None:
    """Run every trial alone and compare its metrics."""
    for trial in trials:
        answer = stub.RunBacktest(
            backtest_service_pb2.RunBacktestRequest(
                snapshot=study.spec.data[0],
                strategy=study.spec.strategy,
                execution=study.spec.execution,
                parameters=trial.parameters,
            ),
            timeout=60,
        )
        assert answer.metrics.SerializeToString(deterministic=True) == (
            trial.metrics.SerializeToString(deterministic=True)
        )


def assert_optuna_reads(url: str, study_name: str, trials: list[study_pb2.Trial]) -> None:
    """Load the study as any Optuna client does and compare its trials."""
    storage = optuna.storages.RDBStorage(url)
    stored = optuna.load_study(study_name=study_name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.number for trial in stored] == list(range(len(trials)))
    for mine, theirs in zip(trials, stored, strict=True):
        values = {
            p.name: getattr(p.value, str(p.value.WhichOneof("kind"))) for p in mine.parameters
        }
        assert theirs.params == values
        assert list(theirs.values or []) == list(mine.objective_values)
