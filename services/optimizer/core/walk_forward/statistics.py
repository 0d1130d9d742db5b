"""What the windows say together. A window without a winner stays in cash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from services.optimizer.core.walk_forward.evidence import WindowEvidence
from services.optimizer.core.walk_forward.rule import Criteria
from services.optimizer.core.walk_forward.stitching import StitchedMetrics

DAYS_PER_YEAR: Final = 365.25
"""Of annualised returns, as in `cagr_ratio`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The statistics of a walk forward; None where undefined. See `WalkForwardReport`."""

    positive_window_rate: float
    total_oos_profit: float | None
    average_oos_sharpe: float | None
    undefined_sharpe_window_count: int
    std_oos_profit: float | None
    walk_forward_efficiency: float | None
    largest_window_share: float | None


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """A criterion by its name in `Criteria`, what was wanted and found, and whether it is met."""

    name: str
    wanted: float
    found: float | None
    passed: bool


def summary_of(windows: Sequence[WindowEvidence], *, overlapping: bool) -> Summary:
    """Return the statistics of at least one window; overlapping spans are never summed."""
    profits = [one.profit_quote for one in windows]
    runs = [one.out_of_sample for one in windows]
    sharpes = [run.sharpe_ratio for run in runs if run and run.sharpe_ratio is not None]
    total = None if overlapping else math.fsum(profits)
    return Summary(
        positive_window_rate=sum(profit > 0 for profit in profits) / len(windows),
        total_oos_profit=total,
        average_oos_sharpe=fmean(sharpes) if sharpes else None,
        undefined_sharpe_window_count=len(windows) - len(sharpes),
        std_oos_profit=stdev(profits) if len(profits) > 1 else None,
        walk_forward_efficiency=_efficiency(windows),
        largest_window_share=max(profits) / total if total is not None and total > 0 else None,
    )


def annualized(return_ratio: float, days: float) -> float | None:
    """Return a return as one of a year, -1 when ruined; None where it is beyond all numbers."""
    if return_ratio <= -1:
        return -1.0
    try:
        found = math.exp(math.log1p(return_ratio) * DAYS_PER_YEAR / days) - 1
    except OverflowError:
        return None
    return found


def _efficiency(windows: Sequence[WindowEvidence]) -> float | None:
    inside: list[float | None] = []
    outside: list[float | None] = []
    for one in windows:
        if one.winner is None or one.out_of_sample is None:
            continue
        earned = one.winner.outcome.metrics.get("total_return_ratio")
        inside.append(None if earned is None else annualized(earned, one.window.in_sample.days))
        outside.append(
            annualized(one.out_of_sample.total_return_ratio, one.window.out_of_sample.days)
        )
    known, kept = _all_known(inside), _all_known(outside)
    if not known or not kept or fmean(known) <= 0:
        return None
    ratio = fmean(kept) / fmean(known)
    return ratio if math.isfinite(ratio) else None


def _all_known(numbers: Sequence[float | None]) -> list[float]:
    """Return the numbers, none where one of them is unknown."""
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else []


def judged(
    summary: Summary, curve: StitchedMetrics | None, criteria: Criteria, *, overlapping: bool
) -> list[CriterionResult]:
    """Return the criteria with what was found; `curve` is the stitched one they look at."""
    drawdown = None if curve is None else curve.max_drawdown_ratio
    earned = None if curve is None else curve.total_return_ratio
    rate, share = summary.positive_window_rate, summary.largest_window_share
    efficiency = summary.walk_forward_efficiency
    found = [
        _at_least("min_positive_window_rate", criteria.min_positive_window_rate, rate),
        _at_least("min_walk_forward_efficiency", criteria.min_walk_forward_efficiency, efficiency),
    ]
    if not overlapping:
        most = criteria.max_single_window_share
        found.append(_at_most("max_single_window_share", most, share))
    least = criteria.min_total_return_ratio
    above = earned is not None and earned > least
    return [
        *found,
        _at_most("max_drawdown_ratio", criteria.max_drawdown_ratio, drawdown),
        CriterionResult("min_total_return_ratio", least, earned, above),
    ]


def _at_least(name: str, wanted: float, found: float | None) -> CriterionResult:
    return CriterionResult(name, wanted, found, found is not None and found >= wanted)


def _at_most(name: str, wanted: float, found: float | None) -> CriterionResult:
    return CriterionResult(name, wanted, found, found is not None and found <= wanted)
