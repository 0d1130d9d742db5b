"""Large studies are read in pages and as columns, exactly and in bounded memory."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import Generation, SearchedParameter, StudyShape
from services.optimizer.core.trial import Outcome, Trial, TrialState

PLAIN = StudyShape((SearchedParameter("period", "int", 0, 20_000),), ("sharpe_ratio",), (True,))


def plain_trial(number: int) -> Trial:
    """Return a small trial."""
    sharpe = math.sin(number)
    return Trial(
        number=number,
        generation_number=number // 64,
        parameters={"period": number},
        state=TrialState.COMPLETE,
        objective_values=(sharpe,),
        constraint_values=(),
        feasible=True,
        outcome=Outcome({"trade_count": float(number), "sharpe_ratio": sharpe}),
        start_time_ms=number // 64,
        end_time_ms=number // 64 + 1,
    )


def check_table(table: TrialTable, trials: Sequence[Trial], shape: StudyShape) -> None:
    """Compare a table with the trials it must hold, bit by bit."""
    columns: dict[str, tuple[Any, list[Any], str]] = {
        "numbers": (table.numbers, [one.number for one in trials], "<i8"),
        "generations": (table.generation_numbers, [one.generation_number for one in trials], "<i4"),
        "states": (table.states, [one.state.value for one in trials], "<i1"),
        "feasible": (table.feasible, [one.feasible for one in trials], "?"),
    }
    for place in range(len(shape.metric_names)):
        values = [(*one.objective_values, *[math.nan] * 9)[place] for one in trials]
        columns[f"objective {place}"] = (table.objective_values[:, place], values, "<f8")
    assert list(table.parameters) == [one.name for one in shape.searched]
    for one in shape.searched:
        points = [trial.parameters[one.name] for trial in trials]
        if one.kind == "category":
            points = [one.categories.index(str(word)) for word in points]
        kind = {"int": "<i8", "double": "<f8", "category": "<i4"}[one.kind]
        columns[one.name] = (table.parameters[one.name], points, kind)
    for name, metric in table.metrics.items():
        columns[name] = (metric, [one.outcome.metrics.get(name, math.nan) for one in trials], "<f8")
    for name, (column, expected, kind) in columns.items():
        assert column.dtype == np.dtype(kind), name
        assert column.tobytes() == np.array(expected, kind).tobytes(), name


async def test_a_table_holds_every_trial_bit_by_bit(store: OptunaStore, cases: Any) -> None:
    """Groups of any size, pruned and failed trials, metrics that some trials lack."""
    lease = await cases.begin(store)
    written = cases.trials(0, 140)
    assert len(await store.table("first", ["trade_count"])) == 0
    for first, end in ((0, 1), (1, 9), (9, 73), (73, 140)):
        await store.append(lease, [Generation(written[first:end])], 1)
    for metrics in ([], ["trade_count"], ["sharpe_ratio", "none", "metric_3", "metric_0"]):
        table = await store.table("first", metrics)
        assert list(table.metrics) == metrics
        assert len(table) == 140
        check_table(table, written, cases.shape)


async def test_metrics_that_appear_late_are_undefined_before(
    store: OptunaStore, cases: Any
) -> None:
    """A study whose first trials have few metrics has those of the later ones, in any order."""
    await store.create(cases.record(), PLAIN)
    (claimed,) = await store.claim("one", cases.long_ms, 1)
    for number in range(9):
        names = [f"metric_{place}" for place in reversed(range(number))]
        outcome = Outcome({name: float(number) for name in names})
        trial = replace(plain_trial(number), outcome=outcome)
        await store.append(claimed.lease, [Generation([trial])], number)
    table = await store.table("first", ["metric_7", "metric_0"])
    assert [str(value) for value in table.metrics["metric_7"]] == ["nan"] * 8 + ["8.0"]
    assert [str(value) for value in table.metrics["metric_0"][:3]] == ["nan", "1.0", "2.0"]


async def test_twenty_thousand_trials_are_paged_and_tabled_in_bounded_memory(
    store: OptunaStore, cases: Any
) -> None:
    """Pages are what was appended; a table takes its columns and little more."""
    count = 20_000
    await store.create(cases.record(), PLAIN)
    (claimed,) = await store.claim("one", cases.long_ms, 1)
    for first in range(0, count, 4_000):
        trials = [plain_trial(number) for number in range(first, first + 4_000)]
        await store.append(claimed.lease, [Generation(trials)], first)

    draw = random.Random(1)
    for first in (0, 1, 9_999, 19_950, *(draw.randrange(count) for _ in range(20))):
        expected = [plain_trial(number) for number in range(first, min(first + 100, count))]
        assert await store.trials("first", first, 100) == expected
    assert await store.trials("first", count, 100) == []
    assert len(await store.trials("first", 12_000)) == 8_000

    tracemalloc.start()
    table = await store.table("first", ["trade_count"])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == count
    assert table.parameters["period"].tolist() == list(range(count))
    assert table.metrics["trade_count"].tolist() == list(map(float, range(count)))
    assert peak_bytes < 200 * count


async def test_chosen_trials_come_in_the_order_asked_for(store: OptunaStore, cases: Any) -> None:
    """Repeated ones repeatedly; those there are none of are left out."""
    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 40), 1)
    numbers = [39, 0, 7, 40, 7, -1, 2**40]
    found = await store.trials_numbered("first", numbers)
    assert found == [cases.trial(number) for number in (39, 0, 7, 7)]
    assert await store.trials_numbered("first", []) == []
    assert await store.trials_numbered("none", [0]) == []


async def test_trials_that_another_client_added_are_not_the_studys(
    store: OptunaStore, cases: Any, optuna_storage: Any
) -> None:
    """What somebody adds with Optuna alone neither shows nor breaks reading."""
    import optuna  # noqa: PLC0415 - only here

    lease = await cases.begin(store)
    await store.append(lease, cases.generations(0, 8), 1)
    study = optuna.load_study(study_name="first", storage=optuna_storage())
    study.tell(study.ask(), [0.0, 1.0])
    assert await store.trials("first") == cases.trials(0, 8)
    assert len(await store.table("first")) == 8
