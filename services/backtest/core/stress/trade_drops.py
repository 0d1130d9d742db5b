"""The account with some of its trades left out."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Numbers
from services.backtest.core.ledger import NET_PROFIT
from services.backtest.core.stress.trades import equity_before

_PURPOSE: Final = 2
"""Keeps the draws apart from those for other purposes."""


def dropped_returns(
    trades: Numbers, capital: float, probability: float, count: int, seed: int
) -> Numbers:
    """Return the total returns of choices of trades, shape (count,).

    Each trade is left out with a probability, on its own. One that is kept multiplies the account
    by 1 + its net profit over the equity it began with, at least by 0.

    Args:
        trades: The engine's table.
        capital: Initial capital, quote currency.
        probability: That a trade is left out.
        count: Choices made.
        seed: Of the choices.

    Raises:
        NoAccountError: a trade began with nothing.
    """
    gains = np.maximum(0.0, 1.0 + trades[:, NET_PROFIT] / equity_before(trades, capital))
    draws = np.random.default_rng((seed, _PURPOSE))
    account = np.ones(count)
    for gain in gains.tolist():
        account *= np.where(draws.random(count) < probability, 1.0, gain)
    return account - 1.0
