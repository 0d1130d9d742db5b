"""What is known of a window once its winner has run out of sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.optimizer.core.trial import Trial
from services.optimizer.core.walk_forward.rule import Window


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """A winner's run over the out-of-sample bars of its window, from the initial capital.

    Attributes:
        total_return_ratio: Last equity over initial capital, less 1.
        net_profit_quote: Last equity less initial capital.
        sharpe_ratio: Daily Sharpe ratio; None where it is undefined.
        trade_count: Trades closed.
        close_ms: Close of each bar, ms since the epoch, int64, shape (bars,).
        equity_quote: Equity at each close, float64, shape (bars,).
    """

    total_return_ratio: float
    net_profit_quote: float
    sharpe_ratio: float | None
    trade_count: int
    close_ms: npt.NDArray[np.int64]
    equity_quote: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WindowEvidence:
    """A window with its winner; both are None where no trial of it is feasible.

    Attributes:
        number: Place of the window, from 0.
        window: Its spans.
        winner: Its winner.
        out_of_sample: The winner's run out of sample.
    """

    number: int
    window: Window
    winner: Trial | None = None
    out_of_sample: OutOfSample | None = None

    @property
    def profit_quote(self) -> float:
        """Profit out of sample; 0 without a winner: the window stays in cash."""
        return 0.0 if self.out_of_sample is None else self.out_of_sample.net_profit_quote
