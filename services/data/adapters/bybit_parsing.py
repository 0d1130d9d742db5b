"""Bybit's v5 replies as plain values: strict about what is used, blind to everything else. Pure.

Fields come and go in these replies; only the ones read here are required. Numbers arrive as
decimal strings, and `float` of the string is the nearest double.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.core.ports import FundingRates, InstrumentId, InstrumentInfo

INTERVAL_NAMES: Final[Mapping[Interval, str]] = {
    Interval.MINUTE_1: "1",
    Interval.MINUTE_3: "3",
    Interval.MINUTE_5: "5",
    Interval.MINUTE_15: "15",
    Interval.MINUTE_30: "30",
    Interval.HOUR_1: "60",
    Interval.HOUR_2: "120",
    Interval.HOUR_4: "240",
    Interval.HOUR_6: "360",
    Interval.HOUR_12: "720",
    Interval.DAY_1: "D",
    Interval.WEEK_1: "W",
    Interval.MONTH_1: "M",
}


class ReplyMalformedError(Exception):
    """The exchange answered something other than what was asked for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The envelope of a successful reply.

    Attributes:
        result: The content.
        time_ms: The exchange's clock when it answered.
    """

    result: Mapping[str, Any]
    time_ms: int


def reply_of(body: object) -> Reply:
    """Open the envelope; ReplyMalformedError unless retCode is 0 and there is a result."""
    if not isinstance(body, dict) or body.get("retCode") != 0:
        raise ReplyMalformedError("no retCode 0")
    result, time_ms = body.get("result"), body.get("time")
    if not isinstance(result, dict) or not isinstance(result.get("list"), list):
        raise ReplyMalformedError("no list in the result")
    if not isinstance(time_ms, int):
        raise ReplyMalformedError("no time")
    return Reply(result, time_ms)


def candles_of(
    reply: Reply, instrument: InstrumentId, interval: Interval, start_ms: int, end_ms: int
) -> Candles:
    """Return the closed bars of [start_ms, end_ms), oldest first.

    The exchange sends rows newest first, may send the bar that holds `start_ms` though it opens
    earlier, and sends the bar still forming without a mark.

    Raises:
        ReplyMalformedError: another instrument, rows out of order, repeated or off the grid.
    """
    _expect(reply, "category", instrument.category)
    _expect(reply, "symbol", instrument.symbol)
    rows = [_row(raw) for raw in reversed(reply.result["list"])]
    if any(earlier[0] >= later[0] for earlier, later in pairwise(rows)):
        raise ReplyMalformedError("rows are repeated or out of order")
    if not all(interval.is_aligned(row[0]) for row in rows):
        raise ReplyMalformedError(f"a row does not open on the {interval.value} grid")
    kept = [
        row
        for row in rows
        if start_ms <= row[0] < end_ms and interval.next_open_ms(row[0]) <= reply.time_ms
    ]
    return Candles.from_columns(zip(*kept, strict=True)) if kept else Candles.empty()


def open_times_of(reply: Reply, instrument: InstrumentId) -> list[int]:
    """Return the open times of all rows, forming bar included, oldest first."""
    _expect(reply, "category", instrument.category)
    _expect(reply, "symbol", instrument.symbol)
    return sorted(_row(raw)[0] for raw in reply.result["list"])


def funding_of(reply: Reply, instrument: InstrumentId) -> dict[int, float]:
    """Return rates by settlement time.

    Raises:
        ReplyMalformedError: another instrument, or one time with two rates.
    """
    _expect(reply, "category", instrument.category)
    rates: dict[int, float] = {}
    for raw in reply.result["list"]:
        if _text(raw, "symbol") != instrument.symbol:
            raise ReplyMalformedError(f"funding of {_text(raw, 'symbol')}")
        time_ms, rate = _integer(raw, "fundingRateTimestamp"), _number(raw, "fundingRate")
        if rate is None or rates.setdefault(time_ms, rate) != rate:
            raise ReplyMalformedError(f"no rate, or two rates at {time_ms}")
    return rates


def funding_frame(rates: Mapping[int, float]) -> FundingRates:
    """Return rates by time as columns, by rising time."""
    times = sorted(rates)
    return FundingRates(
        np.array(times, np.int64), np.array([rates[time_ms] for time_ms in times], np.float64)
    )


def instruments_of(reply: Reply, category: str) -> tuple[list[InstrumentInfo], str]:
    """Return one page of instruments and the cursor of the next; "" on the last."""
    if reply.result["list"]:
        _expect(reply, "category", category)
    cursor = reply.result.get("nextPageCursor") or ""
    return [_instrument(raw, category) for raw in reply.result["list"]], str(cursor)


def _instrument(raw: Mapping[str, Any], category: str) -> InstrumentInfo:
    lot, price = raw.get("lotSizeFilter") or {}, raw.get("priceFilter") or {}
    return InstrumentInfo(
        instrument=InstrumentId("bybit", category, _text(raw, "symbol")),
        base_currency=_text(raw, "baseCoin"),
        quote_currency=_text(raw, "quoteCoin"),
        status=_text(raw, "status"),
        tick_size_quote=_number(price, "tickSize"),
        maximum_leverage=_number(raw.get("leverageFilter") or {}, "maxLeverage"),
        funding_interval_minutes=_integer(raw, "fundingInterval") or None,
        launch_time_ms=_integer(raw, "launchTime") or None,
        **_order_sizes(lot, category),
    )


def _order_sizes(lot: Mapping[str, Any], category: str) -> dict[str, float | None]:
    """Return the size rules in our units.

    Spot: the exchange no longer applies minOrderQty, only the amount. Inverse: contracts are
    counted in quote currency (1 contract = 1 USD), so quantities are values, not base amounts.
    """
    if category == "spot":
        return {
            "quantity_step_base": _number(lot, "basePrecision"),
            "minimum_notional_quote": _number(lot, "minOrderAmt"),
        }
    if category == "inverse":
        return {"minimum_notional_quote": _number(lot, "minOrderQty")}
    return {
        "quantity_step_base": _number(lot, "qtyStep"),
        "minimum_quantity_base": _number(lot, "minOrderQty"),
        "minimum_notional_quote": _number(lot, "minNotionalValue"),
    }


def _expect(reply: Reply, field: str, wanted: str) -> None:
    found = reply.result.get(field)
    if found != wanted:
        raise ReplyMalformedError(f"asked for {field} {wanted}, got {found}")


def _row(raw: Sequence[str]) -> tuple[int, float, float, float, float, float]:
    try:
        open_time, first, high, low, last, volume = raw[:6]
        row = int(open_time), float(first), float(high), float(low), float(last), float(volume)
    except (TypeError, ValueError) as error:
        raise ReplyMalformedError(f"a row cannot be read: {error}") from error
    if not all(map(math.isfinite, row)):
        raise ReplyMalformedError(f"a row holds something other than numbers: {row}")
    return row


def _text(raw: Mapping[str, Any], field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str):
        raise ReplyMalformedError(f"no {field}")
    return value


def _number(raw: Mapping[str, Any], field: str) -> float | None:
    try:
        return float(raw[field]) if raw.get(field) not in (None, "") else None
    except (TypeError, ValueError) as error:
        raise ReplyMalformedError(f"{field}: {error}") from error


def _integer(raw: Mapping[str, Any], field: str) -> int:
    """Return a whole number, sent as text or number; 0 where it is absent or empty."""
    try:
        return int(raw.get(field) or 0)
    except (TypeError, ValueError) as error:
        raise ReplyMalformedError(f"{field}: {error}") from error
