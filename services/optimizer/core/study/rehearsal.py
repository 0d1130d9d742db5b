"""A search from its first trial to its last without a store: nothing is left of it but its best.

The same steps as `Runner` takes: a generation is asked, tried out and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.optimizer.core.study.evaluation import Engagement, Evaluation, Memory
from services.optimizer.core.study.events import Clock
from services.optimizer.core.study.judge import Slot
from services.optimizer.core.trial import Trial
from services.optimizer.core.walk_forward.winners import front_of


class _Remembered:
    """The trials so far: journal and store of an evaluation."""

    def __init__(self) -> None:
        self.trials: list[Trial] = []

    def trial(self, number: int) -> Trial | None:
        """Return a trial."""
        return self.trials[number]

    async def trials_numbered(
        self,
        study_id: str,  # noqa: ARG002 - there is but one
        numbers: Sequence[int],
    ) -> Sequence[Trial]:
        """Return trials."""
        return [self.trials[number] for number in numbers]


async def rehearse(engagement: Engagement, trial_count: int, clock: Clock) -> Trial | None:
    """Search for so many trials, and return the best; None where none is feasible.

    Takes as much memory as its trials. Limits of the plan do not end it.

    Raises:
        AssayError: the points cannot be run.
    """
    plan, search = engagement.plan, engagement.search
    known, size, front = _Remembered(), plan.generation_size, front_of(plan)
    evaluation = Evaluation("", engagement, Memory(known, known), clock, asyncio.Event())
    for first in range(0, trial_count, size):
        number, count = first // size, min(size, trial_count - first)
        points = await asyncio.to_thread(search.ask, number, count)
        trials = await evaluation.trials(points, Slot(first, number, 0))
        if trials is None:
            raise AssertionError("nothing stops a rehearsal")
        known.trials += trials
        for trial in trials:
            front.add(trial)
        evaluation.remember(trials)
        if len(trials) == size:
            await asyncio.to_thread(search.tell, trials)
            evaluation.tell(trials)
    return front.trials[0] if front.trials else None
