"""What the data service needs from outside, as Protocols, and the values that cross. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.common.frames import Candles, Numbers, Times
from services.common.intervals import Interval


@dataclass(frozen=True, slots=True)
class InstrumentId:
    """An instrument of an exchange.

    Attributes:
        source: The exchange: "bybit".
        category: The exchange's market: "spot", "linear" or "inverse".
        symbol: The exchange's own symbol, upper case: "BTCUSDT".
    """

    source: str
    category: str
    symbol: str


@dataclass(frozen=True, slots=True, eq=False)
class FundingRates:
    """Funding settlements as columns of equal length, by rising time.

    Attributes:
        funding_time_ms: Settlement times, int64 ms since the epoch, shape (settlements,).
        funding_rate_ratio: Rates as fractions of notional, float64; longs pay positive rates.
    """

    funding_time_ms: Times
    funding_rate_ratio: Numbers

    def __post_init__(self) -> None:
        """Refuse columns of unequal length; ValueError."""
        if len(self.funding_time_ms) != len(self.funding_rate_ratio):
            raise ValueError("funding columns differ in length")

    def __len__(self) -> int:
        return len(self.funding_time_ms)

    @classmethod
    def empty(cls) -> FundingRates:
        """Return no settlements."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class InstrumentInfo:
    """What an exchange trades and under which rules; the plain form of `Instrument`.

    Attributes:
        instrument: Which instrument.
        base_currency: Currency bought and sold.
        quote_currency: Currency of prices.
        status: The exchange's status word, for example "Trading".
        tick_size_quote: Smallest price step; None where the exchange gives none, as below.
        quantity_step_base: Smallest quantity step.
        minimum_quantity_base: Smallest order.
        minimum_notional_quote: Smallest order value.
        maximum_leverage: Largest leverage; None for spot.
        funding_interval_minutes: Time between settlements; None for spot.
        launch_time_ms: First day of trading, ms since the epoch.
    """

    instrument: InstrumentId
    base_currency: str
    quote_currency: str
    status: str
    tick_size_quote: float | None = None
    quantity_step_base: float | None = None
    minimum_quantity_base: float | None = None
    minimum_notional_quote: float | None = None
    maximum_leverage: float | None = None
    funding_interval_minutes: int | None = None
    launch_time_ms: int | None = None


class CandleSource(Protocol):
    """An exchange's candles."""

    def pages(
        self, instrument: InstrumentId, interval: Interval, start_ms: int, end_ms: int
    ) -> AsyncIterator[Candles]:
        """Yield the closed candles of [start_ms, end_ms), oldest page first.

        Each page holds at most 1,000 bars by strictly rising, aligned open time; pages do not
        overlap. Raises AssayError INSTRUMENT_UNKNOWN, SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        ...

    async def earliest_open_ms(self, instrument: InstrumentId, interval: Interval) -> int:
        """Return the open time before which there can be no bar: the launch of the instrument.

        Raises AssayError INSTRUMENT_UNKNOWN, SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        ...


class FundingSource(Protocol):
    """An exchange's funding rates."""

    def funding_pages(
        self, instrument: InstrumentId, start_ms: int, end_ms: int
    ) -> AsyncIterator[FundingRates]:
        """Yield the settlements of [start_ms, end_ms), oldest page first, without overlap.

        Raises AssayError INSTRUMENT_UNKNOWN, SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        ...


class InstrumentSource(Protocol):
    """What an exchange trades."""

    async def instruments(self, category: str, symbol: str | None) -> list[InstrumentInfo]:
        """Return the instruments of a category by rising symbol; empty where none matches.

        Raises AssayError SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        ...
