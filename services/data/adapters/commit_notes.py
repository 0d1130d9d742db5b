"""What a dataset is, as plain values that fit into the JSON of a commit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from services.common.intervals import Interval
from services.data.core.dataset import Dataset, Gap, QualityReport, SyntheticMarket


def to_note(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset without what the table itself knows: name, identity, version."""
    quality = asdict(dataset.quality)
    quality["gaps"] = [
        [gap.start_ms, gap.end_ms, gap.missing_bar_count] for gap in dataset.quality.gaps
    ]
    return {
        "source": dataset.source,
        "interval": dataset.interval.value if dataset.interval else None,
        "first_ms": dataset.first_ms,
        "last_ms": dataset.last_ms,
        "row_count": dataset.row_count,
        "update_ms": dataset.update_ms,
        "content_digest": dataset.content_digest,
        "quality": quality,
        "synthetic": asdict(dataset.synthetic) if dataset.synthetic else None,
    }


def from_note(note: dict[str, Any], name: str, table_id: str, version: int) -> Dataset:
    """Return the dataset that `to_note` wrote down."""
    quality, synthetic, interval = note["quality"], note["synthetic"], note["interval"]
    gaps = tuple(Gap(*numbers) for numbers in quality["gaps"])
    return Dataset(
        name=name,
        source=note["source"],
        interval=Interval(interval) if interval else None,
        first_ms=note["first_ms"],
        last_ms=note["last_ms"],
        row_count=note["row_count"],
        update_ms=note["update_ms"],
        content_digest=note["content_digest"],
        quality=QualityReport(**{**quality, "gaps": gaps}),
        synthetic=SyntheticMarket(**synthetic) if synthetic else None,
        table_id=table_id,
        version=version,
    )
