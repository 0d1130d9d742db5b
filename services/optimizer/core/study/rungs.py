"""How points are run over rungs, where some of them are given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.study.pruning import Pruner
from services.optimizer.core.trial import IntermediateValue, Outcome, Point

TRIAL_TIMED_OUT: Final = "TRIAL_TIMED_OUT"
"""Why a point failed that took too long: it would at every later rung."""

Run = Callable[[Sequence[Point], int | None], Awaitable[list[Outcome]]]
"""Runs points over the first bars of the window, or over all of it."""


async def outcomes_over_rungs(
    points: Sequence[Point], run: Run, objective: Objective, pruner: Pruner
) -> list[Outcome]:
    """Run points rung by rung, giving up at each what the pruner gives up there.

    A point that fails at a rung, for example for want of bars, has no value there and goes on,
    unless it took too long.
    """
    told = [Outcome() for _ in points]
    alive = list(range(len(points)))
    for rung in pruner.rungs:
        if not alive:
            return told
        staying = []
        found = await run([points[place] for place in alive], rung)
        for place, outcome in zip(alive, found, strict=True):
            value = None if outcome.failure_reason else objective.value(outcome.metrics)
            pruned = pruner.gives_up(rung, value)
            after = _after_rung(told[place], outcome, IntermediateValue(rung, value), pruned)
            timed_out = outcome.failure_reason == TRIAL_TIMED_OUT
            told[place] = _ended(after, outcome) if timed_out else after
            if not pruned and not timed_out:
                staying.append(place)
        alive = staying
    if alive:
        found = await run([points[place] for place in alive], None)
        for place, outcome in zip(alive, found, strict=True):
            told[place] = replace(
                outcome,
                intermediate_values=told[place].intermediate_values,
                evaluated_bar_count=told[place].evaluated_bar_count + outcome.evaluated_bar_count,
            )
    return told


def _ended(after: Outcome, outcome: Outcome) -> Outcome:
    return replace(
        after, failure_reason=outcome.failure_reason, failure_message=outcome.failure_message
    )


def _after_rung(
    before: Outcome, outcome: Outcome, value: IntermediateValue, pruned: bool
) -> Outcome:
    """Return what is known of a point after a rung: its metrics only where it ends here."""
    return Outcome(
        metrics=outcome.metrics if pruned else {},
        undefined=outcome.undefined if pruned else {},
        intermediate_values=(*before.intermediate_values, value),
        pruned=pruned,
        evaluated_bar_count=before.evaluated_bar_count + outcome.evaluated_bar_count,
    )
