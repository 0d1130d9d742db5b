"""The trial run of a few points over each of a study's data, and what workers refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from assay.backtest.v1 import backtest_service_pb2
from assay.optimizer.v1 import study_pb2

from services.common.errors import AssayError, fields_invalid
from services.optimizer.convert import probing
from services.optimizer.convert.data_aggregation import spec_of_dataset
from services.optimizer.convert.specs import draft_of
from services.optimizer.core.spec.data_aggregation import MOST_DATA
from services.optimizer.core.spec.plan import StudyPlan
from services.optimizer.core.spec.probe import corner_points, low_point
from services.optimizer.core.trial import Point
from services.optimizer.servicer.collaborators import Backtests

_AT_ONCE: Final = 4
"""Data probed at once: enough to keep a few workers busy, too few to keep others waiting."""

_Errors: TypeAlias = list[tuple[int, AssayError]]
"""Refusals with the places of the data they are about."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A trial run over one of a study's data.

    Attributes:
        request: What was asked.
        response: What was said.
    """

    request: backtest_service_pb2.RunBacktestBatchRequest
    response: backtest_service_pb2.RunBacktestBatchResponse


class DataProbes:
    """Tries studies out before they begin."""

    def __init__(self, backtests: Backtests) -> None:
        self._backtests = backtests

    async def probed(self, spec: study_pb2.StudySpec, plan: StudyPlan) -> list[Probe]:
        """Return the trial run over each of a checked spec's data, in their order.

        Raises:
            AssayError: what is wrong with the data, or what workers refuse, everything at once.
        """
        own = spec.strategy.HasField("definition")
        points = corner_points(plan.space, known_strategy=not own)
        several = len(spec.data) > 1
        probes: dict[int, Probe] = {}

        async def probe(place: int) -> None:
            request = probing.probe_request(spec_of_dataset(spec, place), points)
            probes[place] = Probe(request, await self._backtests.run_batch(request))

        errors = await _everywhere(range(len(spec.data)), probe)
        if errors:
            raise await self._refusal(spec, points, errors) from errors[0][1]
        found = [probes[place] for place in range(len(spec.data))]
        for one in found:
            probing.check_window(one.response, one.response.snapshot.dataset if several else "")
        return found

    async def run_again(self, probes: Sequence[Probe]) -> None:
        """Make the trial runs once more, one after the other."""
        for one in probes:
            await self._backtests.run_batch(one.request)

    async def with_all(self, refused: AssayError, spec: study_pb2.StudySpec) -> AssayError:
        """Return a refusal with all that only workers know to be wrong, in one answer."""
        plain = low_point(draft_of(spec))

        async def ask(place: int) -> None:
            alone = spec_of_dataset(spec, place)
            await self._backtests.run(probing.choice_request(alone, plain))

        for place, error in await _everywhere(_places(spec), ask):
            refused = probing.with_choice_violations(refused, error, _told_place(spec, place))
        return await self._with_data(refused, spec)

    async def _with_data(self, refused: AssayError, spec: study_pb2.StudySpec) -> AssayError:
        """Return a refusal with what is wrong with the data too, so that one answer tells all."""

        async def ask(place: int) -> None:
            await self._backtests.run(probing.data_request(spec_of_dataset(spec, place)))

        for place, error in await _everywhere(_places(spec), ask):
            refused = probing.with_data_violations(refused, error, _told_place(spec, place))
        return refused

    async def _refusal(
        self, spec: study_pb2.StudySpec, points: Sequence[Point], errors: _Errors
    ) -> AssayError:
        told = [
            (place, probing.in_terms_of_spec(error, points, _told_place(spec, place)))
            for place, error in errors
        ]
        found = [item for _, error in told for item in error.violations]
        if not found:
            return probing.data_refusal(told)
        # A worker that refuses fields has not asked for the data yet.
        return await self._with_data(fields_invalid(list(dict.fromkeys(found))), spec)


def _places(spec: study_pb2.StudySpec) -> range:
    """Return the places of the data to be asked about; 0 too where there are none."""
    return range(min(max(len(spec.data), 1), MOST_DATA))


def _told_place(spec: study_pb2.StudySpec, place: int) -> int | None:
    return place if len(spec.data) > 1 else None


async def _everywhere(places: range, ask: Callable[[int], Awaitable[None]]) -> _Errors:
    """Ask about every place, a few at once; return the refusals by place."""
    room = asyncio.Semaphore(_AT_ONCE)
    errors: _Errors = []

    async def one(place: int) -> None:
        async with room:
            try:
                await ask(place)
            except AssayError as error:
                errors.append((place, error))

    async with asyncio.TaskGroup() as group:
        for place in places:
            group.create_task(one(place))
    return sorted(errors, key=lambda item: item[0])
