"""What the data service needs from outside, as Protocols, and the values that cross. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from services.common.frames import Candles, Numbers, Times
from services.common.intervals import Interval
from services.data.core.dataset import Dataset, SyntheticMarket


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

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return times and rates."""
        return (self.funding_time_ms, self.funding_rate_ratio)

    @classmethod
    def from_columns(cls, columns: Iterable[npt.ArrayLike]) -> FundingRates:
        """Make rates of two array-likes: times and rates."""
        times, rates = columns
        return cls(
            np.ascontiguousarray(times, dtype=np.int64),
            np.ascontiguousarray(rates, dtype=np.float64),
        )

    @classmethod
    def empty(cls) -> FundingRates:
        """Return no settlements."""
        return cls.from_columns(([], []))

    def slice(self, start: int, stop: int) -> FundingRates:
        """Return rows start to stop (half-open) as views."""
        return FundingRates(self.funding_time_ms[start:stop], self.funding_rate_ratio[start:stop])

    def content_digest(self) -> str:
        """Return the hexadecimal SHA-256 of the little-endian column bytes: times, then rates."""
        digest = hashlib.sha256(self.funding_time_ms.astype("<i8", copy=False).tobytes())
        digest.update(self.funding_rate_ratio.astype("<f8", copy=False).tobytes())
        return digest.hexdigest()


Rows: TypeAlias = Candles | FundingRates
"""What a dataset holds; the first column is always the time."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open span of times, start_ms <= time < end_ms."""

    start_ms: int
    end_ms: int


EVERYTHING = Span(-(2**63), 2**63 - 1)


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


class MarketMaker(Protocol):
    """Made-up candles; see `synthetic`."""

    def pages(
        self, market: SyntheticMarket, interval: Interval, span: Span
    ) -> AsyncIterator[Candles]:
        """Yield the bars of a market that begins at the span's first open, oldest page first."""
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


class StoreConflict(Exception):  # noqa: N818 - a signal between store and caller, never an answer
    """Somebody else changed the dataset since it was read; read it again and decide anew."""


class DatasetStore(Protocol):
    """Versioned tables of rows, one per dataset, changed one whole commit at a time."""

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """Wait until no other task of this process is changing the dataset.

        Every change is decided and made in a turn, so that conflicts come from other processes
        only.
        """
        ...

    async def names(self) -> list[str]:
        """Return the names of all datasets ("datasets/..."), sorted."""
        ...

    async def find(self, name: str) -> Dataset | None:
        """Return the dataset as it stands, or None."""
        ...

    async def read(self, dataset: Dataset, span: Span = EVERYTHING) -> Rows:
        """Return the rows of exactly this version whose time is in the span, by rising time.

        Raises StoreConflict where that version is gone.
        """
        ...

    async def times_before(self, dataset: Dataset, end_ms: int) -> Times:
        """Return the times of exactly this version that lie before `end_ms`, rising."""
        ...

    async def append(self, base: Dataset, rows: Rows, described: Dataset) -> Dataset:
        """Add rows with new times to version `base`; StoreConflict when it is not the latest."""
        ...

    async def replace(self, base: Dataset | None, rows: Rows, described: Dataset) -> Dataset:
        """Make `rows` the whole content, creating the dataset when `base` is None.

        Raises StoreConflict when `base` is not the latest version, or exists though None.
        """
        ...

    async def delete(self, name: str) -> bool:
        """Remove the dataset with all versions; False where there was none."""
        ...


class FrameCache(Protocol):
    """Frames shared between processes; may forget, may be absent, never wrong."""

    async def get(self, key: str) -> Candles | None:
        """Return the frame stored under the key, or None."""
        ...

    async def put(self, key: str, frame: Candles) -> None:
        """Keep the frame for others; failures are swallowed."""
        ...
