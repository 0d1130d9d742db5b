"""ReadCandles serves one consistent frame, named by its digest, or says why not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.market.v1.candles_pb2 import INTERVAL_1_HOUR, CandleSnapshot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.frames import Candles
from services.data.core.ports import FundingRates
from tests.service.data.calls import (
    HOUR,
    NAME,
    Stub,
    bars,
    fields,
    funding_columns,
    get,
    header,
    import_bars,
    read,
    refusal,
    sync,
    window,
)

FUNDING = "datasets/file.test.funding"


def request(name: str = NAME, row_limit: int = 0, **snapshot: object) -> pb.ReadCandlesRequest:
    """Make a request."""
    return pb.ReadCandlesRequest(
        snapshot=CandleSnapshot(dataset=name, **snapshot),  # type: ignore[arg-type]
        row_limit=row_limit,
    )


async def test_a_whole_dataset_comes_back_bit_for_bit(data: Stub) -> None:
    """Everything imported is served, across chunks, under the digest of the dataset."""
    rows = bars(range(40_000))
    dataset = await import_bars(data, rows)
    described, served = await read(data)
    assert served.content_digest() == rows.content_digest() == dataset.content_digest
    assert described.snapshot.content_digest == dataset.content_digest
    assert described.row_count == 40_000
    assert described.interval == INTERVAL_1_HOUR
    assert not described.synthetic
    assert described.snapshot.window == window(0, 40_000 * HOUR)
    assert described.snapshot.HasField("lookback_bar_count")
    assert described.snapshot.lookback_bar_count == 0


positive_bits = st.integers(1, 0x7FEF_FFFF_FFFF_FFFF)


@given(st.lists(positive_bits, min_size=1, max_size=20))
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_doubles_of_every_size_keep_their_bits(data: Stub, patterns: list[int]) -> None:
    """Subnormal, tiny and huge doubles pass store and wire unchanged."""
    numbers = [struct.unpack("<d", struct.pack("<q", bits))[0] for bits in patterns]
    opens = [number * HOUR for number in range(len(numbers))]
    rows = Candles.from_columns([opens, *([numbers] * 5)])
    await import_bars(data, rows)
    _, served = await read(data)
    assert served.content_digest() == rows.content_digest()


async def test_a_window_is_half_open_and_preceded_by_its_lookback(data: Stub) -> None:
    """Rows from start to before end, after up to as many earlier rows as wanted."""
    await import_bars(data, bars(range(100)))
    described, served = await read(data, window=window(10 * HOUR, 20 * HOUR), lookback_bar_count=4)
    assert served.open_time_ms.tolist() == [hour * HOUR for hour in range(6, 20)]
    assert described.lookback_row_count == 4
    assert described.snapshot.content_digest == bars(range(6, 20)).content_digest()


async def test_a_window_may_begin_between_two_bars(data: Stub) -> None:
    """Its first bar is the next one, and the lookback ends just before that."""
    await import_bars(data, bars(range(30)))
    between = window(10 * HOUR + 1, 20 * HOUR)
    described, served = await read(data, window=between, lookback_bar_count=4)
    assert described.lookback_row_count == 4
    assert served.open_time_ms.tolist() == [hour * HOUR for hour in range(7, 20)]


async def test_lookback_is_cut_where_the_dataset_begins(data: Stub) -> None:
    """Fewer rows before the window are no error; the header tells wanted and found."""
    await import_bars(data, bars(range(100)))
    described, served = await read(data, window=window(2 * HOUR), lookback_bar_count=50)
    assert described.lookback_row_count == 2
    assert described.snapshot.lookback_bar_count == 50
    assert len(served) == 100


async def test_lookback_counts_rows_across_gaps(data: Stub) -> None:
    """Where bars are missing the lookback reaches further back, and the gap is counted."""
    hours = [0, 1, 2, 6, 7, 8, 9]
    await import_bars(data, bars(hours), accept=["ACCEPTANCE_GAPS"])
    described, served = await read(data, window=window(7 * HOUR), lookback_bar_count=2)
    assert served.open_time_ms.tolist() == [hour * HOUR for hour in (2, 6, 7, 8, 9)]
    assert described.missing_bar_count == 3


async def test_edges_between_bars_take_the_bars_inside(data: Stub) -> None:
    """Edges need not be open times."""
    await import_bars(data, bars(range(10)))
    edges = window(HOUR + 1, 4 * HOUR + 1)
    described, served = await read(data, window=edges)
    assert served.open_time_ms.tolist() == [2 * HOUR, 3 * HOUR, 4 * HOUR]
    assert described.snapshot.window == edges


async def test_a_row_limit_shortens_the_rows_and_not_the_header(data: Stub) -> None:
    """A terminal sees the first rows and learns how many there are, and under which digest."""
    await import_bars(data, bars(range(20_000)))
    described, served = await read(data, row_limit=3)
    assert len(served) == 3
    assert described.row_count == 20_000
    assert described.snapshot.content_digest == bars(range(20_000)).content_digest()


async def test_a_pinned_digest_is_served_or_refused(data: Stub) -> None:
    """A snapshot reads the same bytes as before, or fails telling both digests."""
    await import_bars(data, bars(range(50)))
    pinned, before = await read(data, window=window(5 * HOUR, 9 * HOUR), lookback_bar_count=2)
    await import_bars(data, bars(range(60)))
    _, after = await read(
        data,
        window=pinned.snapshot.window,
        lookback_bar_count=2,
        content_digest=pinned.snapshot.content_digest,
    )
    assert after.content_digest() == before.content_digest()
    await import_bars(data, bars(range(60), price=101.0))
    error = await refusal(data.ReadCandles(pb.ReadCandlesRequest(snapshot=pinned.snapshot)))
    assert (error.code.name, error.reason) == ("ABORTED", "DATASET_CHANGED")
    changed = bars(range(3, 9), price=101.0).content_digest()
    assert error.metadata == {
        "wanted_digest": pinned.snapshot.content_digest,
        "actual_digest": changed,
    }


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 12 * HOUR),
        (12 * HOUR, 31 * HOUR),
        (12 * HOUR, 30 * HOUR + 1),
        (40 * HOUR, 50 * HOUR),
        (0, 5 * HOUR),
        (12 * HOUR + 1, 13 * HOUR),
        (21 * HOUR, 23 * HOUR),
        (30 * HOUR, None),
        (None, 10 * HOUR),
    ],
)
async def test_a_window_beyond_the_dataset_is_refused(
    data: Stub, start: int | None, end: int | None
) -> None:
    """Reaching outside, or holding no bar, is refused with what there is; nothing is clipped."""
    hours = [hour for hour in range(10, 30) if hour not in {21, 22}]
    await import_bars(data, bars(hours), accept=["ACCEPTANCE_GAPS"])
    error = await refusal(data.ReadCandles(request(window=window(start, end))))
    assert (error.code.name, error.reason) == ("OUT_OF_RANGE", "WINDOW_OUTSIDE_DATASET")
    assert error.metadata == {
        "first_open_time": "1970-01-01T10:00:00Z",
        "last_open_time": "1970-01-02T05:00:00Z",
    }


async def test_an_unknown_dataset_is_told_with_the_nearest(data: Stub) -> None:
    """A misspelt name gets the names that are near."""
    await import_bars(data, bars(range(3)))
    error = await refusal(data.ReadCandles(request("datasets/file.tset.1h")))
    assert (error.code.name, error.reason) == ("NOT_FOUND", "DATASET_UNKNOWN")
    assert error.metadata == {"dataset": "datasets/file.tset.1h", "nearest": NAME}


async def test_everything_wrong_with_a_request_is_told_at_once(data: Stub) -> None:
    """Name, window, lookback, digest and row limit are one error."""
    wrong = request(
        "file.TEST",
        -1,
        window=window(5 * HOUR, 5 * HOUR),
        lookback_bar_count=1_000_001,
        content_digest="abc",
    )
    assert sorted(set(fields(await refusal(data.ReadCandles(wrong))))) == [
        "row_limit",
        "snapshot.content_digest",
        "snapshot.dataset",
        "snapshot.lookback_bar_count",
        "snapshot.window",
    ]


async def test_times_that_are_no_whole_milliseconds_are_refused(data: Stub) -> None:
    """Edges beyond the contract's range or resolution are told by their path."""
    wrong = request()
    wrong.snapshot.window.start_time.nanos = 5
    wrong.snapshot.window.end_time.seconds = -1
    assert fields(await refusal(data.ReadCandles(wrong))) == [
        "snapshot.window.start_time",
        "snapshot.window.end_time",
    ]


async def test_each_kind_is_read_by_its_own_method(data: Stub) -> None:
    """Candles are not funding rates, and the refusal says how to read them."""
    await import_bars(data, bars(range(3)))
    columns = funding_columns({1: 0.1})
    pieces = [header(FUNDING), pb.ImportCandlesRequest(funding=columns)]
    await data.ImportCandles(iter(pieces))
    assert fields(await refusal(data.ReadCandles(request(FUNDING)))) == ["snapshot.dataset"]
    call = data.ReadFunding(pb.ReadFundingRequest(name=NAME))
    assert fields(await refusal(call)) == ["name"]


async def test_funding_rates_are_read_by_window(data: Stub) -> None:
    """Settlements of a half-open window, in chunks; one empty chunk where there are none."""
    rates = {number * HOUR + 3: number / 1e6 for number in range(20_000)}
    pieces = [header(FUNDING), pb.ImportCandlesRequest(funding=funding_columns(rates))]
    dataset = (await data.ImportCandles(iter(pieces))).dataset
    whole = FundingRates.from_columns([list(rates), list(rates.values())])
    assert dataset.content_digest == whole.content_digest()
    assert dataset.interval == 0

    async def lengths(**edges: int) -> list[int]:
        wanted = pb.ReadFundingRequest(name=FUNDING, window=window(**edges))
        return [len(one.funding.funding_time_ms) async for one in data.ReadFunding(wanted)]

    assert await lengths() == [16_384, 20_000 - 16_384]
    assert await lengths(start_ms=HOUR, end_ms=3 * HOUR + 3) == [2]
    assert await lengths(start_ms=HOUR * 90_000) == [0]
    error = await refusal(data.ReadFunding(pb.ReadFundingRequest(name="x", window=window(2, 1))))
    assert set(fields(error)) == {"name", "window"}
    missing = await refusal(data.ReadFunding(pb.ReadFundingRequest(name="datasets/a.b.funding")))
    assert missing.reason == "DATASET_UNKNOWN"


async def test_made_up_data_are_called_made_up(data: Stub) -> None:
    """The header of a synthetic frame says so."""
    name = "datasets/synthetic.demo.1h"
    await sync(data, name, window=window(0, 50 * HOUR))
    described, served = await read(data, name)
    assert described.synthetic
    assert np.isfinite(served.close).all()
    assert (await get(data, name)).content_digest == served.content_digest()
