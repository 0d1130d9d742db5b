"""Many who watch one study over real gRPC: each is told everything, in order, once."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from assay.optimizer.v1 import optimizer_service_pb2 as pb
from assay.optimizer.v1 import optimizer_service_pb2_grpc, study_pb2

from tests.service.optimizer.conftest import Optimizer, StartOptimizer

NARROW = [("grpc.http2.lookahead_bytes", 1024), ("grpc.use_local_subchannel_pool", 1)]
"""A connection of its own, with little room for what nobody reads."""


async def watched_slowly(
    port: int, name: str, standing: asyncio.Event, go_on: asyncio.Event
) -> list[study_pb2.StudyEvent]:
    """Watch over a connection of one's own, and read nothing from the second event on for a while.

    Args:
        port: Where the optimizer listens.
        name: The study.
        standing: Set when it stands still.
        go_on: When it is set, reading goes on.
    """
    events = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=NARROW) as channel:
        stub: Any = optimizer_service_pb2_grpc.OptimizerServiceStub(channel)
        async for answer in stub.WatchStudy(pb.WatchStudyRequest(name=name), timeout=60):
            events.append(answer.event)
            if len(events) == 2:
                standing.set()
                await go_on.wait()
    return events


def assert_whole(events: list[study_pb2.StudyEvent], expected: list[study_pb2.StudyEvent]) -> None:
    """Check that events are these, numbered from 1 without holes."""
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events == expected


async def test_a_crowd_is_told_everything_once(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Whoever is there from the start, comes in the middle or after the end, or stops reading."""
    random_spec["random"] = {"trial_count": 2_400}
    optimizer.worker.close_gate()
    study = await optimizer.create(random_spec)
    standing, go_on = asyncio.Event(), asyncio.Event()
    early = [asyncio.ensure_future(optimizer.watch(study.name)) for _ in range(40)]
    slow = asyncio.ensure_future(watched_slowly(optimizer.port, study.name, standing, go_on))
    await optimizer.worker.waiting.wait()
    optimizer.worker.gate.set()
    await standing.wait()
    late = [asyncio.ensure_future(optimizer.watch(study.name)) for _ in range(10)]
    middle = [asyncio.ensure_future(optimizer.watch(study.name, 200)) for _ in range(5)]
    told = await asyncio.gather(*early, *late)
    go_on.set()
    after = await optimizer.watch(study.name)

    # It runs, 300 generations of 8, it ends: more than are held for all.
    assert len(after) == 302
    assert after[-1].study_finished.trials_digest
    for events in [*told, await slow]:
        assert_whole(events, after)
    for events in await asyncio.gather(*middle):
        assert events == after[200:]


async def test_a_crowd_on_another_replica_is_told_the_same(
    start: StartOptimizer, random_spec: dict[str, Any]
) -> None:
    """It looks for news in the store; who comes late there does not wait for the next look."""
    owner, other = await start(replica_name="one"), await start(replica_name="two")
    random_spec["random"] = {"trial_count": 800}
    owner.worker.close_gate()
    other.worker.close_gate()
    study = await owner.create(random_spec)
    crowd = [asyncio.ensure_future(other.watch(study.name)) for _ in range(20)]
    both = [asyncio.ensure_future(owner.worker.waiting.wait())]
    both.append(asyncio.ensure_future(other.worker.waiting.wait()))
    # Either may have claimed it.
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for waiting in both:
        waiting.cancel()
    owner.worker.gate.set()
    other.worker.gate.set()
    here = await owner.watch(study.name)
    crowd += [asyncio.ensure_future(other.watch(study.name)) for _ in range(5)]

    assert len(here) == 102
    for events in await asyncio.gather(*crowd):
        assert_whole(events, here)


async def test_watchers_that_go_leave_the_others_alone(
    optimizer: Optimizer, random_spec: dict[str, Any]
) -> None:
    """Half of a crowd is cancelled in the middle; the rest see the whole study."""
    random_spec["random"] = {"trial_count": 400}
    optimizer.worker.close_gate()
    study = await optimizer.create(random_spec)
    crowd = [asyncio.ensure_future(optimizer.watch(study.name)) for _ in range(30)]
    await optimizer.worker.waiting.wait()
    for one in crowd[::2]:
        one.cancel()
    optimizer.worker.gate.set()
    told = await asyncio.gather(*crowd[1::2])
    after = await optimizer.watch(study.name)

    assert len(after) == 52
    for events in told:
        assert_whole(events, after)
