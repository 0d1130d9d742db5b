"""Combinatorial purged cross-validation: what choosing the best trial earns on days it never saw.

Source: Lopez de Prado, "Advances in financial machine learning", 2018, chapters 7 and 12. The days
are cut into groups; for each choice of test groups the trial with the best Sharpe ratio over the
other days, less those too near to a tested group, stands for the tested days. Each group is tested
equally often; the first choices that test each make the first path, the second ones the second, so
that every path tests every day exactly once.

Sums over blocks are taken in a fixed order by additions alone, so that equal trials tie exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from services.optimizer.core.analysis.luck.day_blocks import DayBlocks
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments, sharpes
from services.optimizer.core.analysis.luck.sharpe import DAYS_PER_YEAR

FEWEST_DAYS: Final = 2
"""Days of a group, and days to choose a trial by."""

_CELLS_AT_ONCE: Final = 500_000
"""Sharpe ratios held at once: few enough for the processor's own memory."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CrossValidationPlan:
    """How days are cut.

    Attributes:
        group_count: Groups of days; their lengths differ by one at most.
        test_group_count: Groups tested at a time.
        purge_days: Days before each tested group that are not trained on.
        embargo_days: Days behind each tested group that are not trained on.
    """

    group_count: int
    test_group_count: int
    purge_days: int
    embargo_days: int

    @property
    def split_count(self) -> int:
        """Choices of test groups."""
        return math.comb(self.group_count, self.test_group_count)

    @property
    def path_count(self) -> int:
        """Paths: how often each group is tested."""
        return math.comb(self.group_count - 1, self.test_group_count - 1)

    def edges(self, day_count: int) -> list[int]:
        """Return where each group begins, and where the last one ends."""
        return [place * day_count // self.group_count for place in range(self.group_count + 1)]

    def cuts(self, day_count: int) -> Iterator[int]:
        """Yield all days where a group begins or ends, or where its purge or embargo does."""
        for begin, end in pairwise(self.edges(day_count)):
            yield from (begin - self.purge_days, begin, end, end + self.embargo_days)


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """What cross-validation found. Sharpe ratios are annualised.

    Attributes:
        plan: How days were cut.
        trial_count: Trials chosen from.
        fewest_training_days: Days trained on in the choice that has fewest.
        undefined_reason: Why the rest is not told; empty where it is.
        chosen_count: Different trials chosen.
        mean_training_sharpe: Mean Sharpe ratio of the chosen trials over the days trained on.
        path_sharpes: Sharpe ratio of each path.
    """

    plan: CrossValidationPlan
    trial_count: int
    fewest_training_days: int
    undefined_reason: str
    chosen_count: int
    mean_training_sharpe: float
    path_sharpes: Numbers

    @property
    def mean(self) -> float | None:
        """Mean of the paths; None where they are not told."""
        return float(self.path_sharpes.mean()) if len(self.path_sharpes) else None

    @property
    def losing_ratio(self) -> float | None:
        """Share of the paths below 0; None where they are not told."""
        return float((self.path_sharpes < 0.0).mean()) if len(self.path_sharpes) else None


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Every choice of test groups.

    Attributes:
        tested: Whether a choice tests a group, shape (choices, groups).
        trained: Whether it trains on a block, shape (choices, blocks).
        days: Days it trains on, shape (choices,).
    """

    tested: Flags
    trained: Flags
    days: npt.NDArray[np.int64]


def splits_of(plan: CrossValidationPlan, blocks: DayBlocks) -> Splits:
    """Return the choices of test groups in lexicographic order; `blocks` has all cuts of a plan."""
    day_count = blocks.edges[-1]
    begins, ends = np.array(blocks.edges[:-1]), np.array(blocks.edges[1:])
    groups = np.array(plan.edges(day_count))
    # Inside a group, or too near to it.
    near = (begins >= groups[:-1, None] - plan.purge_days) & (
        ends <= groups[1:, None] + plan.embargo_days
    )
    tested = np.zeros((plan.split_count, plan.group_count), np.bool_)
    for place, chosen in enumerate(combinations(range(plan.group_count), plan.test_group_count)):
        tested[place, list(chosen)] = True
    trained = np.array([~near[own].any(axis=0) for own in tested])
    return Splits(tested, trained, trained.astype(np.int64) @ (ends - begins))


def cross_validation(
    moments: ReturnMoments, blocks: DayBlocks, plan: CrossValidationPlan
) -> CrossValidation:
    """Cross-validate the choice of the best trial; moments are those over the blocks."""
    trials, days = len(moments.sums), moments.day_count
    if days < FEWEST_DAYS * plan.group_count:
        return _untold(plan, trials, 0, "TOO_FEW_DAYS")
    splits = splits_of(plan, blocks)
    fewest = int(splits.days.min())
    if trials < 2:
        return _untold(plan, trials, fewest, "TOO_FEW_TRIALS")
    if fewest < FEWEST_DAYS:
        return _untold(plan, trials, fewest, "TOO_FEW_TRAINING_DAYS")
    chosen, inside = _chosen(moments, splits)
    edges = plan.edges(days)
    sums, squares = np.zeros(plan.path_count), np.zeros(plan.path_count)
    by_group = blocks.between(moments.sums, edges), blocks.between(moments.squares, edges)
    for group in range(plan.group_count):
        standing = chosen[splits.tested[:, group]]
        sums += by_group[0][standing, group]
        squares += by_group[1][standing, group]
    year = math.sqrt(DAYS_PER_YEAR)
    return CrossValidation(
        plan=plan,
        trial_count=trials,
        fewest_training_days=fewest,
        undefined_reason="",
        chosen_count=len(np.unique(chosen)),
        mean_training_sharpe=float(inside.mean()) * year,
        path_sharpes=sharpes(sums, squares, days) * year,
    )


def _untold(plan: CrossValidationPlan, trials: int, fewest: int, reason: str) -> CrossValidation:
    return CrossValidation(plan, trials, fewest, reason, 0, 0.0, np.empty(0))


def _chosen(moments: ReturnMoments, splits: Splits) -> tuple[npt.NDArray[np.intp], Numbers]:
    """Return each choice's best trial, the lowest among equals, and its Sharpe ratio there."""
    found, values = [], []
    size = max(1, _CELLS_AT_ONCE // len(moments.sums))
    for begin in range(0, len(splits.days), size):
        part = slice(begin, begin + size)
        trained, days = splits.trained[part], splits.days[part, None]
        ratios = sharpes(_added(moments.sums, trained), _added(moments.squares, trained), days)
        best = ratios.argmax(axis=1)
        found.append(best)
        values.append(ratios[np.arange(len(best)), best])
    return np.concatenate(found), np.concatenate(values)


def _added(columns: Numbers, wanted: Flags) -> Numbers:
    """Return the sums over the columns wanted in each row, shape (rows, trials)."""
    total = np.zeros((len(wanted), len(columns)))
    for place, column in enumerate(columns.T):
        np.add(total, column, out=total, where=wanted[:, place, None])
    return total
