"""Assay's own loop of a study, on workers that cost nothing and a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from services.optimizer.adapters.searches.choice import search_of
from services.optimizer.adapters.store.optuna_store import OptunaStore
from services.optimizer.convert.events import MessageWriter
from services.optimizer.core.records import Generation, StudyRecord, StudyState
from services.optimizer.core.searches.random_search import drawn_point
from services.optimizer.core.spec.constraints import Constraints
from services.optimizer.core.spec.draft import SearchKind, SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories, DoubleRange, IntRange, Parameter, Space
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.judge import Slot, judged
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.runner import Runner
from services.optimizer.core.trial import Outcome, Point, Trial

METRIC = "sharpe_ratio"
_METRIC_COUNT = 50
_CLOCK = Clock(lambda: time.time_ns() // 1_000_000, time.monotonic, asyncio.sleep)
_KINDS = {
    "random": (SearchKind.RANDOM, 256),
    "tpe": (SearchKind.BAYESIAN, 8),
    "grid": (SearchKind.GRID, 256),
}

SPACE = Space(
    (
        Parameter("fast_period", IntRange(2, 100)),
        Parameter("slow_period", IntRange(20, 400)),
        Parameter("stop_loss_ratio", DoubleRange(0.001, 0.2, log=True)),
        Parameter("average", Categories(("sma", "ema", "wma"))),
    )
)


def objective(point: Point) -> float:
    """Return a smooth objective that costs nothing."""
    fast, slow = float(point["fast_period"]), float(point["slow_period"])
    stop = float(point.get("stop_loss_ratio", 0.05))
    return -(((fast - 20) / 40) ** 2) - ((slow - 150) / 150) ** 2 - abs(stop - 0.02)


def outcome(point: Point) -> Outcome:
    """Return an outcome with as many metrics as a real one."""
    value = objective(point)
    metrics = {METRIC: value}
    metrics.update(
        (f"metric_{place:02}", value / (place + 3)) for place in range(_METRIC_COUNT - 1)
    )
    return Outcome(metrics, evaluated_bar_count=8_760)


class FreeWorkers:
    """`Workers` whose answers cost nothing."""

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return the outcomes."""
        del bar_limit, window_number, dataset_number
        return [outcome(point) for point in points]


def plan_of(search: str, trial_count: int) -> StudyPlan:
    """Return the plan of a search; a grid has `trial_count` points, a square number."""
    kind, generation_size = _KINDS[search]
    space = SPACE
    if kind is SearchKind.GRID:
        edge = round(trial_count**0.5)
        space = Space(
            (
                Parameter("fast_period", IntRange(1, edge)),
                Parameter("slow_period", IntRange(1, edge)),
            )
        )
    return StudyPlan(
        space,
        Constraints(),
        (Objective(METRIC, maximize=True),),
        kind,
        SearchOptions(),
        Limits(trial_count),
        7,
        generation_size,
    )


def record_of(name: str, plan: StudyPlan) -> StudyRecord:
    """Return the record of a new study."""
    return StudyRecord(name, "", "", StudyState.PENDING, b"", 1, limits=plan.limits)


def history_of(plan: StudyPlan, count: int) -> list[Trial]:
    """Return trials at random points, as an earlier part of the study would have left them."""
    now = _CLOCK.now_ms()
    found = []
    for number in range(count):
        point = drawn_point(plan.space, 1, number, 0)
        slot = Slot(number, number // plan.generation_size, now, now)
        found.append(judged(plan, slot, point, outcome(point)))
    return found


class LoopStudy:
    """A claimed study on a store, ready to run."""

    def __init__(self, store: OptunaStore, record: StudyRecord, plan: StudyPlan) -> None:
        self.store = store
        self.record = record
        self.plan = plan
        self.runner = Runner(
            record,
            Engagement(plan, search_of(plan), FreeWorkers()),
            store,
            MessageWriter(),
            _CLOCK,
            lambda _: None,
        )

    @classmethod
    async def made(cls, url: str, name: str, plan: StudyPlan, history: int) -> Self:
        """Store a study with a history and claim it."""
        store = await OptunaStore.open(url)
        await store.create(record_of(name, plan), plan.shape)
        (record,) = await store.claim("benchmark", 3_600_000, 1, name)
        trials = history_of(plan, history)
        for first in range(0, history, 1_000):
            await store.append(record.lease, [Generation(trials[first : first + 1_000])], 0)
        await store.update(
            replace(record, state=StudyState.RUNNING), [], {StudyState.PENDING}, record.lease
        )
        study = cls(store, record, plan)
        await study.runner.load()
        return study

    async def __aenter__(self) -> Self:
        """Enter."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        await self.store.close()


async def make_study(url: str, name: str, search: str, history: int) -> None:
    """Store a study that nobody runs, with a history."""
    async with await LoopStudy.made(url, name, plan_of(search, history), history):
        pass


async def trials_per_second(
    url: str, name: str, search: str, history: int, trial_count: int
) -> float:
    """Return how many trials a second reach the store, with `history` trials in it already."""
    plan = plan_of(search, trial_count)
    if search != "grid":
        # A whole generation must end the history.
        history -= history % plan.generation_size
        plan = replace(plan, limits=Limits(history + trial_count))
    async with await LoopStudy.made(url, name, plan, history) as study:
        began = time.perf_counter()
        await study.runner.run()
        seconds = time.perf_counter() - began
        stored = study.runner.stored.finished
        if stored != history + trial_count:
            raise SystemExit(f"{name}: {stored} trials stored, not {history + trial_count}")
    return trial_count / seconds
