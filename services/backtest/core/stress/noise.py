"""Markets whose prices are a little different."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from services.backtest.core.execution import Execution
from services.backtest.core.frame import Frame
from services.backtest.core.terms import terms_of
from services.common.frames import Candles

_PURPOSE: Final = 1
"""Keeps the draws apart from those for other purposes."""


def noisy(frame: Frame, ratio: float, execution: Execution, seed: int, number: int) -> Frame:
    """Return one of many markets with noise; equal arguments give equal bits on every machine.

    Every price is multiplied by a factor of its own, uniform from 1 - ratio to 1 + ratio, and
    rounded to the nearest tick, at least one, where there are ticks. The highest of a bar's four
    prices is its high then and the lowest its low. Uniform draws need no logarithm, whose last bit
    differs between machines.
    """
    if ratio == 0.0:
        return frame
    candles, draws = frame.candles, np.random.default_rng((seed, _PURPOSE, number))
    prices = np.stack([candles.open, candles.high, candles.low, candles.close])
    prices *= 1.0 + ratio * (2.0 * draws.random(prices.shape) - 1.0)
    terms = terms_of(execution)
    if terms.tick_units > 0.0:
        steps = np.rint(prices * terms.tick_scale / terms.tick_units)
        prices = np.maximum(steps, 1.0) * terms.tick_units / terms.tick_scale
    columns = (
        candles.open_time_ms,
        prices[0],
        prices.max(axis=0),
        prices.min(axis=0),
        prices[3],
        candles.volume,
    )
    return replace(frame, candles=Candles.from_columns(columns))
