"""What the daily returns of trials tell of luck: trials run again, their returns analysed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from assay.optimizer.v1 import study_pb2

from services.optimizer.convert.luck import daily_returns_of, moments_of
from services.optimizer.convert.resampling_options import (
    all_returns,
    holding_request,
    returns_by,
    sets_at_once,
)
from services.optimizer.core.analysis.luck.choosing import compared
from services.optimizer.core.analysis.luck.cross_validation import (
    CrossValidation,
    CrossValidationPlan,
    cross_validation,
)
from services.optimizer.core.analysis.luck.day_blocks import (
    DayBlocks,
    halving_edges,
    halving_moments,
)
from services.optimizer.core.analysis.luck.intervals import Intervals, intervals
from services.optimizer.core.analysis.luck.overfitting import Overfitting, overfitting
from services.optimizer.core.analysis.luck.resampling import Bootstrap
from services.optimizer.core.analysis.luck.returns import Numbers, ReturnMoments, joined
from services.optimizer.core.analysis.luck.superior_ability import (
    SuperiorAbility,
    superior_ability,
)
from services.optimizer.core.trial import Point
from services.optimizer.servicer.collaborators import Backtests

CHEAP: Final = ("trade_count",)
"""Metrics asked for where none is needed."""

_CALLS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Candidates:
    """Trials to be run again.

    Attributes:
        numbers: Their numbers, rising.
        points: Their parameters, in this order.
        best: Number of the best one, which is among them.
        cross: How to cross-validate their choice; None: not at all.
    """

    numbers: npt.NDArray[np.int64]
    points: Sequence[Point]
    best: int
    cross: CrossValidationPlan | None


@dataclass(frozen=True, slots=True)
class ReturnEvidence:
    """What daily returns tell.

    Attributes:
        moments: Those of the trials, by blocks of equal length.
        overfitting: How often the choice of the best is a mistake.
        superior_ability: Whether the best beats cash and buy-and-hold.
        intervals: How far the best one's statistics would scatter.
        cross_validation: What choosing the best earns on other days; None where not wanted.
    """

    moments: ReturnMoments
    overfitting: Overfitting | None
    superior_ability: SuperiorAbility
    intervals: Intervals
    cross_validation: CrossValidation | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What workers told: moments of all trials, daily returns of some and of the benchmark."""

    blocks: DayBlocks
    moments: ReturnMoments
    compared: Numbers
    best: Numbers | None
    held: Numbers | None


async def return_evidence(
    backtests: Backtests,
    bootstrap: Bootstrap,
    spec: study_pb2.StudySpec,
    candidates: Candidates,
) -> ReturnEvidence:
    """Run trials again, and buy-and-hold beside them, and analyse their daily returns.

    Raises:
        AssayError: workers or data are away, or the data are no longer those of the study.
    """
    holding = await backtests.run_batch(holding_request(spec))
    held = daily_returns_of(holding)[0]
    days = len(held)
    cuts = [*halving_edges(days), *(candidates.cross.cuts(days) if candidates.cross else ())]
    blocks = DayBlocks.along(cuts, days)
    kept = np.zeros(len(candidates.numbers), np.bool_)
    kept[compared(candidates.numbers, candidates.best, days)] = True
    places = asyncio.Semaphore(_CALLS_AT_ONCE)
    wish = returns_by(blocks) if days else all_returns()

    async def call(part: slice) -> tuple[ReturnMoments, Numbers]:
        async with places:
            answer = await backtests.run_points(spec, candidates.points[part], CHEAP, returns=wish)
            returns = await asyncio.to_thread(daily_returns_of, answer)
            return moments_of(answer), returns[kept[part]]

    size = sets_at_once(blocks)
    parts = [slice(begin, begin + size) for begin in range(0, len(candidates.points), size)]
    answers = await asyncio.gather(*(call(part) for part in parts))
    returns = np.concatenate([rows for _, rows in answers])
    own = returns[np.flatnonzero(candidates.numbers[kept] == candidates.best)[0]]
    told = _Told(
        blocks=blocks,
        moments=joined([moments for moments, _ in answers]),
        compared=returns[_whole(returns)],
        best=own if _whole(own) else None,
        held=held if _whole(held) else None,
    )
    return await asyncio.to_thread(_analysed, told, candidates, bootstrap)


def _whole(returns: Numbers) -> npt.NDArray[np.bool_]:
    """Return which series have a return on every day."""
    return np.asarray(~np.isnan(returns).any(axis=-1))


def _analysed(told: _Told, candidates: Candidates, bootstrap: Bootstrap) -> ReturnEvidence:
    halved, cross = halving_moments(told.moments, told.blocks), candidates.cross
    return ReturnEvidence(
        moments=halved,
        overfitting=overfitting(halved),
        superior_ability=superior_ability(told.compared, told.held, bootstrap),
        intervals=intervals(told.best, told.moments.day_count, bootstrap),
        cross_validation=None
        if cross is None
        else cross_validation(told.moments, told.blocks, cross),
    )
