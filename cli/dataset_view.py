"""Datasets as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from assay.data.v1.dataset_pb2 import Dataset, QualityReport

from cli.figures import enum_word, interval, moment
from cli.output import facts, grid

if TYPE_CHECKING:
    from rich.table import Table


def description(dataset: Dataset) -> Table:
    """Return everything about one dataset but its gaps."""
    quality = dataset.quality
    made_up = f"made up from seed {dataset.synthetic.seed}" if _is_made_up(dataset) else ""
    return facts(
        [
            ("dataset", dataset.name),
            ("SYNTHETIC", made_up),
            ("kind", enum_word(Dataset.Kind.Name(dataset.kind))),
            ("source", dataset.source),
            ("interval", interval(dataset.interval)),
            ("first (UTC)", moment(dataset.first_open_time)),
            ("last (UTC)", moment(dataset.last_open_time)),
            ("rows", f"{dataset.row_count:,}"),
            ("gaps", _gap_words(quality)),
            ("duplicates dropped", _some(quality.dropped_duplicate_count)),
            ("rows sorted", _some(quality.sorted_row_count)),
            ("bars without volume", _some(quality.zero_volume_bar_count)),
            ("version", str(dataset.version)),
            ("content digest", dataset.content_digest),
            ("updated (UTC)", moment(dataset.update_time)),
        ]
    )


def listing(datasets: Iterable[Dataset]) -> Table:
    """Return one row per dataset."""
    numbers = ("rows", "missing")
    columns = ("dataset", "source", "interval", "first (UTC)", "last (UTC)", *numbers, "digest")
    table = grid(columns, right=numbers)
    for dataset in datasets:
        table.add_row(
            dataset.name,
            dataset.source + (" (made up)" if _is_made_up(dataset) else ""),
            interval(dataset.interval) or enum_word(Dataset.Kind.Name(dataset.kind)),
            moment(dataset.first_open_time),
            moment(dataset.last_open_time),
            f"{dataset.row_count:,}",
            f"{dataset.quality.missing_bar_count:,}",
            dataset.content_digest[:12],
        )
    return table


def gaps(quality: QualityReport) -> Table:
    """Return the places where bars are missing."""
    table = grid(
        ("first missing (UTC)", "present again (UTC)", "bars missing"),
        title=f"gaps: {len(quality.gaps):,} of {quality.gap_count:,}",
        right=("bars missing",),
    )
    for gap in quality.gaps:
        table.add_row(moment(gap.start_time), moment(gap.end_time), f"{gap.missing_bar_count:,}")
    return table


def _is_made_up(dataset: Dataset) -> bool:
    return dataset.source == "synthetic" or dataset.HasField("synthetic")


def _gap_words(quality: QualityReport) -> str:
    if not quality.gap_count:
        return "none"
    return f"{quality.gap_count:,} with {quality.missing_bar_count:,} bars missing"


def _some(count: int) -> str:
    return f"{count:,}" if count else ""
