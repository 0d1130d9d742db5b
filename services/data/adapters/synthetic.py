"""Made-up markets as a source: the arithmetic of `core.synthetic`, kept off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core import synthetic
from services.data.core.dataset import SyntheticMarket
from services.data.core.ports import Span


class SyntheticSource:
    """`MarketMaker` that computes each page in a thread."""

    async def pages(
        self, market: SyntheticMarket, interval: Interval, span: Span
    ) -> AsyncIterator[Candles]:
        """Yield the bars of a market that begins at the span's first open, oldest page first."""
        chunks = synthetic.candles(market, interval, span)
        while (page := await asyncio.to_thread(next, chunks, None)) is not None:
            yield page
