"""Out-of-sample equity, span behind span, and the metrics of that curve.

Where spans overlap, each counts up to the begin of the next one and the last one whole. Metrics are
those of a backtest of the same names; days between spans do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.common.intervals import DAY_MS
from services.optimizer.core.walk_forward.evidence import WindowEvidence

MOST_POINTS: Final = 2_000
SHORTEST_CAGR_DAYS: Final = 30
DAYS_PER_YEAR: Final = 365.0
CAGR_DAYS_PER_YEAR: Final = 365.25

Times = npt.NDArray[np.int64]
Equity = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StitchedMetrics:
    """The fields of `assay.optimizer.v1.StitchedMetrics`; None where undefined."""

    total_return_ratio: float
    cagr_ratio: float | None
    sharpe_ratio: float | None
    annualized_volatility_ratio: float | None
    max_drawdown_ratio: float
    day_count: int


@dataclass(frozen=True, slots=True)
class StitchedCurve:
    """Points of the stitched curves, at most so many, and the metrics of all their bars.

    Attributes:
        time_ms: Begin of the first span, then closes of bars, int64, shape (points,).
        reset_equity_quote: Profits added up, shape (points,).
        compounded_equity_quote: Returns multiplied, shape (points,).
        reset: Metrics of the former.
        compounded: Metrics of the latter.
    """

    time_ms: Times
    reset_equity_quote: Equity
    compounded_equity_quote: Equity
    reset: StitchedMetrics
    compounded: StitchedMetrics


@dataclass(frozen=True, slots=True)
class _Segment:
    begin_ms: int
    end_ms: int
    close_ms: Times
    equity: Equity


def stitched(
    windows: Sequence[WindowEvidence], initial_capital_quote: float, most_points: int = MOST_POINTS
) -> StitchedCurve:
    """Return the stitched curve of at least one window, whose runs begin with that capital."""
    segments = _segments(windows, initial_capital_quote)
    added = _with_capital(segments, initial_capital_quote, compounded=False)
    multiplied = _with_capital(segments, initial_capital_quote, compounded=True)
    first = segments[0].begin_ms
    times = np.concatenate([[first], *(one.close_ms for one in segments)])
    count = len(times)
    places = np.linspace(0, count - 1, min(count, most_points)).round().astype(np.int64)
    start = [initial_capital_quote]
    return StitchedCurve(
        times[places],
        np.concatenate([start, *(one.equity for one in added)])[places],
        np.concatenate([start, *(one.equity for one in multiplied)])[places],
        _metrics(added, initial_capital_quote),
        _metrics(multiplied, initial_capital_quote),
    )


def stitched_daily_returns(
    windows: Sequence[WindowEvidence], initial_capital_quote: float, *, compounded: bool
) -> Equity | None:
    """Return the daily returns of one of the stitched curves, those of its Sharpe ratio.

    None where equity falls to 0 or below.
    """
    segments = _segments(windows, initial_capital_quote)
    kept = _with_capital(segments, initial_capital_quote, compounded=compounded)
    return _daily_returns(kept, initial_capital_quote)


def _segments(windows: Sequence[WindowEvidence], capital: float) -> list[_Segment]:
    """Cut each run where the next span begins; a window without a run stays in cash."""
    segments = []
    for place, one in enumerate(windows):
        span = one.window.out_of_sample
        end_ms = span.end_ms
        if place + 1 < len(windows):
            end_ms = min(end_ms, windows[place + 1].window.out_of_sample.start_ms)
        run = one.out_of_sample
        close_ms = np.array([end_ms], np.int64) if run is None else run.close_ms
        equity = np.array([capital]) if run is None else run.equity_quote
        kept = close_ms <= end_ms
        segments.append(_Segment(span.start_ms, end_ms, close_ms[kept], equity[kept]))
    return segments


def _with_capital(
    segments: Sequence[_Segment], initial: float, *, compounded: bool
) -> list[_Segment]:
    """Let each segment begin with what those before have left."""
    capital, found = initial, []
    for one in segments:
        equity = one.equity / initial * capital if compounded else one.equity - initial + capital
        found.append(_Segment(one.begin_ms, one.end_ms, one.close_ms, equity))
        capital = float(equity[-1]) if len(equity) else capital
    return found


def _metrics(segments: Sequence[_Segment], initial: float) -> StitchedMetrics:
    equity = np.concatenate([[initial], *(one.equity for one in segments)])
    peaks = np.maximum.accumulate(equity)
    total = float(equity[-1] / initial)
    returns = _daily_returns(segments, initial)
    days = sum(one.end_ms - one.begin_ms for one in segments) / DAY_MS
    deviation = None
    if returns is not None and len(returns) > 1:
        deviation = float(returns.std(ddof=1)) if (returns != returns[0]).any() else 0.0
    sharpe = None
    if returns is not None and deviation:
        sharpe = float(returns.mean()) / deviation * math.sqrt(DAYS_PER_YEAR)
    cagr = None
    if days >= SHORTEST_CAGR_DAYS:
        cagr = float(total ** (CAGR_DAYS_PER_YEAR / days)) - 1 if total > 0 else -1.0
    return StitchedMetrics(
        total_return_ratio=total - 1,
        cagr_ratio=cagr,
        sharpe_ratio=sharpe,
        annualized_volatility_ratio=(
            None if deviation is None else deviation * math.sqrt(DAYS_PER_YEAR)
        ),
        max_drawdown_ratio=float(((peaks - equity) / peaks).max()),
        day_count=0 if returns is None else len(returns),
    )


def _daily_returns(segments: Sequence[_Segment], initial: float) -> Equity | None:
    """Return the returns from midnight to midnight; None where equity falls to 0 or below."""
    runs: list[dict[int, float]] = []
    capital, end_ms = initial, None
    for one in segments:
        if one.begin_ms != end_ms:
            # Days between spans do not count.
            runs.append({})
        for midnight in range(-(-one.begin_ms // DAY_MS) * DAY_MS, one.end_ms + 1, DAY_MS):
            closed = int(np.searchsorted(one.close_ms, midnight, side="right"))
            runs[-1][midnight] = float(one.equity[closed - 1]) if closed else capital
        capital = float(one.equity[-1]) if len(one.equity) else capital
        end_ms = one.end_ms
    observed = [np.array(list(run.values())) for run in runs if run]
    if any((values <= 0).any() for values in observed):
        return None
    return np.concatenate([[], *(values[1:] / values[:-1] - 1 for values in observed)])
