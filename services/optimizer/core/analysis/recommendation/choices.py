"""Which trials of a study are worth choosing, by what, and which of them are the same."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.luck.verdict import FEW_TRADES
from services.optimizer.core.analysis.pareto import TradeOffs
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.spec.objectives import Objective

CHOICE_METRICS: Final = ("total_return_ratio", "max_drawdown_ratio", "trade_count")
"""Metrics a table must hold for `money_picks`."""

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class ChoiceKind(enum.Enum):
    """By what a choice is chosen; values are those of `Choice.Kind`."""

    BEST_OBJECTIVE = 1
    BEST_NEIGHBORHOOD = 2
    CONSERVATIVE = 3
    BALANCED = 4
    AGGRESSIVE = 5
    KNEE = 6
    BEST_RANK = 7
    EXTREME = 8
    LATEST_WINNER = 9
    STABLE_PARAMETERS = 10


JUDGED_FIRST: Final = (
    ChoiceKind.BEST_NEIGHBORHOOD,
    ChoiceKind.BEST_OBJECTIVE,
    ChoiceKind.KNEE,
    ChoiceKind.BEST_RANK,
    ChoiceKind.EXTREME,
    ChoiceKind.LATEST_WINNER,
)
"""Kinds a verdict is about: the first one of these that there is."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A trial that is chosen.

    Attributes:
        kind: By what.
        number: The trial's number.
        reason: Why this one, for people.
        objective: Name of the objective it is best in; empty for all kinds but EXTREME.
    """

    kind: ChoiceKind
    number: int
    reason: str
    objective: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """A kind there is no choice of, and why, for people."""

    kind: ChoiceKind
    reason: str


def judged(kinds: Sequence[ChoiceKind]) -> int | None:
    """Return the place of the choice a verdict is about; None without any."""
    places = (kinds.index(kind) for kind in JUDGED_FIRST if kind in kinds)
    return next(places, None)


def money_picks(table: TrialTable) -> tuple[list[Pick], list[Absent]]:
    """Return the choices by return and drawdown, lowest numbers first among equals.

    The table must hold `CHOICE_METRICS`. Looked at are feasible trials with a profit and at least
    30 closed trades; those with fewer only where none has 30.
    """
    earned, fallen, trades = (table.metrics[name] for name in CHOICE_METRICS)
    kinds = (ChoiceKind.CONSERVATIVE, ChoiceKind.BALANCED, ChoiceKind.AGGRESSIVE)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(table.feasible & (earned > 0.0) & ~np.isnan(fallen))
        traded = rows[trades[rows] >= FEW_TRADES]
    if not len(rows):
        told = "no feasible trial is known to have earned anything"
        return [], [Absent(kind, told) for kind in kinds]
    whom, note = f"with profit and at least {FEW_TRADES} closed trades", ""
    if not len(traded):
        whom = "with profit"
        note = f"; none of them has {FEW_TRADES} closed trades, so that this tells little"
    among = traded if len(traded) else rows
    earned, fallen = earned[among], fallen[among]
    found = (
        (fallen, "the smallest drawdown"),
        (-_earned_per_fall(earned, fallen), "the largest return over drawdown"),
        (-earned, "the largest return"),
    )
    return [
        Pick(
            kind,
            # The first of equals has the lowest number.
            int(table.numbers[among[costs.argmin()]]),
            f"{words} of the {len(among):,} feasible trials {whom}{note}",
        )
        for kind, (costs, words) in zip(kinds, found, strict=True)
    ], []


def _earned_per_fall(earned: Floats, fallen: Floats) -> Floats:
    """Return return over drawdown; infinite for a profit without any drawdown."""
    whole = fallen > 0.0
    ratios: Floats = np.where(whole, earned / np.where(whole, fallen, 1.0), np.inf)
    return ratios


def front_picks(
    found: TradeOffs, objectives: Sequence[Objective]
) -> tuple[list[Pick], list[Absent]]:
    """Return the choices on a front: knee, best sum of ranks, the best in each objective."""
    picks: list[Pick] = []
    absent: list[Absent] = []
    if found.best_rank is None:
        return picks, absent
    size = f"of the {len(found.numbers):,} trials of the front"
    if found.knee is None:
        told = "a front of fewer than three trials has no knee"
        absent.append(Absent(ChoiceKind.KNEE, told))
    else:
        told = f"where giving up some of one objective stops paying in another, {size}"
        picks.append(Pick(ChoiceKind.KNEE, found.knee, told))
    told = f"the smallest sum of ranks over the objectives {size}"
    picks.append(Pick(ChoiceKind.BEST_RANK, found.best_rank, told))
    for axis, objective in enumerate(objectives):
        number = int(found.numbers[found.ranks[:, axis].argmin()])
        told = f"the best {objective.metric} {size}"
        picks.append(Pick(ChoiceKind.EXTREME, number, told, objective.metric))
    return picks, absent
