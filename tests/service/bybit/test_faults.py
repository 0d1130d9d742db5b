"""Whatever the exchange does, the answer is the right candles or one honest error."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.common.errors import AssayError, Code
from services.common.intervals import Interval
from services.data.adapters.bybit import BybitSource
from services.data.adapters.bybit_session import Patience
from services.data.core.ports import InstrumentId
from tests.service.bybit.conftest import Clock
from tests.service.bybit.stand_in import HOUR_MS, LAUNCH_MS, NOW_MS, Canned, StandIn, refusal, row

HOUR = Interval.HOUR_1
RESET = "X_Bapi_Limit_Reset_Timestamp"


def klines(
    symbol: str = "BTCUSDT", category: str = "linear", rows: object = None, **envelope: object
) -> Canned:
    """Return a kline reply with something changed."""
    result = {"symbol": symbol, "category": category, "list": [] if rows is None else rows}
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS}
    return Canned(body | envelope)


def bar(number: int, **changed: str) -> list[str]:
    """Return a bar of the market as a row, with columns changed by name."""
    names = ["start", "open", "high", "low", "close", "volume", "turnover"]
    return list(
        (dict(zip(names, row(HOUR, LAUNCH_MS + number * HOUR_MS), strict=True)) | changed).values()
    )


PASSING = {
    "server error": Canned("oops", status=500),
    "bad gateway": Canned("<html>", status=502),
    "text instead of JSON": Canned("<html>maintenance</html>"),
    "nothing at all": Canned(""),
    "JSON that is no object": Canned([1, 2]),
    "JSON null": Canned("null"),
    "a cut connection": Canned(json.dumps({"retCode": 0, "retMsg": "x" * 4_000}), is_cut=True),
    "server timeout": refusal(10000, "Server Timeout"),
    "request timeout": refusal(10016, "Request timeout, please try again later"),
    "clock": refusal(10002, "The request time exceeds the time window range."),
    "too many visits": refusal(10006, "Too many visits!"),
    "too many visits until later": refusal(10006, "Too many visits!", **{RESET: str(NOW_MS + 900)}),
    "too many visits until earlier": refusal(
        10006, "Too many visits!", **{RESET: str(NOW_MS - 9_000)}
    ),
    "too many visits until nonsense": refusal(10006, "Too many visits!", **{RESET: "soon"}),
    "high load": refusal(429, "The system level frequency protection."),
    "status 429": Canned("", status=429),
    "another symbol": klines(symbol="ETHUSDT", rows=[bar(0)]),
    "another market": klines(category="spot", rows=[bar(0)]),
    "no retCode": Canned({"result": {"list": []}, "time": NOW_MS}),
    "no message": Canned({"retCode": 10000, "time": NOW_MS}),
    "no result": klines(result={}),
    "no time": klines(time=None),
    "rows oldest first": klines(rows=[bar(0), bar(1)]),
    "a row twice": klines(rows=[bar(1), bar(1), bar(0)]),
    "a row off the grid": klines(rows=[bar(0, start=str(LAUNCH_MS + 1))]),
    "a row without prices": klines(rows=[[str(LAUNCH_MS)]]),
    "a price that is no number": klines(rows=[bar(0, close="dear")]),
    "a price that is not finite": klines(rows=[bar(0, close="NaN")]),
}


async def bars(source: BybitSource, instrument: InstrumentId) -> list[int]:
    """Return the open times of the first three bars after the launch."""
    pages = source.pages(instrument, HOUR, LAUNCH_MS, LAUNCH_MS + 3 * HOUR_MS)
    return [int(at) async for page in pages for at in page.open_time_ms]


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_is_waited_out(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, clock: Clock, name: str
) -> None:
    """After a pause the same window is asked for again, and the candles are the right ones."""
    await source.earliest_open_ms(bitcoin, HOUR)
    exchange.faults.append(PASSING[name])

    assert await bars(source, bitcoin) == [LAUNCH_MS + HOUR_MS * number for number in range(3)]
    assert len(set(exchange.windows())) == 1
    assert len(exchange.windows()) == 2
    assert 0 < sum(clock.sleeps) <= 10


async def test_the_pause_after_too_many_visits_is_the_one_the_exchange_names(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, clock: Clock
) -> None:
    """The reset time of the header decides the wait."""
    exchange.faults.append(PASSING["too many visits until later"])

    await bars(source, bitcoin)

    assert clock.sleeps[0] == 0.9


async def test_pauses_double_and_end(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, clock: Clock
) -> None:
    """An exchange that keeps failing after it has answered is given up after six attempts."""
    await source.earliest_open_ms(bitcoin, HOUR)
    exchange.faults.extend([Canned("oops", status=503)] * 20)

    with pytest.raises(AssayError, match=r"HTTP 503 \(6 attempts\)") as caught:
        await bars(source, bitcoin)

    assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "SOURCE_UNAVAILABLE")
    assert caught.value.retry_after_ms
    assert clock.sleeps == [0.25, 0.5, 1.0, 2.0, 4.0]


async def test_endless_rate_limits_end_as_rate_limited(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId
) -> None:
    """The caller hears that the exchange asks for patience, and for how long."""
    exchange.faults.extend([refusal(10006, "Too many visits!")] * 20)

    with pytest.raises(AssayError) as caught:
        await bars(source, bitcoin)

    assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "SOURCE_RATE_LIMITED")
    assert caught.value.retry_after_ms == 2_000
    assert len(exchange.asked) == 6


async def test_a_ban_leaves_the_exchange_alone_for_ten_minutes(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, clock: Clock
) -> None:
    """After a 403 nothing is sent until ten minutes have passed; every call says how long."""
    exchange.faults.append(Canned("access too frequent", status=403))

    for _ in range(2):
        with pytest.raises(AssayError) as caught:
            await bars(source, bitcoin)
        assert (caught.value.reason, caught.value.retry_after_ms) == (
            "SOURCE_RATE_LIMITED",
            600_000,
        )
    assert len(exchange.asked) == 1

    clock.now_ms += 600_000
    assert len(await bars(source, bitcoin)) == 3


@pytest.mark.parametrize(
    "fault", [Canned("", status=404), refusal(10017, "Route not found"), refusal(10009, "IP")]
)
async def test_a_lasting_fault_is_not_tried_again(
    exchange: StandIn, source: BybitSource, bitcoin: InstrumentId, fault: Canned
) -> None:
    """What another attempt cannot mend is told at once."""
    exchange.faults.append(fault)

    with pytest.raises(AssayError) as caught:
        await bars(source, bitcoin)

    assert caught.value.reason == "SOURCE_UNAVAILABLE"
    assert len(exchange.asked) == 1


async def test_an_exchange_out_of_reach_is_told_within_seconds(
    new_source: Callable[..., BybitSource], bitcoin: InstrumentId, clock: Clock
) -> None:
    """Before the first answer ever, all attempts together take at most three seconds."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        source = new_source(f"http://127.0.0.1:{nobody.getsockname()[1]}")

        with pytest.raises(AssayError, match="cannot be reached") as caught:
            await bars(source, bitcoin)

    assert (caught.value.code, caught.value.reason) == (Code.UNAVAILABLE, "SOURCE_UNAVAILABLE")
    assert 0 < sum(clock.sleeps) <= 3


async def test_an_exchange_out_of_reach_is_left_alone_for_the_time_told(
    new_source: Callable[..., BybitSource], bitcoin: InstrumentId, clock: Clock
) -> None:
    """Until then others hear the same at once; after it the exchange is tried again."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        source = new_source(f"http://127.0.0.1:{nobody.getsockname()[1]}")

        slept = []
        for later_ms in (0, 1_000, 4_000):
            clock.now_ms += later_ms
            with pytest.raises(AssayError, match="cannot be reached") as caught:
                await bars(source, bitcoin)
            assert caught.value.retry_after_ms == 5_000
            slept.append(len(clock.sleeps))

    assert slept[0] == slept[1] < slept[2]


async def test_an_exchange_that_never_answers_is_given_up(
    new_source: Callable[..., BybitSource], bitcoin: InstrumentId
) -> None:
    """A server that accepts and says nothing costs the time of one answer, not for ever."""
    impatient = Patience(attempts=1, request_seconds=0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = new_source(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=impatient)

        with pytest.raises(AssayError, match=r"no answer in time|cannot be reached") as caught:
            await bars(source, bitcoin)

    assert caught.value.reason == "SOURCE_UNAVAILABLE"


async def test_a_refused_listing_of_all_instruments_is_no_empty_listing(
    exchange: StandIn, source: BybitSource
) -> None:
    """Only a wanted symbol can be absent; a market the exchange refuses is an error."""
    with pytest.raises(AssayError, match="Illegal category"):
        await source.instruments("futures", None)


@pytest.mark.parametrize("fault", [{"list": None}, {"list": [{"symbol": 5}]}, {"list": [{}]}])
async def test_a_listing_that_cannot_be_read_is_asked_for_again(
    exchange: StandIn, source: BybitSource, fault: dict[str, Any]
) -> None:
    """Malformed listings are faults of that answer, too."""
    exchange.faults.append(klines(result={"category": "linear"} | fault))

    (info,) = await source.instruments("linear", "BTCUSDT")

    assert info.instrument.symbol == "BTCUSDT"


async def test_an_exchange_that_hangs_does_not_hold_up_other_work(
    source: BybitSource, bitcoin: InstrumentId
) -> None:
    """Requests run in threads of their own, so that the loop's are free for the store."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    busy = threading.Event()
    other_work = asyncio.ensure_future(asyncio.to_thread(busy.wait))

    assert await source.earliest_open_ms(bitcoin, HOUR) == LAUNCH_MS
    busy.set()
    assert await other_work
