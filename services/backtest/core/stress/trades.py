"""The trades of a run as shares of the account: what leaving out and placing anew work on."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.backtest.core.kernel import Numbers
from services.backtest.core.ledger import NET_PROFIT

MOST_DRAWS: Final = 20_000_000
FEWEST_VARIANTS: Final = 100


class NoAccountError(Exception):
    """A trade began without equity."""


def equity_before(trades: Numbers, capital: float) -> Numbers:
    """Return the account at the entry of each trade of a table, from the net profits before it.

    Raises:
        NoAccountError: a trade began with nothing.
    """
    before: Numbers = capital + np.cumsum(trades[:, NET_PROFIT]) - trades[:, NET_PROFIT]
    if (before <= 0.0).any():
        raise NoAccountError
    return before


def variants_for(wanted: int, trade_count: int) -> int:
    """Return how many variants of so many trades are made: draws are bounded."""
    return min(wanted, max(FEWEST_VARIANTS, MOST_DRAWS // max(trade_count, 1)))
