"""How the points of a generation run over the windows they belong to, all windows at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from services.optimizer.core.trial import Outcome, Point

Windows: TypeAlias = Sequence[int | None]
"""The window of each point."""

Run: TypeAlias = Callable[[Sequence[Point], int | None], Awaitable[list[Outcome]]]
"""Runs points over one window."""


async def outcomes_over_windows(
    points: Sequence[Point], windows: Windows, run: Run
) -> list[Outcome]:
    """Return one outcome per point, in the order of the points.

    Raises:
        AssayError: a window's points cannot be run; those of the others are given up.
    """
    places: dict[int | None, list[int]] = defaultdict(list)
    for place, window in enumerate(windows):
        places[window].append(place)
    told = [Outcome() for _ in points]

    async def over(window: int | None) -> None:
        found = await run([points[place] for place in places[window]], window)
        for place, outcome in zip(places[window], found, strict=True):
            told[place] = outcome

    try:
        async with asyncio.TaskGroup() as group:
            for window in places:
                group.create_task(over(window))
    except ExceptionGroup as failed:
        # One refusal is enough: the study fails with it.
        raise failed.exceptions[0] from failed
    return told
