"""The series beside the candles: which ones an execution model names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from assay.backtest.v1 import execution_pb2

from services.backtest.convert.snapshots import DATASET_NAME, DIGEST
from services.common.errors import Violation

SERIES_NAMES: Final = ("funding", "mark", "detail")
"""Fields of `ExecutionModel` and of `SeriesChoices`."""


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """A dataset over the window of a frame.

    Attributes:
        dataset: "datasets/{dataset}".
        digest: Content its rows must have, or "" for any.
    """

    dataset: str
    digest: str


@dataclass(frozen=True, slots=True)
class SeriesChoices:
    """The series of an execution model; None where there is none."""

    funding: SeriesChoice | None = None
    mark: SeriesChoice | None = None
    detail: SeriesChoice | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.funding or self.mark or self.detail)

    @classmethod
    def from_proto(cls, model: execution_pb2.ExecutionModel) -> Self:
        """Read the model as it is; `problems_with_series` says whether it may be used."""
        return cls(
            **{
                name: SeriesChoice(
                    getattr(model, name).dataset, getattr(model, name).content_digest
                )
                for name in SERIES_NAMES
                if model.HasField(name)
            }
        )

    def write(self, model: execution_pb2.ExecutionModel) -> None:
        """Write the series into a message that names none."""
        for name in SERIES_NAMES:
            chosen: SeriesChoice | None = getattr(self, name)
            if chosen is not None:
                pinned: execution_pb2.PinnedSeries = getattr(model, name)
                pinned.dataset, pinned.content_digest = chosen.dataset, chosen.digest


NO_SERIES: Final = SeriesChoices()


def problems_with_series(model: execution_pb2.ExecutionModel) -> list[Violation]:
    """Return everything wrong with the series a request's execution model names."""
    found = []
    for name in SERIES_NAMES:
        if not model.HasField(name):
            continue
        path, chosen = f"execution.{name}", getattr(model, name)
        if not chosen.dataset:
            found.append(Violation(f"{path}.dataset", "is required"))
        elif not DATASET_NAME.fullmatch(chosen.dataset):
            found.append(Violation(f"{path}.dataset", 'must have the form "datasets/{dataset}"'))
        if chosen.content_digest and not DIGEST.fullmatch(chosen.content_digest):
            told = "must be 64 lower-case hexadecimal digits"
            found.append(Violation(f"{path}.content_digest", told))
    return found
