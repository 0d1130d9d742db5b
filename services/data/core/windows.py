"""Which rows a request means: windows against a dataset, and the frame of a snapshot. Pure."""

from __future__ import annotations

from services.common.errors import AssayError, Code
from services.data.core.dataset import Dataset
from services.data.core.moments import iso
from services.data.core.ports import Span


def resolve(dataset: Dataset, start_ms: int | None, end_ms: int | None) -> Span:
    """Fill the unset edges of a window from the dataset.

    Raises:
        AssayError: WINDOW_OUTSIDE_DATASET when the window reaches beyond the dataset's bars.
    """
    start = dataset.first_ms if start_ms is None else start_ms
    end = dataset.end_ms if end_ms is None else end_ms
    if start < dataset.first_ms or end > dataset.end_ms or start >= end:
        raise outside(dataset, start, end)
    return Span(start, end)


def outside(dataset: Dataset, start_ms: int, end_ms: int) -> AssayError:
    """Return WINDOW_OUTSIDE_DATASET with what the dataset does hold."""
    first, last = iso(dataset.first_ms), iso(dataset.last_ms)
    return AssayError(
        Code.OUT_OF_RANGE,
        "WINDOW_OUTSIDE_DATASET",
        f"the window {iso(start_ms)} to {iso(end_ms)} holds no bar of {dataset.name} or reaches "
        f"beyond it: its bars open from {first} to {last}, so windows lie within "
        f"{first} to {iso(dataset.end_ms)}",
        metadata={"first_open_time": first, "last_open_time": last},
    )
