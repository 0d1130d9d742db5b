"""What a process of the data service says of itself."""

from __future__ import annotations

from assay.data.v1 import data_service_pb2 as pb

from services.common import VERSION
from tests.service.data.calls import Stub, bars, import_bars, read


async def test_frames_are_counted_by_where_they_came_from(data: Stub) -> None:
    """The first reading of a frame is the store's, the others are the memory's."""
    await import_bars(data, bars(range(5)))
    for _ in range(3):
        await read(data)

    told = await data.GetServiceStatus(pb.GetServiceStatusRequest())

    assert told.version == VERSION
    assert told.start_time.seconds > 0
    assert (told.served_frame_count, told.cached_frame_count) == (3, 2)
