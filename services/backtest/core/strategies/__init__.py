"""The strategies; the built-in ones are one file each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.strategies.bollinger_reversion import BOLLINGER_REVERSION
from services.backtest.core.strategies.buy_and_hold import BUY_AND_HOLD
from services.backtest.core.strategies.definition import Definition
from services.backtest.core.strategies.donchian_breakout import DONCHIAN_BREAKOUT
from services.backtest.core.strategies.ma_crossover import MA_CROSSOVER
from services.backtest.core.strategies.macd import MACD
from services.backtest.core.strategies.rsi_reversion import RSI_REVERSION
from services.backtest.core.strategies.strategy import Strategy

__all__ = ["DEFINITIONS", "STRATEGIES", "Definition", "Strategy", "install"]

DEFINITIONS: Final = (
    BOLLINGER_REVERSION,
    BUY_AND_HOLD,
    DONCHIAN_BREAKOUT,
    MA_CROSSOVER,
    MACD,
    RSI_REVERSION,
)
"""The built-in strategies as written down, ordered by name."""

_STRATEGIES: Final[dict[str, Strategy]] = {}

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(_STRATEGIES)
"""The strategies by bare name, ordered by it."""


def install(strategies: Iterable[Strategy]) -> None:
    """Add strategies; those of plug-ins before requests are served."""
    known = {**_STRATEGIES, **{strategy.name: strategy for strategy in strategies}}
    _STRATEGIES.clear()
    _STRATEGIES.update(sorted(known.items()))


install(Strategy.compiled(one, INDICATORS) for one in DEFINITIONS)
