"""A study on many workers as queues: one owner, its calls, the workers, the store.

The owner is one event loop: it proposes, sends calls and takes answers one after the other. Calls
of a generation go to workers in turn, each of which runs one at a time; the next generation begins
when all are answered. The store writes behind, a trial at a time, and holds the owner up when it is
too far behind.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np

_MOST_WAITING_TRIALS: Final = 2_048
"""Trials the owner lets wait for the store."""

_SPREAD: Final = 0.15
"""Deviation of the logarithm of a call's time."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What things cost, in seconds.

    Attributes:
        trial: The owner's loop, per trial: propose, judge, tell.
        call: The owner's loop, per call: send, receive.
        served: A worker, per call besides its sets.
        set: A worker, per set.
        stored: The store, per trial.
        frame: The data service, per worker that fetches the candles for the first time.
    """

    trial: float
    call: float
    served: float
    set: float
    stored: float
    frame: float


@dataclass(frozen=True, slots=True)
class Layout:
    """How a study is spread.

    Attributes:
        workers: Workers, one call at a time each.
        generation_size: Trials asked for together.
        calls_at_once: Most calls of the owner in flight.
        call_work: Work aimed at for a call, in seconds.
    """

    workers: int
    generation_size: int
    calls_at_once: int
    call_work: float = 0.02


@dataclass(frozen=True, slots=True)
class Flow:
    """What comes of it.

    Attributes:
        trials_per_second: After the workers have the candles.
        first_seconds: Until the last worker has the candles.
        busy: Part of the time each of "owner", "workers" and "store" is at work.
    """

    trials_per_second: float
    first_seconds: float
    busy: dict[str, float]

    @property
    def limit(self) -> str:
        """Whoever is busiest; "rounds" where nobody is: generations wait for their slowest call."""
        name = max(self.busy, key=lambda one: self.busy[one])
        return name if self.busy[name] >= 0.8 else "rounds"


def sets_of_call(costs: Costs, layout: Layout) -> int:
    """Return how many sets a call takes, by its work."""
    return min(max(1, round(layout.call_work / costs.set)), 1_000)


def simulated(costs: Costs, layout: Layout, generations: int, seed: int = 1) -> Flow:
    """Run some generations and return how they flow."""
    rng = np.random.default_rng(seed)
    now = stored_until = 0.0
    owner_busy = worker_busy = store_busy = 0.0
    free = [0.0] * layout.workers
    size = sets_of_call(costs, layout)
    for _ in range(generations):
        now += costs.trial * layout.generation_size
        owner_busy += costs.trial * layout.generation_size
        waiting = layout.generation_size
        answers: list[float] = []
        while waiting or answers:
            if waiting and len(answers) < layout.calls_at_once:
                sets = min(size, waiting)
                waiting -= sets
                now += costs.call / 2
                work = costs.served + sets * costs.set * float(rng.lognormal(0.0, _SPREAD))
                begun = max(now, heapq.heappop(free))
                heapq.heappush(free, begun + work)
                heapq.heappush(answers, begun + work)
                worker_busy += work
            else:
                now = max(now, heapq.heappop(answers)) + costs.call / 2
            owner_busy += costs.call / 2
        stored_until = max(stored_until, now) + costs.stored * layout.generation_size
        store_busy += costs.stored * layout.generation_size
        now = max(now, stored_until - _MOST_WAITING_TRIALS * costs.stored)
    end = max(now, stored_until)
    return Flow(
        trials_per_second=generations * layout.generation_size / end,
        first_seconds=costs.frame * layout.workers,
        busy={
            "owner": owner_busy / end,
            "workers": worker_busy / end / layout.workers,
            "store": store_busy / end,
        },
    )
