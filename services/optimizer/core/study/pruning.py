"""Pruning: which trials are given up at a rung, judged by finished generations alone.

The values a rung is judged by are those of the trials told before, in whole generations, so that
what is given up never depends on which worker answered first. The rules are those of Optuna's
median, percentile and successive-halving pruners, over the trials of all earlier generations.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from services.optimizer.core.spec.draft import PruningKind, PruningRule
from services.optimizer.core.trial import Trial


class Pruner:
    """What one study has seen at each rung.

    Attributes:
        rungs: The rungs in bars of the window, rising.
    """

    def __init__(self, rule: PruningRule, *, maximize: bool) -> None:
        """Begin with nothing seen; the rule's rungs must be pinned."""
        self._rule = rule
        self._sign = -1.0 if maximize else 1.0
        self.rungs = rule.rung_bar_counts
        # Costs, the best first: values with the sign that makes smaller better.
        self._costs: dict[int, list[float]] = {rung: [] for rung in self.rungs}

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn the rungs of a finished generation; a reused trial teaches nothing new."""
        for trial in trials:
            if trial.reused_trial_number is not None:
                continue
            for one in trial.outcome.intermediate_values:
                if one.value is not None and one.bar_count in self._costs:
                    insort(self._costs[one.bar_count], self._sign * one.value)

    def gives_up(self, rung: int, value: float | None) -> bool:
        """Tell whether a trial with this objective is given up; one without a value never is."""
        costs = self._costs[rung]
        if value is None or len(costs) < self._rule.startup_trial_count:
            return False
        return self._sign * value > self._highest_cost(costs)

    def _highest_cost(self, costs: Sequence[float]) -> float:
        """Return the cost that is just good enough."""
        count = len(costs)
        if self._rule.kind is PruningKind.MEDIAN:
            low, high = costs[(count - 1) // 2], costs[count // 2]
            return low if low == high else low / 2 + high / 2
        if self._rule.kind is PruningKind.PERCENTILE:
            kept = math.ceil(count * self._rule.kept_percent / 100)
        else:
            kept = count // self._rule.reduction_factor
        return costs[max(kept, 1) - 1]
