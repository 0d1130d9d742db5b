"""Stand-ins for the core's ports that keep everything in memory and can be made to fail."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.common.errors import AssayError, Code, unavailable
from services.optimizer.core.constraints import read_constraints
from services.optimizer.core.draft import SearchKind
from services.optimizer.core.events import Clock, GenerationReport
from services.optimizer.core.objectives import Objective
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.ports import Search, StudyRecord, StudyShape, StudyState
from services.optimizer.core.search import plain_search
from services.optimizer.core.space import Fixed, IntRange, Parameter, Space, grid_point_count
from services.optimizer.core.tally import Progress
from services.optimizer.core.trial import Outcome, Point, Trial

METRICS = frozenset({"sharpe_ratio", "max_drawdown_ratio", "trade_count"})

CROSSOVER = Space(
    (
        Parameter("fast_period", IntRange(5, 50, 5)),
        Parameter("slow_period", IntRange(20, 200, 20)),
    )
)
"""The example grid of 100 points, of which 90 have fast_period < slow_period."""


def make_plan(
    space: Space = CROSSOVER,
    constraints: Sequence[str] = (),
    objectives: Sequence[Objective] = (Objective("sharpe_ratio", maximize=True),),
    search: SearchKind = SearchKind.RANDOM,
    trial_count: int = 20,
    generation_size: int = 4,
    seed: int = 7,
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
        space, found, tuple(objectives), search, trial_count, 10, seed, generation_size
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


class MemoryStore:
    """A `StudyStore` in memory.

    While `outage` is above 0 each call takes one off and fails; while `lost_answers` is, each
    update of a record takes one off, is made, and fails nevertheless. `gate` holds updates up.
    """

    def __init__(self) -> None:
        self.records: dict[str, StudyRecord] = {}
        self.shapes: dict[str, StudyShape] = {}
        self.log: dict[str, list[bytes]] = {}
        self.kept: dict[str, list[Trial]] = {}
        self.outage = 0
        self.lost_answers = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.appended: Callable[[], None] = lambda: None

    def _answer(self) -> None:
        if self.outage:
            self.outage -= 1
            raise unavailable("STORE_UNAVAILABLE", "away")

    async def create(self, record: StudyRecord, shape: StudyShape) -> None:
        """Store a new study."""
        self._answer()
        self.records[record.study_id] = record
        self.shapes[record.study_id] = shape

    async def get(self, study_id: str) -> StudyRecord | None:
        """Return a study, or None."""
        self._answer()
        return self.records.get(study_id)

    async def find_request(self, request_id: str) -> StudyRecord | None:
        """Return the study a request made, or None."""
        self._answer()
        found = [one for one in self.records.values() if one.request_id == request_id]
        return found[0] if found else None

    async def update(self, record: StudyRecord, events: Sequence[bytes] = ()) -> None:
        """Replace a record and append events."""
        self._answer()
        await self.gate.wait()
        self.records[record.study_id] = record
        self.log.setdefault(record.study_id, []).extend(events)
        if self.lost_answers:
            self.lost_answers -= 1
            raise unavailable("STORE_UNAVAILABLE", "answer lost")

    async def append_generation(
        self, study_id: str, trials: Sequence[Trial], events: Sequence[bytes]
    ) -> None:
        """Store a generation once."""
        self._answer()
        kept = self.kept.setdefault(study_id, [])
        fresh = [trial for trial in trials if trial.number >= len(kept)]
        kept += fresh
        if fresh:
            self.log.setdefault(study_id, []).extend(events)
        self.appended()

    async def trials(self, study_id: str) -> Sequence[Trial]:
        """Return all trials."""
        self._answer()
        return list(self.kept.get(study_id, []))

    async def events(
        self, study_id: str, after_number: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """Return events after a number."""
        self._answer()
        found = list(enumerate(self.log.get(study_id, []), start=1))
        return found[after_number : after_number + limit]

    async def delete(self, study_id: str) -> bool:
        """Delete a study."""
        self._answer()
        return self.records.pop(study_id, None) is not None

    async def list(
        self, limit: int, offset: int, state: StudyState | None
    ) -> Sequence[StudyRecord]:
        """Return studies, newest first."""
        self._answer()
        found = [one for one in self.records.values() if state is None or one.state is state]
        return found[::-1][offset : offset + limit]


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

    async def evaluate(self, points: Sequence[Point]) -> list[Outcome]:
        """Return one outcome per point."""
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
            found[index] = outcome_of(points[index])
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

    def outcome(self, study_id: str, progress: Progress, best: Sequence[Trial]) -> bytes:
        """Return what a record keeps as its outcome."""
        return json.dumps(
            {"finished": progress.finished_trial_count, "best": [one.number for one in best]}
        ).encode()

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
