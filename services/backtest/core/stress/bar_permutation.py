"""Markets of the same bars in a random order.

What depends on the order of bars is gone; what does not - drift, volatility of single bars, the
shapes of bars - is kept (T. Masters, Permutation and Randomization Tests for Trading System
Development, 2020; there gaps and bars are permuted apart, here a bar keeps its gap).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Integers, Numbers
from services.common.frames import Candles

_PURPOSE: Final = 4
"""Keeps the draws apart from those for other purposes."""

_MOST_KEPT: Final = 4
"""Markets kept of a frame, so that the calls of a search share rows and tables."""

_kept: WeakKeyDictionary[Frame, OrderedDict[int, Frame]] = WeakKeyDictionary()
_lock = threading.Lock()


def permuted(frame: Frame, seed: int) -> Frame:
    """Return a frame's bars in a random order: the same object while it is among those used last.

    A bar keeps its shape, volume and mark prices, and its change from the close before; all its
    prices are multiplied by one factor, so that high and low stay the extremes. The first row of
    the frame stays. Bars of the lookback are permuted among themselves. Times and funding stay;
    shorter candles are left out. Quotients and products alone: equal bits on every machine.
    """
    with _lock:
        known = _kept.setdefault(frame, OrderedDict())
        made = known.pop(seed, None) or _permuted(frame, seed)
        known[seed] = made
        while len(known) > _MOST_KEPT:
            known.popitem(last=False)
        return made


def _permuted(frame: Frame, seed: int) -> Frame:
    candles, start = frame.candles, frame.window_start
    sources = _order(len(candles), start, seed)
    factors = _factors(candles.close, sources)
    mark = frame.mark
    if mark is not None:
        mark = _moved(mark, sources[start:] - start, factors[start:])
    return replace(frame, candles=_moved(candles, sources, factors), mark=mark, detail=None)


def _order(rows: int, start: int, seed: int) -> Integers:
    """Return for each row the row whose bar takes its place."""
    draws = np.random.default_rng((seed, _PURPOSE))
    # The window first: its order does not depend on how much history a strategy looks back on.
    places = np.argsort(draws.random(rows - max(start, 1)), kind="stable") + max(start, 1)
    before = np.argsort(draws.random(max(start - 1, 0)), kind="stable") + 1
    return np.concatenate([np.zeros(min(rows, 1), np.int64), before, places])


def _factors(closes: Numbers, sources: Integers) -> Numbers:
    """Return by what the prices of each row's bar are multiplied."""
    factors = np.ones(len(closes))
    changes = closes[1:] / closes[:-1]
    chained = np.concatenate([closes[:1], changes[sources[1:] - 1]])
    reached = np.multiply.accumulate(chained)
    factors[1:] = reached[:-1] / closes[sources[1:] - 1]
    return factors


def _moved(candles: Candles, sources: Integers, factors: Numbers) -> Candles:
    prices = (candles.open, candles.high, candles.low, candles.close)
    return Candles.from_columns(
        [
            candles.open_time_ms,
            *(column[sources] * factors for column in prices),
            candles.volume[sources],
        ]
    )
