"""The curve of equity, summed up while it is drawn: nothing is kept but these numbers."""

from __future__ import annotations

from typing import NamedTuple

from services.backtest.core.kernel import inner


class Curve(NamedTuple):
    """Sums over the closes so far.

    A flat account's return is exactly 0 and its equity stays, so bars at which nothing is held or
    filled are left out of the sums of returns, and enter the sum of equity by the stretch.

    Attributes:
        previous: Equity at the last close.
        total: Sum of equity over closes: bars held or filled one by one, each flat stretch at once,
            in the order of time.
        returns: Sum of per-bar returns.
        squares: Sum of their squares.
        peak: Highest equity so far; the capital is the first.
        least: Smallest ratio of equity to the peak before it, up to the last peak.
        trough: Lowest equity since that peak. Rounded quotients by one peak rise with what is
            divided, so the lowest equity has the smallest: one division serves all since a peak.
        peak_bar: Last bar at the peak.
        longest: Most bars from a peak to the first bar back at it.
    """

    previous: float
    total: float
    returns: float
    squares: float
    peak: float
    least: float
    trough: float
    peak_bar: int
    longest: int


@inner
def new_curve(capital: float) -> Curve:
    """Return the curve before the first close."""
    return Curve(capital, 0.0, 0.0, 0.0, capital, 1.0, capital, 0, 0)


@inner
def after_close(curve: Curve, bar: int, equity: float) -> Curve:
    """Return the curve after the close of a bar at which something was held or filled."""
    _, total, returns, squares, peak, least, trough, peak_bar, longest = curve
    change = equity / curve.previous - 1.0
    trough = min(trough, equity)
    if equity >= peak:
        if bar - peak_bar > 1:
            longest = max(longest, bar - peak_bar)
        least = min(least, trough / peak)
        peak, peak_bar, trough = equity, bar, equity
    return Curve(
        equity,
        total + equity,
        returns + change,
        squares + change * change,
        peak,
        least,
        trough,
        peak_bar,
        longest,
    )


@inner
def after_stretch(curve: Curve, start: int, end: int, cash: float) -> Curve:
    """Return the curve after the flat bars from start to end, half-open, at least one."""
    previous, total, returns, squares, peak, least, trough, peak_bar, longest = curve
    if previous >= peak:
        peak_bar = end - 1
    total += cash * (end - start)
    return Curve(cash, total, returns, squares, peak, least, trough, peak_bar, longest)


@inner
def least_ratio(curve: Curve) -> float:
    """Return the smallest ratio of equity to the peak before it."""
    return min(curve.least, curve.trough / curve.peak)
