"""What the bulk writer writes is what stock Optuna writes, field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.records import Generation
from services.optimizer.core.trial import Trial, TrialState
from tests.private_servers import PostgresServer

Client = Callable[[], optuna.storages.RDBStorage]

DISTRIBUTIONS: Mapping[str, optuna.distributions.BaseDistribution] = {
    "fast_period": IntDistribution(2, 2**53),
    "hold_bars": IntDistribution(1, 500, log=True),
    "width": FloatDistribution(0.1, 3.1, step=0.1),
    "stop_loss_ratio": FloatDistribution(1e-300, 0.5, log=True),
    "threshold": FloatDistribution(-1e300, 1.0),
    "average": CategoricalDistribution(("sma", "ema", "µ-average")),
}
CONSTRAINT_NAMES = ("trade_count >= 30", "total_return_ratio > 0", "trade_count >= 30 (2)")


STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
}


def as_optuna(trial: Trial) -> FrozenTrial:
    """Return the trial as a user of Optuna would have made it."""
    complete = trial.state is TrialState.COMPLETE
    constraints = dict(zip(CONSTRAINT_NAMES, trial.constraint_values, strict=False))
    if complete and not constraints:
        constraints = {"undefined metric": 1.7976931348623157e308}
    frozen = optuna.trial.create_trial(
        state=STATES[trial.state],
        values=trial.objective_values if complete else None,
        params={name: trial.parameters[name] for name in DISTRIBUTIONS},
        distributions=dict(DISTRIBUTIONS),
        user_attrs=attributes(trial),
        intermediate_values={
            one.bar_count: math.nan if one.value is None else one.value
            for one in trial.outcome.intermediate_values
        },
        constraints=constraints,
    )
    frozen.datetime_start = datetime.fromtimestamp(trial.start_time_ms / 1000)  # noqa: DTZ006 - Optuna wants naive local time
    frozen.datetime_complete = datetime.fromtimestamp(trial.end_time_ms / 1000)  # noqa: DTZ006 - the same
    return frozen


def attributes(trial: Trial) -> dict[str, Any]:
    """Return the attributes that a trial must have for readers."""
    outcome = trial.outcome
    told: dict[str, Any] = {
        "generation_number": trial.generation_number,
        "feasible": trial.feasible,
        "fixed_parameters": {"position_fraction_ratio": 0.1 + 0.2, "max_bars": 7, "side": "both"},
    }
    optional = {
        "evaluated_bar_count": outcome.evaluated_bar_count,
        "negative_zeros": [
            *(["objective 1"] if repr(trial.objective_values[1:]) == "(-0.0,)" else []),
            *(["parameter threshold"] if repr(trial.parameters["threshold"]) == "-0.0" else []),
            *(
                f"step {one.bar_count}"
                for one in outcome.intermediate_values
                if repr(one.value) == "-0.0"
            ),
        ],
        "metrics": outcome.metrics,
        "undefined": outcome.undefined,
        "failure_reason": outcome.failure_reason,
        "failure_message": outcome.failure_message,
    }
    if trial.reused_trial_number is not None:
        told["reused_trial_number"] = trial.reused_trial_number
    if trial.window_number is not None:
        told["window_number"] = trial.window_number
    return {**told, **{key: value for key, value in optional.items() if value}}


def dump(database_url: str, study_name: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a study in all of Optuna's tables, ids of rows replaced by numbers."""
    engine = sa.create_engine(database_url)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with engine.connect() as connection:
        studies = metadata.tables["studies"]
        study_id = connection.execute(
            sa.select(studies.c.study_id).where(studies.c.study_name == study_name)
        ).scalar_one()
        trials = metadata.tables["trials"]
        found = connection.execute(
            sa.select(trials.c.trial_id, trials.c.number).where(trials.c.study_id == study_id)
        )
        numbers = {row.trial_id: row.number for row in found}
        for name, table in metadata.tables.items():
            if name.startswith("assay_") or not {"study_id", "trial_id"} & set(table.c.keys()):
                continue
            rows[name] = sorted(
                tuple(
                    (key, comparable(key, numbers, value))
                    for key, value in row.items()
                    if key not in own_ids(table) and key not in {"study_id", "study_name"}
                )
                for row in connection.execute(sa.select(table)).mappings()
                if row.get("study_id") == study_id or row.get("trial_id") in numbers
            )
    engine.dispose()
    return rows


def own_ids(table: sa.Table) -> set[str]:
    """Return the names of the columns that only number rows."""
    return set() if table.name == "trials" else {column.name for column in table.primary_key}


def comparable(key: str, numbers: Mapping[int, int], value: Any) -> str:
    """Return a cell as text that sorts and shows every bit."""
    if key == "trial_id":
        return f"{numbers[value]:05d}"
    if key == "value_json":
        return json.dumps(json.loads(value), sort_keys=True)
    return repr(value)


def comparable_field(value: Any) -> Any:
    """Return a field of a trial so that equal fields are equal: NaN as None."""
    if isinstance(value, dict):
        return {key: None if one != one else one for key, one in value.items()}  # noqa: PLR0124
    return value


async def test_every_row_is_the_one_optuna_writes(
    store: OptunaStore, cases: Any, database_url: str, optuna_storage: Client
) -> None:
    """All tables of Optuna hold the same for a study of ours and one made through its own API."""
    written = cases.trials(0, 40)
    lease = await cases.begin(store, "ours")
    await store.append(lease, cases.generations(0, 8), 1)
    await store.append(lease, cases.generations(8, 32), 2)
    stock = optuna.create_study(
        storage=optuna_storage(), study_name="stock", directions=["maximize", "minimize"]
    )
    with pytest.warns(optuna.exceptions.ExperimentalWarning, match="set_metric_names"):
        stock.set_metric_names(["total_return_ratio", "max_drawdown_ratio"])
    stock.add_trials([as_optuna(trial) for trial in written])

    ours, theirs = dump(database_url, "ours"), dump(database_url, "stock")

    assert len(ours["trials"]) == 40
    assert len(ours["trial_params"]) == 40 * 6
    assert len(ours["trial_intermediate_values"]) == 20 * 2
    assert ours == theirs


async def test_optuna_loads_every_field_of_every_trial(
    store: OptunaStore, cases: Any, optuna_storage: Client
) -> None:
    """`optuna.load_study` gives numbers, states, parameters, values, times and attributes."""
    written = cases.trials(0, 40)
    lease = await cases.begin(store, "ours")
    await store.append(lease, [Generation(written)], 1)

    study = optuna.load_study(study_name="ours", storage=optuna_storage())

    assert study.metric_names == ["total_return_ratio", "max_drawdown_ratio"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for number, (loaded, trial) in enumerate(zip(study.trials, written, strict=True)):
        expected = as_optuna(trial)
        assert loaded.number == number
        for field in (
            "state",
            "params",
            "distributions",
            "values",
            "user_attrs",
            "system_attrs",
            "constraints",
            "intermediate_values",
            "datetime_start",
            "datetime_complete",
        ):
            told, wanted = (comparable_field(getattr(one, field)) for one in (loaded, expected))
            assert told == wanted, field
        assert [type(value) for value in loaded.params.values()] == [int, int, *[float] * 3, str]


async def test_a_client_finds_pruned_trials_and_their_intermediate_values(
    store: OptunaStore, cases: Any, optuna_storage: Client
) -> None:
    """What was given up has its steps, no value, and the state PRUNED."""
    lease = await cases.begin(store, "ours")
    await store.append(lease, cases.generations(0, 40), 1)

    study = optuna.load_study(study_name="ours", storage=optuna_storage())
    pruned = study.get_trials(states=[optuna.trial.TrialState.PRUNED])

    assert [trial.number for trial in pruned] == [6, 16, 26, 36]
    assert all(trial.values is None for trial in pruned)
    assert [list(trial.intermediate_values) for trial in pruned] == [[1_000, 3_000]] * 4
    assert math.isnan(pruned[0].intermediate_values[3_000])
    assert pruned[1].intermediate_values[3_000] == 0.0


async def test_optuna_finds_the_feasible_best(
    store: OptunaStore, cases: Any, optuna_storage: Client
) -> None:
    """Optuna's own Pareto front is made of feasible trials only, undefined constraints included."""
    written = cases.trials(0, 60)
    lease = await cases.begin(store, "ours")
    await store.append(lease, [Generation(written)], 1)

    front = optuna.load_study(study_name="ours", storage=optuna_storage()).best_trials

    assert front
    assert all(written[trial.number].feasible for trial in front)


async def test_optuna_can_go_on_with_a_finished_study(
    store: OptunaStore, cases: Any, optuna_storage: Client
) -> None:
    """An ordinary client that asks for one more trial gets the next number."""
    lease = await cases.begin(store, "ours")
    await store.append(lease, cases.generations(0, 16), 1)

    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.load_study(study_name="ours", storage=optuna_storage(), sampler=sampler)
    asked = study.ask(dict(DISTRIBUTIONS))
    study.tell(asked, [0.0, 1.0])

    assert asked.number == 16


async def test_both_spellings_of_postgresql_name_the_same_store(
    postgres_server: PostgresServer, cases: Any
) -> None:
    """postgresql:// is opened with the driver that is installed."""
    url = postgres_server.new_database()
    plain = url.replace("+psycopg", "")
    assert plain != url
    store = await OptunaStore.open(url)
    await store.create(cases.record("ours"), cases.shape)
    other = await OptunaStore.open(plain)
    try:
        assert await other.get("ours") == cases.record("ours")
    finally:
        await other.close()
        await store.close()
