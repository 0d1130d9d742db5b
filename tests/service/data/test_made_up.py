"""SyncDataset makes markets up: named as such, longer on demand, never mixed."""

from __future__ import annotations

import asyncio

import grpc
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1.dataset_pb2 import SyntheticMarket

from services.common.status import error_of
from tests.service.data.calls import DAY, HOUR, Stub, fields, get, read, refusal, sync, window

MADE_UP = "datasets/synthetic.demo.1h"


async def test_a_made_up_dataset_is_named_and_described_as_such(data: Stub) -> None:
    """The inventory tells the source and every field of the market, defaults filled in."""
    market = SyntheticMarket(seed=-5, annual_volatility_ratio=0.9)
    answers = await sync(data, MADE_UP, window=window(0, 100 * HOUR), synthetic=market)
    dataset = answers[-1].dataset
    assert dataset.source == "synthetic"
    assert dataset.row_count == answers[-1].fetched_row_count == 100
    assert dataset.synthetic == SyntheticMarket(
        seed=-5,
        start_price_quote=30_000,
        annual_volatility_ratio=0.9,
        mean_regime_bar_count=240,
    )
    assert dataset == await get(data, MADE_UP)


async def test_a_made_up_dataset_grows_and_keeps_its_bars(data: Stub) -> None:
    """A longer window adds bars; a shorter one changes nothing; other names, the same numbers."""
    short = (await sync(data, MADE_UP, window=window(0, 100 * HOUR)))[-1].dataset
    _, before = await read(data, MADE_UP)
    long = (await sync(data, MADE_UP, window=window(0, 150 * HOUR)))[-1].dataset
    assert long.version > short.version
    _, after = await read(data, MADE_UP)
    assert after.slice(0, 100).content_digest() == before.content_digest()
    assert (await sync(data, MADE_UP, window=window(0, 20 * HOUR)))[-1].dataset == long
    other = "datasets/synthetic.twin.1h"
    twin = (await sync(data, other, window=window(0, 150 * HOUR)))[-1].dataset
    assert twin.content_digest == long.content_digest


async def test_a_made_up_dataset_is_not_mixed_with_another(data: Stub) -> None:
    """Another seed or another start under the same name are refused, both told."""
    await sync(data, MADE_UP, window=window(0, 100 * HOUR))
    request = pb.SyncDatasetRequest(
        name=MADE_UP, window=window(HOUR, 200 * HOUR), synthetic=SyntheticMarket(seed=1)
    )
    assert fields(await refusal(data.SyncDataset(request))) == ["synthetic", "window.start_time"]


async def test_of_markets_made_at_once_under_one_name_one_is_stored(data: Stub) -> None:
    """Whoever comes second is refused as if the first had been there long before."""
    spans = [(seed, window(0, (100 + seed) * HOUR)) for seed in range(4)]
    answers = await asyncio.gather(
        *(sync(data, MADE_UP, window=span, synthetic=SyntheticMarket(seed=n)) for n, span in spans),
        return_exceptions=True,
    )
    made = [answer[-1].dataset for answer in answers if not isinstance(answer, BaseException)]
    refused = [error_of(answer) for answer in answers if isinstance(answer, grpc.RpcError)]
    assert [fields(error) for error in refused] == [["synthetic"]] * 3
    assert made == [await get(data, MADE_UP)]


async def test_a_shorter_market_made_meanwhile_never_shortens(data: Stub) -> None:
    """The longest of those who ask at once is what stays."""
    hours = (3_000, 10, 900, 70_000, 20)
    await asyncio.gather(*(sync(data, MADE_UP, window=window(0, n * HOUR)) for n in hours))
    assert (await get(data, MADE_UP)).row_count == 70_000


async def test_a_caller_who_goes_away_leaves_the_service_at_peace(data: Stub) -> None:
    """Reading only the first message and hanging up disturbs nobody."""
    calls = [
        data.SyncDataset(
            pb.SyncDatasetRequest(name=f"datasets/synthetic.m{n}.1m", window=window(0, 30 * DAY))
        )
        for n in range(3)
    ]
    for call in calls:
        await call.__aiter__().__anext__()
        call.cancel()
    assert (await sync(data, MADE_UP, window=window(0, HOUR)))[-1].dataset.row_count == 1
