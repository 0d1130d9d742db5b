"""Plans of studies, and made-up markets that cost nothing, for tests of searches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from services.optimizer.core.ports import Search
from services.optimizer.core.spec.constraints import read_constraints
from services.optimizer.core.spec.draft import SearchKind, SearchOptions
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import (
    Categories,
    DoubleRange,
    Fixed,
    IntRange,
    Parameter,
    Space,
)
from services.optimizer.core.study.limits import Limits
from services.optimizer.core.trial import Outcome, Point, Trial, TrialState

METRICS = frozenset({"sharpe_ratio", "max_drawdown_ratio", "trade_count"})

SHARPE = Objective("sharpe_ratio", maximize=True)
DRAWDOWN = Objective("max_drawdown_ratio", maximize=False)
TRADES = Objective("trade_count", maximize=True)

CROSSOVER = Space(
    (
        Parameter("fast_period", IntRange(5, 50, 5)),
        Parameter("slow_period", IntRange(20, 200, 20)),
    )
)
"""The example grid of 100 points, of which 90 have fast_period < slow_period."""

MIXED = Space(
    (
        Parameter("fast_period", IntRange(2, 40)),
        Parameter("slow_period", IntRange(5, 120, 5)),
        Parameter("position_fraction_ratio", Fixed(0.5)),
        Parameter("hold_bars", IntRange(1, 500, log=True)),
        Parameter("width", DoubleRange(0.1, 3.1, 0.1)),
        Parameter("stop_loss_ratio", DoubleRange(0.001, 0.5, log=True)),
        Parameter("threshold", DoubleRange(-1.0, 1.0)),
        Parameter("average", Categories(("sma", "ema"))),
        Parameter("only_word", Categories(("one",))),
        Parameter("only_number", IntRange(3, 3)),
    )
)
"""Every kind of parameter, single values and a fixed one among them."""

LATTICE = Space(
    (
        Parameter("fast_period", IntRange(2, 9)),
        Parameter("slow_period", IntRange(5, 60, 5)),
        Parameter("position_fraction_ratio", Fixed(0.5)),
        Parameter("width", DoubleRange(0.1, 0.5, 0.1)),
        Parameter("average", Categories(("sma", "ema"))),
        Parameter("only_number", IntRange(3, 3)),
    )
)
"""960 points for searches that want a step everywhere."""


def plan_of(
    search: SearchKind,
    space: Space = MIXED,
    constraints: Sequence[str] = (),
    objectives: Sequence[Objective] = (SHARPE,),
    *,
    generation_size: int = 8,
    seed: int = 7,
    starting_points: Sequence[Point] = (),
    **options: Any,
) -> StudyPlan:
    """Return a plan; keyword arguments beyond those named are fields of `SearchOptions`."""
    words = frozenset(
        one.name
        for one in space.parameters
        if isinstance(one.domain, Categories) or isinstance(getattr(one.domain, "value", 0), str)
    )
    numbers = frozenset(one.name for one in space.parameters) - words
    found, violations = read_constraints(constraints, numbers, words, METRICS)
    assert not violations
    return StudyPlan(
        space=space,
        constraints=found,
        objectives=tuple(objectives),
        search=search,
        options=SearchOptions(**options),
        limits=Limits(1_000),
        seed=seed,
        generation_size=generation_size,
        starting_points=tuple(starting_points),
    )


def merits(point: Point) -> dict[str, float]:
    """Return the rugged metrics of a point, finite and the same for equal points."""
    fast, slow = float(point["fast_period"]), float(point["slow_period"])
    wave = math.sin(fast / 3.0) * math.cos(slow / 17.0)
    bonus = 0.4 if point["average"] == "ema" else 0.0
    ratio = float(point.get("stop_loss_ratio", 0.05))
    sharpe = (
        wave
        + bonus
        - abs(float(point["width"]) - 1.3)
        - abs(math.log(ratio) + 3.0) / 5.0
        - float(point.get("threshold", 0.0)) ** 2
        + math.log(float(point.get("hold_bars", 1))) / 9.0
    )
    drawdown = 0.5 + 0.3 * math.cos(fast / 5.0) - 0.1 * bonus + float(point["width"]) / 10.0
    return {"sharpe_ratio": sharpe, "max_drawdown_ratio": drawdown, "trade_count": fast}


def rational(point: Point) -> dict[str, float]:
    """Return metrics made of quotients alone, whose bits do not depend on the processor."""
    fast, slow = float(point["fast_period"]), float(point["slow_period"])
    width = float(point["width"])
    bonus = 0.4 if point["average"] == "ema" else 0.0
    ratio = float(point.get("stop_loss_ratio", 0.05))
    hold = float(point.get("hold_bars", 1))
    sharpe = bonus - abs(width - 1.3) - abs(fast / slow - 0.3) + ratio / (0.1 + ratio * ratio)
    drawdown = 0.3 + width / 10.0 + hold / (900.0 + hold) - 0.1 * bonus
    return {"sharpe_ratio": sharpe, "max_drawdown_ratio": drawdown, "trade_count": fast}


Market = Callable[[Point], dict[str, float]]


def trial_of(
    plan: StudyPlan, number: int, point: Point, market: Market = merits, *, failing: bool = True
) -> Trial:
    """Return the point as a finished trial; a pure function of its arguments.

    With `failing` every eleventh fails, every thirteenth is pruned where there is one objective,
    and of every seventeenth the constraints cannot be judged.
    """
    state = TrialState.COMPLETE
    if failing and number % 11 == 3:
        state = TrialState.FAILED
    elif failing and number % 13 == 5 and len(plan.objectives) == 1:
        state = TrialState.PRUNED
    metrics = market(point)
    complete = state is TrialState.COMPLETE
    judged = plan.constraints.values(point, metrics) if complete else ()
    if failing and plan.constraints.on_metrics and number % 17 == 9:
        judged = None
    return Trial(
        number=number,
        generation_number=number // plan.generation_size,
        parameters=point,
        state=state,
        objective_values=tuple(metrics[one.metric] for one in plan.objectives) if complete else (),
        constraint_values=judged or (),
        feasible=complete and judged is not None and all(value <= 0 for value in judged),
        outcome=Outcome(failure_reason="SET_FAILED", failure_message="made up")
        if state is TrialState.FAILED
        else Outcome(metrics=metrics, pruned=state is TrialState.PRUNED),
        start_time_ms=0,
        end_time_ms=1,
    )


def run(
    plan: StudyPlan,
    search: Search,
    generations: Sequence[int],
    market: Market = merits,
    *,
    failing: bool = True,
) -> list[Trial]:
    """Ask and tell the numbered generations, and return their trials."""
    trials: list[Trial] = []
    for generation in generations:
        points = search.ask(generation, plan.generation_size)
        first = generation * plan.generation_size
        told = [
            trial_of(plan, first + place, point, market, failing=failing)
            for place, point in enumerate(points)
        ]
        search.tell(told)
        trials += told
    return trials


def told_again(search: Search, trials: Sequence[Trial], generation_size: int) -> Search:
    """Tell a search stored trials, a generation at a time, and return it."""
    for first in range(0, len(trials), generation_size):
        search.tell(trials[first : first + generation_size])
    return search


def typed(points: Sequence[Point]) -> list[list[tuple[str, str]]]:
    """Return points as texts that differ where a name, type or bit differs, in order."""
    return [[(name, repr(value)) for name, value in point.items()] for point in points]
