"""Recorded replies of the exchange are read as they came, and the stand-in has their shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from services.common.errors import AssayError
from services.common.intervals import Interval
from services.data.adapters.bybit import BybitSource
from services.data.core.ports import InstrumentId
from tests.service.bybit.conftest import Clock
from tests.service.bybit.stand_in import LAUNCH_MS, NOW_MS, Canned, StandIn

Recorded = Callable[[str], dict[str, Any]]


@pytest.fixture
def recorded(market_data: Path) -> Recorded:
    """Read a recorded reply by its name."""
    return lambda name: json.loads((market_data / "bybit" / f"{name}.json").read_text())


@pytest.fixture
def replay(exchange: StandIn, clock: Clock, recorded: Recorded) -> Recorded:
    """Let the stand-in give a recorded reply next, at the time it was recorded."""

    def give(name: str) -> dict[str, Any]:
        body = recorded(name)
        exchange.faults.append(Canned(body))
        clock.now_ms = body["time"]
        return body

    return give


@pytest.mark.parametrize(
    ("name", "category", "interval", "first_ms", "bars", "kept"),
    [
        ("kline_linear_BTCUSDT_60_open_bar", "linear", Interval.HOUR_1, 1786816800000, 2, 1),
        ("kline_linear_BTCUSDT_1_open_bar", "linear", Interval.MINUTE_1, None, 5, 4),
        ("kline_linear_BTCUSDT_D_closed", "linear", Interval.DAY_1, 1632009600000, 3, 3),
        ("kline_spot_BTCUSDT_1_start_floored", "spot", Interval.MINUTE_1, 1683472860000, 1, 1),
    ],
)
async def test_recorded_candles_are_read_and_the_forming_bar_is_not(
    source: BybitSource,
    replay: Recorded,
    name: str,
    category: str,
    interval: Interval,
    first_ms: int | None,
    bars: int,
    kept: int,
) -> None:
    """Closed bars of the window come with the recorded decimals."""
    instrument = InstrumentId("bybit", category, "BTCUSDT")
    await source.earliest_open_ms(instrument, interval)
    rows = {int(row[0]): row for row in replay(name)["result"]["list"]}
    start_ms = first_ms or min(rows)
    end_ms = start_ms + bars * interval.length_ms

    (page,) = [page async for page in source.pages(instrument, interval, start_ms, end_ms)]

    assert page.open_time_ms.tolist() == [at for at in sorted(rows) if at >= start_ms][:kept]
    assert page.close.tolist() == [float(rows[int(at)][4]) for at in page.open_time_ms]


async def test_recorded_funding_is_read(
    source: BybitSource, bitcoin: InstrumentId, replay: Recorded
) -> None:
    """Two settlements, oldest first."""
    await source.earliest_open_ms(bitcoin, Interval.HOUR_1)
    replay("funding_history_linear_BTCUSDT")

    (page,) = [page async for page in source.funding_pages(bitcoin, 1786780800000, 1786820638506)]

    assert page.funding_time_ms.tolist() == [1786780800000, 1786809600000]
    assert page.funding_rate_ratio.tolist() == [0.00004737, 0.00004403]


@pytest.mark.parametrize(
    ("name", "category", "notional", "launch_ms"),
    [
        ("instruments_info_linear_BTCUSDT_docs", "linear", 5.0, 1585526400000),
        ("instruments_info_linear_BTCUSDT_2024-03", "linear", None, 1584230400000),
        ("instruments_info_spot_BTCUSDT_docs", "spot", 5.0, None),
        ("instruments_info_spot_BTCUSDT_testnet", "spot", 5.0, None),
    ],
)
async def test_recorded_listings_of_any_age_are_read(
    source: BybitSource,
    replay: Recorded,
    name: str,
    category: str,
    notional: float | None,
    launch_ms: int | None,
) -> None:
    """Fields that an older listing lacks are absent, never guessed."""
    replay(name)

    (info,) = await source.instruments(category, "BTCUSDT")

    assert info.tick_size_quote in {0.1, 0.01}
    assert (info.minimum_notional_quote, info.launch_time_ms) == (notional, launch_ms)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("instruments_info_linear_unknown_symbol", "linear"),
        ("instruments_info_spot_unknown_symbol", "spot"),
        ("error_10001_symbol_invalid", "linear"),
        ("error_10001_not_supported_symbols", "inverse"),
    ],
)
async def test_every_recorded_way_to_know_no_symbol_is_unknown(
    source: BybitSource, replay: Recorded, name: str, category: str
) -> None:
    """Refusals and empty listings alike."""
    replay(name)

    with pytest.raises(AssayError) as caught:
        await source.earliest_open_ms(
            InstrumentId("bybit", category, "NOTACOINUSDT"), Interval.DAY_1
        )

    assert caught.value.reason == "INSTRUMENT_UNKNOWN"


@pytest.mark.parametrize(
    "name", ["error_10006_kline", "error_10006_too_many_visits", "error_10016_request_timeout"]
)
async def test_recorded_passing_errors_are_waited_out(
    exchange: StandIn, source: BybitSource, recorded: Recorded, name: str
) -> None:
    """All known wordings of a limit, matched by code."""
    exchange.faults.append(Canned(recorded(name)))

    assert len(await source.instruments("linear", "BTCUSDT")) == 1


def shape(value: object) -> object:
    """Return types in place of values, for lists those of the first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return (
            [shape(item) for item in value]
            if value and isinstance(value[0], str)
            else [shape(value[0])]
        )
    return type(value).__name__


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            "kline_linear_BTCUSDT_60_open_bar",
            f"kline?category=linear&symbol=BTCUSDT&interval=60&start={LAUNCH_MS}&end={NOW_MS}",
        ),
        (
            "funding_history_linear_BTCUSDT",
            f"funding/history?category=linear&symbol=BTCUSDT&endTime={NOW_MS}",
        ),
    ],
)
def test_the_stand_in_has_the_shape_of_the_recorded_replies(
    exchange: StandIn, recorded: Recorded, name: str, path: str
) -> None:
    """Envelope, fields and types are those of the exchange."""
    reply = requests.get(f"{exchange.url}/v5/market/{path}", timeout=5)
    reply.close()

    assert shape(reply.json()) == shape(recorded(name))
    times = [
        item[0] if isinstance(item, list) else item["fundingRateTimestamp"]
        for item in reply.json()["result"]["list"]
    ]
    assert times == sorted(times, reverse=True)
    assert len(times) == 200
