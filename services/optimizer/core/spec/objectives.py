"""What is best: directions, dominance, and the front of trials that nothing beats.

`fronts` does the same for many trials at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.optimizer.core.spec.expression import Expression
from services.optimizer.core.spec.space import exact
from services.optimizer.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric, or an expression over metrics, and whether larger is better.

    Attributes:
        metric: The metric; with an expression the name the caller chose for it.
        maximize: Whether larger is better.
        expression: What is computed of metrics; None: the metric itself.
    """

    metric: str
    maximize: bool
    expression: Expression | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it is made of."""
        return (self.metric,) if self.expression is None else tuple(self.expression.names)

    def value(self, metrics: Mapping[str, float]) -> float | None:
        """Return its value where the metrics have these, None where it is undefined.

        An expression is computed exactly, over the decimals the metrics are written as, and rounded
        once. It is undefined where a metric in it is, where a divisor is zero, and where the value
        is no finite double.
        """
        if self.expression is None:
            return metrics.get(self.metric)
        found = [(name, metrics.get(name)) for name in self.expression.names]
        known = {name: value for name, value in found if value is not None}
        if len(known) < len(found) or not all(map(math.isfinite, known.values())):
            return None
        try:
            return float(self.expression.value({name: exact(known[name]) for name in known}))
        except (ZeroDivisionError, OverflowError):
            return None


class Front:
    """The feasible trials that no other dominates, kept up to date trial by trial.

    A trial dominates another when it is at least as good in every objective and better in one. For
    one objective the front is the best trial, the lowest number among equals; for several, trials
    with equal values are all on it. Trials must be added by rising number.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._signs = np.array([-1.0 if one.maximize else 1.0 for one in objectives])
        self._members: list[Trial] = []
        # One row per member, smaller is better; spare rows behind the members save copies.
        self._costs: npt.NDArray[np.float64] = np.empty((16, len(self._signs)))

    @property
    def objective_count(self) -> int:
        """Number of objectives."""
        return len(self._signs)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials on the front, by rising number."""
        return tuple(self._members)

    def copy(self) -> Front:
        """Return a front that goes its own way from here."""
        other = Front(())
        other._signs = self._signs
        other._members = list(self._members)
        other._costs = self._costs.copy()
        return other

    def add(self, trial: Trial) -> bool:
        """Take a trial into account; returns whether it is on the front now."""
        if not trial.feasible:
            return False
        return self._add_to_best(trial) if len(self._signs) == 1 else self._add_to_front(trial)

    def _add_to_best(self, trial: Trial) -> bool:
        (value,) = trial.objective_values
        if self._members:
            (best,) = self._members[0].objective_values
            if not (value > best if self._signs[0] < 0 else value < best):
                return False
        self._members = [trial]
        return True

    def _add_to_front(self, trial: Trial) -> bool:
        cost = self._signs * np.array(trial.objective_values)
        held = self._costs[: len(self._members)]
        if ((held <= cost).all(axis=1) & (held < cost).any(axis=1)).any():
            return False
        kept = ~((cost <= held).all(axis=1) & (cost < held).any(axis=1))
        self._members = [one for one, keep in zip(self._members, kept, strict=True) if keep]
        remaining = held[kept]
        self._members.append(trial)
        if len(self._members) > len(self._costs):
            self._costs = np.empty((2 * len(self._costs), len(self._signs)))
        self._costs[: len(remaining)] = remaining
        self._costs[len(remaining)] = cost
        return True
