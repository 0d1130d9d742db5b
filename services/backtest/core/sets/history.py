"""How much history before its window a batch of sets needs."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import numpy as np

from services.backtest.core.evaluation.lookback import Lookbacks
from services.backtest.core.evaluation.timeline import IntervalUnusable
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.expression.statics import static_parameters
from services.backtest.core.sets.parameter_sets import Combiner, ParameterSets
from services.backtest.core.sets.planning import SetGroup, SetPlan
from services.backtest.core.sets.refusals import unusable
from services.backtest.core.strategies.strategy import Strategy
from services.common.intervals import Interval

_VOLATILITY: Final = "volatility_target_ratio"


def required_lookback(
    strategy: Strategy,
    direction: Direction,
    sets: ParameterSets,
    execution: Execution,
    interval: Interval,
) -> int:
    """Return the bars before the window that the set with the longest lookback needs.

    `interval` is the length of the bars. Sets that make no sense count as nothing.

    Raises:
        AssayError: INVALID_ARGUMENT/FIELD_INVALID where the strategy asks for bars that those of
            `interval` do not make up.
    """
    plan = SetPlan(strategy, direction, sets, execution)
    longest = 0
    for group in plan.groups():
        try:
            longest = max(longest, _of_group(group, plan.combiner, interval))
        except IntervalUnusable as error:
            raise unusable(error) from error
        if execution.volatility_target_ratio is not None or _VOLATILITY in sets.columns:
            longest = max(longest, execution.volatility_period_bars)
    return longest


def _of_group(group: SetGroup, combiner: Combiner, interval: Interval) -> int:
    program = group.program
    longest = 0
    for root in {*program.signals.values(), *program.distances.values()}:
        combinations = combiner.of(static_parameters(program, root))
        for chosen in np.unique(combinations.of[group.sets]).tolist():
            with suppress(ArithmeticError):
                lookbacks = Lookbacks(program, combinations.values[chosen])
                longest = max(longest, lookbacks.total(root, interval))
    return longest
