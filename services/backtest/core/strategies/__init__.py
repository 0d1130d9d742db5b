"""The built-in strategies, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.backtest.core.strategies.bollinger_reversion import BOLLINGER_REVERSION
from services.backtest.core.strategies.buy_and_hold import BUY_AND_HOLD
from services.backtest.core.strategies.donchian_breakout import DONCHIAN_BREAKOUT
from services.backtest.core.strategies.ma_crossover import MA_CROSSOVER
from services.backtest.core.strategies.macd import MACD
from services.backtest.core.strategies.rsi_reversion import RSI_REVERSION
from services.backtest.core.strategies.strategy import Strategy

__all__ = ["STRATEGIES", "Strategy"]

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            BOLLINGER_REVERSION,
            BUY_AND_HOLD,
            DONCHIAN_BREAKOUT,
            MA_CROSSOVER,
            MACD,
            RSI_REVERSION,
        )
    }
)
"""The strategies by bare name, ordered by it."""
