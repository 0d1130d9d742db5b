"""Candles, funding rates and instruments from Bybit's public v5 API.

Pages are closed windows of at most 1,000 bars with both bounds sent: an exchange that truncates
newest first would otherwise lose the old part of a wider window without a word. An unknown
instrument is an error and is never replaced by another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

from services.common.errors import AssayError, Code, unavailable
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.adapters.bybit_parsing import (
    INTERVAL_NAMES,
    Reply,
    ReplyMalformedError,
    candles_of,
    funding_frame,
    funding_of,
    instruments_of,
    open_times_of,
)
from services.data.adapters.bybit_session import BybitSession, Patience, RefusedError
from services.data.adapters.bybit_windows import (
    PAGE_BARS,
    closed_bar_count,
    page_end_ms,
)
from services.data.adapters.rate_limit import Bucket, LocalBucket, Rate, SharedBucket
from services.data.core.grid import first_open_from, last_open_until
from services.data.core.ports import FundingRates, InstrumentId, InstrumentInfo

T = TypeVar("T")

FUNDING_ROWS: Final = 200
INSTRUMENT_ROWS: Final = 1_000
CLOCK_TOLERANCE_MS: Final = 60_000
"""How far this machine's clock may be behind before closed bars are taken for future ones."""

DEFAULT_PATIENCE: Final = Patience()
DEFAULT_RATE: Final = Rate()
"""10 requests a second; the exchange allows 120."""


class BybitSource:
    """The exchange as CandleSource, FundingSource and InstrumentSource.

    Args:
        base_url: Another server than the exchange's own, for tests; None for the exchange.
        clock_ms: The time now, ms since the epoch.
        redis_url: Where replicas share the rate limit; None keeps it in this process.
        patience: How long to try.
        rate: How many requests may go out.
        sleep: Waits a number of seconds.
        jitter: A random number of [0, 1) to spread retries.
    """

    def __init__(
        self,
        base_url: str | None,
        clock_ms: Callable[[], int],
        redis_url: str | None,
        *,
        patience: Patience = DEFAULT_PATIENCE,
        rate: Rate = DEFAULT_RATE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        bucket: Bucket = LocalBucket(rate, clock_ms)
        if redis_url is not None:
            key = f"assay:data:rate:{base_url or 'bybit'}"
            bucket = SharedBucket(redis_url, key, rate, clock_ms, bucket)
        self._session = BybitSession(base_url, clock_ms, bucket, patience, sleep, jitter)
        self._clock_ms = clock_ms
        self._launches: dict[InstrumentId, int] = {}

    def outcomes(self) -> Mapping[str, int]:
        """Return how many requests ended how: "answered", or with which kind of fault."""
        return self._session.outcomes

    async def close(self) -> None:
        """Close connections to the exchange and to Redis."""
        await self._session.close()

    async def pages(
        self, instrument: InstrumentId, interval: Interval, start_ms: int, end_ms: int
    ) -> AsyncIterator[Candles]:
        """Yield the closed candles of [start_ms, end_ms), oldest page first.

        A page with holes is fetched once more; holes that stay are the exchange's. Windows without
        bars are skipped, for a halt is not the end of the data.

        Raises:
            AssayError: INSTRUMENT_UNKNOWN, SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        launch_ms = await self.earliest_open_ms(instrument, interval)
        page_start_ms = first_open_from(max(start_ms, launch_ms), interval)
        while page_start_ms < end_ms and not self._is_ahead(interval, page_start_ms):
            stop_ms = page_end_ms(interval, page_start_ms, end_ms)
            page, now_ms = await self._page(instrument, interval, page_start_ms, stop_ms)
            expected = closed_bar_count(interval, page_start_ms, stop_ms, now_ms)
            if len(page) < expected:
                again, now_ms = await self._page(instrument, interval, page_start_ms, stop_ms)
                page = max(again, page, key=len)
            if len(page):
                yield page
            if last_open_until(now_ms, interval) < stop_ms:
                return
            page_start_ms = stop_ms

    async def earliest_open_ms(self, instrument: InstrumentId, interval: Interval) -> int:
        """Return the open time of the bar that holds the instrument's launch.

        Raises:
            AssayError: INSTRUMENT_UNKNOWN, SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        if instrument not in self._launches:
            found = await self.instruments(instrument.category, instrument.symbol)
            if not found:
                raise _unknown(instrument, "it is not listed")
            launch_ms = found[0].launch_time_ms
            if launch_ms is None:
                launch_ms = await self._first_day_ms(instrument)
            self._launches[instrument] = launch_ms
        return last_open_until(self._launches[instrument], interval)

    async def funding_pages(
        self, instrument: InstrumentId, start_ms: int, end_ms: int
    ) -> AsyncIterator[FundingRates]:
        """Yield the settlements of [start_ms, end_ms), oldest page first, without overlap.

        The exchange pages them backwards only, so all are fetched before the first is yielded.

        Raises:
            AssayError: INSTRUMENT_UNKNOWN (also for spot, which has no funding),
                SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        if instrument.category == "spot":
            raise _unknown(instrument, "spot has no funding")
        start_ms = max(start_ms, await self.earliest_open_ms(instrument, Interval.MINUTE_1))
        rates: dict[int, float] = {}
        last_ms = end_ms - 1
        while last_ms >= start_ms:
            older = await self._funding_up_to(instrument, last_ms)
            if not older:
                break
            rates |= older
            last_ms = min(older) - 1
        frame = funding_frame({at: rate for at, rate in rates.items() if start_ms <= at < end_ms})
        for first in range(0, len(frame), FUNDING_ROWS):
            rows = slice(first, first + FUNDING_ROWS)
            yield FundingRates(frame.funding_time_ms[rows], frame.funding_rate_ratio[rows])

    async def instruments(self, category: str, symbol: str | None) -> list[InstrumentInfo]:
        """Return the instruments of a category by rising symbol; empty where none matches.

        Raises:
            AssayError: SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED.
        """
        query: dict[str, str | int] = {"category": category}
        if symbol is not None:
            query["symbol"] = quote(symbol, safe="")
        elif category != "spot":
            query["limit"] = INSTRUMENT_ROWS
        found: dict[str, InstrumentInfo] = {}
        cursors = [""]
        # The last page has no cursor, and one that repeats itself would never end.
        while len(cursors) == len(set(cursors)):
            try:
                page, cursor = await self._session.ask(
                    "get_instruments_info", query, lambda reply: instruments_of(reply, category)
                )
            except RefusedError as error:
                if symbol is None:
                    raise unavailable("SOURCE_UNAVAILABLE", f"bybit: {error}") from error
                return []
            found |= {info.instrument.symbol: info for info in page}
            cursors.append(cursor)
            query["cursor"] = cursor
        wanted = sorted(found) if symbol is None else [name for name in found if name == symbol]
        return [found[name] for name in wanted]

    def _is_ahead(self, interval: Interval, open_ms: int) -> bool:
        """Tell whether not even the bar that opens at `open_ms` can be closed by now."""
        return interval.next_open_ms(open_ms) > self._clock_ms() + CLOCK_TOLERANCE_MS

    async def _page(
        self, instrument: InstrumentId, interval: Interval, start_ms: int, end_ms: int
    ) -> tuple[Candles, int]:
        """Return the closed bars of one window, and the exchange's clock."""

        def read(reply: Reply) -> tuple[Candles, int]:
            return candles_of(reply, instrument, interval, start_ms, end_ms), reply.time_ms

        return await self._klines(instrument, interval, start_ms, end_ms, read)

    async def _first_day_ms(self, instrument: InstrumentId) -> int:
        """Return the first day with a bar, for spot, whose listing names no launch.

        One page of months from 1970 reaches beyond today; the first of them is then read by days.
        """

        def read(reply: Reply) -> list[int]:
            return open_times_of(reply, instrument)

        first_ms = 0
        for interval in (Interval.MONTH_1, Interval.DAY_1):
            end_ms = page_end_ms(interval, first_ms, self._clock_ms() + CLOCK_TOLERANCE_MS)
            opens = await self._klines(instrument, interval, first_ms, end_ms, read)
            first_ms = max(min(opens, default=first_ms), first_ms)
        return first_ms

    async def _klines(
        self,
        instrument: InstrumentId,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        read: Callable[[Reply], T],
    ) -> T:
        query: dict[str, str | int] = {
            "category": instrument.category,
            "symbol": quote(instrument.symbol, safe=""),
            "interval": INTERVAL_NAMES[interval],
            "start": start_ms,
            "end": end_ms - 1,
            "limit": PAGE_BARS,
        }
        try:
            return await self._session.ask("get_kline", query, read)
        except RefusedError as error:
            raise _unknown(instrument, str(error)) from error

    async def _funding_up_to(self, instrument: InstrumentId, last_ms: int) -> dict[int, float]:
        """Return the latest settlements up to and including `last_ms`, at most 200."""

        def read(reply: Reply) -> dict[int, float]:
            rates = funding_of(reply, instrument)
            if any(at > last_ms for at in rates):
                raise ReplyMalformedError(f"funding after {last_ms}")
            return rates

        query: dict[str, str | int] = {
            "category": instrument.category,
            "symbol": quote(instrument.symbol, safe=""),
            "endTime": last_ms,
            "limit": FUNDING_ROWS,
        }
        try:
            return await self._session.ask("get_funding_rate_history", query, read)
        except RefusedError as error:
            raise _unknown(instrument, str(error)) from error


def _unknown(instrument: InstrumentId, why: str) -> AssayError:
    name = f"{instrument.source}.{instrument.category}.{instrument.symbol.lower()}"
    return AssayError(
        Code.NOT_FOUND,
        "INSTRUMENT_UNKNOWN",
        f"bybit does not know {instrument.symbol} ({instrument.category}): {why}",
        metadata={"instrument": name},
    )
