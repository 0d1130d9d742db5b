"""Stand-ins for the core's ports that keep everything in memory and can be made to fail."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from services.common.errors import AssayError, Code
from services.optimizer.core.ports import Search
from services.optimizer.core.records import StudyRecord, StudyState
from services.optimizer.core.searches.plain import plain_search
from services.optimizer.core.spec.constraints import read_constraints
from services.optimizer.core.spec.draft import PruningRule, SearchKind, SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Fixed, IntRange, Parameter, Space, grid_point_count
from services.optimizer.core.study.events import Clock, GenerationReport
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.study.tally import Progress
from services.optimizer.core.trial import Outcome, Point, Trial

METRICS = frozenset({"sharpe_ratio", "max_drawdown_ratio", "trade_count"})

CROSSOVER = Space(
    (
        Parameter("fast_period", IntRange(5, 50, 5)),
        Parameter("slow_period", IntRange(20, 200, 20)),
    )
)
"""The example grid of 100 points, of which 90 have fast_period < slow_period."""


WINDOW_BARS = 1_000
"""Bars of the window that scripted workers run."""


def make_plan(
    space: Space = CROSSOVER,
    constraints: Sequence[str] = (),
    objectives: Sequence[Objective] = (Objective("sharpe_ratio", maximize=True),),
    search: SearchKind = SearchKind.RANDOM,
    trial_count: int = 20,
    generation_size: int = 4,
    seed: int = 7,
    pruning: PruningRule | None = None,
) -> StudyPlan:
    """Return a plan with sensible defaults."""
    numbers = frozenset(
        one.name for one in space.parameters if not isinstance(getattr(one.domain, "value", 0), str)
    )
    found, violations = read_constraints(constraints, numbers, frozenset(), METRICS)
    assert not violations
    if search is SearchKind.GRID:
        trial_count = grid_point_count(space, found.on_parameters)
    return StudyPlan(
        space,
        found,
        tuple(objectives),
        search,
        SearchOptions(),
        Limits(trial_count),
        seed,
        generation_size,
        pruning=pruning,
    )


def search_of(plan: StudyPlan) -> Search:
    """Return the plan's own search."""
    search = plain_search(plan)
    assert search is not None
    return search


def outcome_of(point: Point) -> Outcome:
    """Return what a strategy with a smooth surface would have earned at a point."""
    fast, slow = float(point["fast_period"]), float(point["slow_period"])
    metrics = {
        "sharpe_ratio": 2.0 - abs(fast - 20.0) / 10.0 - abs(slow - 100.0) / 50.0,
        "max_drawdown_ratio": fast / 100.0,
        "trade_count": slow,
    }
    if fast == 35:
        del metrics["sharpe_ratio"]
        return Outcome(metrics, {"sharpe_ratio": 2})
    if fast == 45:
        return Outcome(failure_reason="SET_FAILED", failure_message="broken")
    return Outcome(metrics)


@dataclass
class ScriptedWorkers:
    """`Workers` that finish their points in a shuffled order and may fail or hang.

    Attributes:
        shuffle: Seed of the order in which points are finished.
        failures: Errors raised by the next calls, in order.
        hang: While set, nothing is ever finished.
        calls: Points of each call.
        called: Set with the first call.
    """

    shuffle: int = 0
    failures: list[Exception] = field(default_factory=list)
    hang: asyncio.Event | None = None
    calls: list[list[Point]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return one outcome per point, the same over any number of bars."""
        self.calls.append(list(points))
        self.called.set()
        if self.failures:
            raise self.failures.pop(0)
        if self.hang is not None:
            await self.hang.wait()
        found: dict[int, Outcome] = {}
        order = list(range(len(points)))
        random.Random(self.shuffle + len(self.calls)).shuffle(order)
        for index in order:
            await asyncio.sleep(0)
            found[index] = replace(
                outcome_of(points[index]), evaluated_bar_count=bar_limit or WINDOW_BARS
            )
        return [found[index] for index in range(len(points))]


class TextWriter:
    """An `EventWriter` whose bytes are JSON a test can read."""

    def state_changed(self, state: StudyState, time_ms: int) -> bytes:
        """Return the event of a change of state."""
        return json.dumps({"state": state.name}).encode()

    def generation_finished(self, report: GenerationReport) -> bytes:
        """Return the event of a finished generation."""
        return json.dumps(
            {
                "generation": report.generation_number,
                "finished": report.progress.finished_trial_count,
                "best": [trial.number for trial in report.best],
                "improved": report.improved,
            }
        ).encode()

    def study_finished(self, record: StudyRecord, time_ms: int) -> bytes:
        """Return the event of a study in a final state."""
        return json.dumps({"end": record.state.name}).encode()

    def is_study_finished(self, event: bytes) -> bool:
        """Tell whether an event is one of `study_finished`."""
        return "end" in json.loads(event)

    def outcome(
        self, study_id: str, progress: Progress, best: Sequence[Trial], limits: Limits
    ) -> bytes:
        """Return what a record keeps as its outcome."""
        return json.dumps(
            {
                "finished": progress.finished_trial_count,
                "best": [one.number for one in best],
                "limits": asdict(limits),
            }
        ).encode()

    def ended_under(self, outcome: bytes) -> Limits | None:
        """Return the limits in an outcome."""
        return Limits(**json.loads(outcome)["limits"]) if outcome else None

    def failure(self, error: AssayError) -> bytes:
        """Return what a record keeps as its error."""
        return json.dumps({"reason": error.reason, "metadata": error.metadata}).encode()


class TickingClock:
    """Time that moves by one millisecond whenever somebody looks; sleeping takes none."""

    def __init__(self) -> None:
        self.ticks = 0
        self.slept: list[float] = []
        self.patience = asyncio.Event()

    def _tick(self) -> int:
        self.ticks += 1
        return self.ticks

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        # A long sleep is somebody's patience: tests say when it ends.
        await (self.patience.wait() if seconds >= 30 else asyncio.sleep(0))

    @property
    def clock(self) -> Clock:
        """The collaborator."""
        return Clock(self._tick, lambda: self._tick() / 1000, self._sleep)


def pending(study_id: str = "one") -> StudyRecord:
    """Return the record of a study that has not begun."""
    return StudyRecord(study_id, "", "", StudyState.PENDING, b"spec", 1)


def timeless(trials: Sequence[Trial]) -> list[Trial]:
    """Return trials without their times."""
    return [replace(trial, start_time_ms=0, end_time_ms=0) for trial in trials]


def fixed(name: str, value: float | str) -> Parameter:
    """Return a fixed parameter."""
    return Parameter(name, Fixed(value))


def data_changed() -> AssayError:
    """Return what workers say when the data of a study have changed."""
    return AssayError(
        Code.ABORTED,
        "DATASET_CHANGED",
        "the data changed",
        metadata={"wanted_digest": "a", "actual_digest": "b"},
        domain="data.assay",
    )


def words(event: bytes) -> Mapping[str, object]:
    """Return an event of `TextWriter`."""
    read: Mapping[str, object] = json.loads(event)
    return read
