"""Making synthetic datasets: whole from their fields, longer on demand, never mixed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from services.common.errors import Violation, refuse
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core import quality, storing
from services.data.core.catalog import SYNTHETIC
from services.data.core.dataset import Dataset, SyntheticMarket
from services.data.core.fetching import Progress
from services.data.core.grid import bars_in, first_open_from
from services.data.core.moments import iso
from services.data.core.ports import DatasetStore, MarketMaker, Span


class Maker:
    """Makes synthetic datasets and makes them longer."""

    def __init__(
        self, store: DatasetStore, market_maker: MarketMaker, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._market_maker = market_maker
        self._clock_ms = clock_ms

    async def make(
        self, name: str, interval: Interval, market: SyntheticMarket, window: Span
    ) -> AsyncGenerator[Progress, None]:
        """Make the bars of a window; yields progress, and the dataset at last.

        A dataset that already reaches as far is left as it is; a shorter one is made longer, its
        bars unchanged.

        Args:
            name: The dataset.
            interval: Length of one bar.
            market: Fields within their bounds; see `synthetic.field_problems`.
            window: A window of some bars, but not too many; see `synthetic.window_problems`.

        Raises:
            AssayError: FIELD_INVALID for fields or a start other than the stored dataset's.
        """

        def suffices(held: Dataset) -> bool:
            refuse(_differences(held, interval, market, window))
            return held.end_ms >= first_open_from(window.end_ms, interval)

        held = await storing.find_of_source(self._store, name, SYNTHETIC)
        if held is not None and suffices(held):
            yield Progress(0, 0, held)
            return
        expected = bars_in(window, interval)
        pages: list[Candles] = []
        made = 0
        async for page in self._market_maker.pages(market, interval, window):
            pages.append(page)
            made += len(page)
            yield Progress(made, expected)
        rows = Candles.concatenate(pages)

        def described() -> Dataset:
            report = quality.report_of(rows, interval)
            return storing.describe(
                name, SYNTHETIC, interval, rows, report, self._clock_ms(), market
            )

        dataset = await storing.replace_whole(self._store, rows, described, suffices)
        yield Progress(made, expected, dataset)


def _differences(
    held: Dataset, interval: Interval, market: SyntheticMarket, window: Span
) -> list[Violation]:
    problems = []
    if held.synthetic != market:
        problems.append(
            Violation(
                "synthetic",
                f"the stored dataset was made from other fields: {held.synthetic}, not {market}; "
                "use them, take another name, or delete it first",
            )
        )
    if held.first_ms != first_open_from(window.start_ms, interval):
        problems.append(
            Violation(
                "window.start_time",
                f"the stored market begins at {iso(held.first_ms)}, and a market is made from "
                "its first bar on; use that start, take another name, or delete it first",
            )
        )
    return problems
