"""Watching a study to its end, across lost connections and restarts of the optimizer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import grpc
from assay.optimizer.v1.optimizer_service_pb2 import (
    GetStudyRequest,
    WatchStudyRequest,
    WatchStudyResponse,
)
from assay.optimizer.v1.study_pb2 import GenerationFinished, Study

from cli.connection import Services
from cli.failures import EXIT_REFUSED
from cli.figures import metric_value, seconds
from cli.output import emit_json_line
from cli.progress import Meter, meter

FINAL_STATES = frozenset({Study.STATE_STOPPED, Study.STATE_SUCCEEDED, Study.STATE_FAILED})
_PATIENCE_SECONDS = 120.0
"""How long an optimizer that was there may stay away."""
_PAUSE_SECONDS = (0.2, 0.5, 1.0, 2.0)
_LOST = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)

OnEvent = Callable[[WatchStudyResponse], None]


class Watch:
    """Follows the events of one study, each of them once."""

    def __init__(self, services: Services, name: str, after: int, on_event: OnEvent) -> None:
        """Prepare to follow a study that the optimizer is known to have.

        Args:
            services: Where the optimizer is.
            name: Full name of the study.
            after: Number of the last event already seen.
            on_event: Called for every event.
        """
        self._services = services
        self._name = name
        self._after = after
        self._on_event = on_event
        self._heard_at = time.monotonic()
        self._silent_streams = 0

    async def to_end(self, shown: Meter) -> Study:
        """Follow the study and return it finished.

        Raises:
            grpc.RpcError: the optimizer refuses, or stays away for too long.
        """
        while True:
            try:
                finished = await self._read_stream()
                if finished is not None and await self._is_over(finished):
                    return finished
            except grpc.aio.AioRpcError as error:
                away = time.monotonic() - self._heard_at
                if error.code() not in _LOST or away > _PATIENCE_SECONDS:
                    raise
                if self._silent_streams == 0:
                    shown.say("lost the optimizer; trying to reach it again")
            await asyncio.sleep(_PAUSE_SECONDS[min(self._silent_streams, len(_PAUSE_SECONDS) - 1)])
            self._silent_streams += 1

    async def _read_stream(self) -> Study | None:
        """Read one stream to its end; returns the study if its last event finished it."""
        finished = None
        request = WatchStudyRequest(name=self._name, after_event_number=self._after)
        async for response in self._services.optimizer.WatchStudy(request):
            self._after = response.event.number
            self._heard_at, self._silent_streams = time.monotonic(), 0
            is_end = response.event.WhichOneof("kind") == "study_finished"
            finished = response.event.study_finished if is_end else None
            self._on_event(response)
        return finished

    async def _is_over(self, finished: Study) -> bool:
        """Tell whether a finished study was not taken up again after that event."""
        if finished.state == Study.STATE_SUCCEEDED:
            return True
        answer = await self._services.optimizer.GetStudy(GetStudyRequest(name=self._name))
        return answer.study.state in FINAL_STATES


async def follow(services: Services, study: Study, *, after: int, as_json: bool) -> Study:
    """Watch a study to its end with live progress, or as lines of JSON; returns it finished.

    Args:
        services: Where the optimizer is.
        study: The study as the optimizer described it.
        after: Number of the last event already seen; 0 for none.
        as_json: Whether to print every event as JSON.
    """
    objective = study.spec.objectives[0].metric if study.spec.objectives else "objective"
    with meter(study.name, "trials", silent=as_json) as shown:

        def on_event(response: WatchStudyResponse) -> None:
            if as_json:
                emit_json_line(response)
            elif response.event.WhichOneof("kind") == "generation_finished":
                generation = response.event.generation_finished
                progress = generation.progress
                shown.update(
                    progress.finished_trial_count,
                    progress.total_trial_count,
                    _note(generation, objective),
                )

        return await Watch(services, study.name, after, on_event).to_end(shown)


def _note(generation: GenerationFinished, objective: str) -> str:
    """Return what is known so far: the best trial, and the time still needed."""
    best = generation.best_trial
    if not best.objective_values:
        note = "no feasible trial yet"
    elif generation.best_trial_count > 1:
        note = f"{generation.best_trial_count} trials on the front"
    else:
        told = metric_value(objective, best.objective_values[0])
        note = f"best {objective} {told} (trial {best.number})"
    if generation.progress.remaining_duration.seconds:
        note += f", {seconds(generation.progress.remaining_duration)} to go"
    return note


def status_of(study: Study) -> int:
    """Return the exit status that a finished study means: 1 when it failed."""
    return EXIT_REFUSED if study.state == Study.STATE_FAILED else 0
