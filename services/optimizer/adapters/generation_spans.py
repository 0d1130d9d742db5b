"""A span around the work that a generation needs from workers, whose calls then belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.common.observing.tracing import span
from services.common.telemetry import study_id
from services.optimizer.core.ports import Search, Workers
from services.optimizer.core.study.evaluation import Engagement
from services.optimizer.core.trial import Outcome, Point, Trial


class GenerationSpans:
    """A study's search and workers, watched: the search is told which generation it is.

    Attributes:
        engagement: The study's, with both in place.
    """

    def __init__(self, engagement: Engagement) -> None:
        self._search: Search = engagement.search
        self._workers: Workers = engagement.workers
        self._generation_number = 0
        self.engagement = replace(engagement, search=self, workers=self)

    def ask(self, generation_number: int, count: int) -> list[Point]:
        """Return what the search proposes."""
        self._generation_number = generation_number
        return self._search.ask(generation_number, count)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Let the search learn."""
        self._search.tell(trials)

    async def evaluate(
        self,
        points: Sequence[Point],
        bar_limit: int | None = None,
        window_number: int | None = None,
        dataset_number: int | None = None,
    ) -> list[Outcome]:
        """Return the workers' outcomes; one span over all calls of the points."""
        told: dict[str, str | int] = {
            "assay.study_id": study_id.get(),
            "assay.generation_number": self._generation_number,
            "assay.set_count": len(points),
        }
        if bar_limit is not None:
            told["assay.bar_limit"] = bar_limit
        if window_number is not None:
            told["assay.window_number"] = window_number
        if dataset_number is not None:
            told["assay.dataset_number"] = dataset_number
        with span("study.generation", told):
            return await self._workers.evaluate(points, bar_limit, window_number, dataset_number)
