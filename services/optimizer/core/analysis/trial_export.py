"""Files of trials: which there are, what their columns are, and who writes them."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.space import Categories, Domain, Fixed, IntRange
from services.optimizer.core.trial import Trial, Value

CHUNK_BYTES: Final = 2**20
"""Largest chunk of a file."""


class ExportFormat(enum.Enum):
    """What file; the values are those of `assay.optimizer.v1.ExportTrialsRequest.Format`."""

    CSV = 1
    JSON_LINES = 2
    PARQUET = 3


@dataclass(frozen=True, slots=True)
class ExportLayout:
    """The columns of a file that follow those every file has.

    Attributes:
        parameters: Names of all parameters, fixed ones included, with the type of their values:
            int, float or str.
        objectives: Names of the objectives.
        metrics: Names of the metrics.
        whole_metrics: Those of them that are whole numbers.
        dataset_count: Datasets, each with columns of its own; 0 where there is only one.
    """

    parameters: tuple[tuple[str, type[Value]], ...]
    objectives: tuple[str, ...]
    metrics: tuple[str, ...]
    whole_metrics: frozenset[str]
    dataset_count: int = 0


class TrialExport(Protocol):
    """Writes one file, page by page. The chunks joined, in order, are the file."""

    def write(self, trials: Sequence[Trial]) -> Iterator[bytes]:
        """Take the next trials; yield what is ready, none longer than `CHUNK_BYTES`. Blocks."""

    def finish(self) -> Iterator[bytes]:
        """Yield the rest, none longer than `CHUNK_BYTES`. Blocks."""


def export_layout(
    plan: StudyPlan, metrics: Sequence[str], whole_metrics: frozenset[str]
) -> ExportLayout:
    """Return the layout of a study's files."""
    return ExportLayout(
        parameters=tuple((one.name, _type_of(one.domain)) for one in plan.space.parameters),
        objectives=tuple(one.metric for one in plan.objectives),
        metrics=tuple(metrics),
        whole_metrics=whole_metrics,
        dataset_count=len(plan.aggregation.datasets) if plan.aggregation else 0,
    )


def _type_of(domain: Domain) -> type[Value]:
    if isinstance(domain, Fixed):
        return type(domain.value)
    if isinstance(domain, Categories):
        return str
    return int if isinstance(domain, IntRange) else float
