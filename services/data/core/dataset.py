"""What a dataset is: inventory, findings of the check, how made-up rows were made. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.common.intervals import Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing bars between two rows.

    Attributes:
        start_ms: Open time of the first missing bar, ms since the epoch.
        end_ms: Open time of the first bar present again.
        missing_bar_count: Bars missing.
    """

    start_ms: int
    end_ms: int
    missing_bar_count: int


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What a check of the rows found; the plain form of the contract's QualityReport.

    Attributes:
        gap_count: Places where consecutive rows are more than one interval apart.
        missing_bar_count: Bars missing in all gaps together.
        gaps: The gaps in order, at most `LISTED_GAPS`.
        dropped_duplicate_count: Rows dropped as equal copies of a row with the same time.
        sorted_row_count: Rows that stood out of order and were sorted.
        zero_volume_bar_count: Bars without volume.
    """

    gap_count: int = 0
    missing_bar_count: int = 0
    gaps: tuple[Gap, ...] = ()
    dropped_duplicate_count: int = 0
    sorted_row_count: int = 0
    zero_volume_bar_count: int = 0


LISTED_GAPS = 1_000
"""Most gaps a report lists; all are counted."""


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """How a made-up market is made; see `synthetic`.

    Attributes:
        seed: Any 64-bit integer.
        start_price_quote: First open price.
        annual_volatility_ratio: Average volatility of a year as a fraction.
        mean_regime_bar_count: Mean length of a regime in bars.
    """

    seed: int = 0
    start_price_quote: float = 30_000.0
    annual_volatility_ratio: float = 0.6
    mean_regime_bar_count: int = 240


@dataclass(frozen=True, slots=True)
class Dataset:
    """One version of a stored dataset.

    Attributes:
        name: "datasets/{dataset}".
        source: "bybit", "file" or "synthetic".
        interval: Length of one bar; None for funding rates.
        first_ms: Open time of the first bar, or time of the first settlement.
        last_ms: Open time of the last bar, or time of the last settlement.
        row_count: Rows stored, at least 1.
        update_ms: When the rows last changed.
        content_digest: Digest of all rows.
        quality: What was found in the rows.
        synthetic: How made-up rows were made.
        table_id: Identity of the table; a dataset deleted and made again has another.
        version: Version of the table.
    """

    name: str
    source: str
    interval: Interval | None
    first_ms: int
    last_ms: int
    row_count: int
    update_ms: int
    content_digest: str
    quality: QualityReport
    synthetic: SyntheticMarket | None = None
    table_id: str = ""
    version: int = -1

    @property
    def end_ms(self) -> int:
        """Just after the last row: the next bar's open, or 1 ms after the last settlement."""
        if self.interval is None:
            return self.last_ms + 1
        return self.interval.next_open_ms(self.last_ms)
