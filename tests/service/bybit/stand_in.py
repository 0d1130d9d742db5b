"""A local HTTP server that answers as Bybit's public v5 API does, on a market of its own.

Imitated, from recorded replies and the exchange's documentation: the envelope, decimal strings,
rows newest first, bounds inclusive on open time, 200 rows by default, the newest `limit` rows of a
wider window, the bar that holds `start`, the bar still forming, 10001 for unknown symbols but an
empty list on spot, funding by `endTime`, instruments by cursor. Faults are queued by the test.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from services.common.intervals import Interval

HOUR_MS = 3_600_000
LAUNCH_MS = 1_585_526_400_000
NOW_MS = LAUNCH_MS + 5_000 * HOUR_MS + 123_456
"""The stand-in's clock: within an hourly bar, some 5,000 hours after the launch."""

INTERVALS = {
    **{name: Interval(f"{name}m") for name in ("1", "3", "5", "15", "30")},
    **{str(60 * hours): Interval(f"{hours}h") for hours in (1, 2, 4, 6, 12)},
    "D": Interval.DAY_1,
    "W": Interval.WEEK_1,
    "M": Interval.MONTH_1,
}


@dataclass(frozen=True)
class Canned:
    """One answer in place of the market's.

    Attributes:
        body: Text as sent, or an object sent as JSON.
        status: HTTP status.
        headers: More headers.
        is_cut: Whether the connection breaks in the middle of the body.
    """

    body: object = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False


def refusal(code: int, message: str, **headers: str) -> Canned:
    """Return an error as the exchange sends it: HTTP 200 with a retCode and an empty result."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": NOW_MS}
    return Canned(body, headers=named)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    query: Mapping[str, str]


class StandIn:
    """The exchange: change its attributes to change its mind.

    Attributes:
        now_ms: Its clock.
        launch_ms: When its instruments began to trade.
        listed: Symbols by category.
        missing: Open times of bars it does not have.
        faults: Answers to the next requests, once each; None answers as usual.
        asked: Every request so far.
        first_fetch_misses: Open times left out the first time they are asked for.
        funding_interval_ms: Time between settlements.
        instrument_page: Most instruments in one answer, however many are asked for.
    """

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.launch_ms = LAUNCH_MS
        self.listed = {
            "linear": ["BTCUSDT", "ETHUSDT", "XRPUSDT", "BTC-26DEC25"],
            "inverse": ["BTCUSD"],
            "spot": ["BTCUSDT", "ETHUSDT"],
        }
        self.missing: set[int] = set()
        self.first_fetch_misses: set[int] = set()
        self.faults: deque[Canned | None] = deque()
        self.asked: list[Asked] = []
        self.funding_interval_ms = 8 * HOUR_MS
        self.instrument_page = 1_000
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def windows(self) -> list[tuple[int, int]]:
        """Return the bounds of every kline request so far."""
        asked = [item.query for item in self.asked if item.path.endswith("/kline")]
        return [(int(query["start"]), int(query["end"])) for query in asked]

    def answer(self, asked: Asked) -> Canned:
        """Answer one request."""
        self.asked.append(asked)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            return fault
        routes = {
            "/v5/market/kline": self._kline,
            "/v5/market/funding/history": self._funding,
            "/v5/market/instruments-info": self._instruments,
        }
        route = routes.get(asked.path)
        return route(asked.query) if route else Canned("no such page", status=404)

    def _kline(self, query: Mapping[str, str]) -> Canned:
        category, symbol = query.get("category", "linear"), query.get("symbol", "")
        if symbol not in self.listed.get(category, []):
            return refusal(10001, "params error: symbol invalid")
        if query.get("interval") not in INTERVALS:
            return refusal(10001, "Invalid period!")
        interval = INTERVALS[query["interval"]]
        limit = int(query.get("limit", "200"))
        if not 1 <= limit <= 1_000:
            return refusal(10001, "params error: limit invalid")
        last_ms = min(int(query.get("end", self.now_ms)), self.now_ms)
        opens = self._opens(interval, int(query.get("start", "0")), last_ms)
        kept = opens[-limit:] if "end" in query else opens[:limit]
        rows = [row(interval, open_ms) for open_ms in reversed(kept)]
        return self._ok({"symbol": symbol, "category": category, "list": rows})

    def _opens(self, interval: Interval, start_ms: int, last_ms: int) -> list[int]:
        """Return the open times from the bar that holds `start_ms` to `last_ms`, inclusive."""
        opens = []
        open_ms = _first_open_ms(interval, self.launch_ms)
        if interval is not Interval.MONTH_1 and start_ms > open_ms:
            open_ms += (start_ms - open_ms) // interval.length_ms * interval.length_ms
        while open_ms <= last_ms:
            if interval.next_open_ms(open_ms) > start_ms and open_ms not in self.missing:
                opens.append(open_ms)
            open_ms = interval.next_open_ms(open_ms)
        unseen = self.first_fetch_misses.intersection(opens)
        self.first_fetch_misses -= unseen
        return [open_ms for open_ms in opens if open_ms not in unseen]

    def _funding(self, query: Mapping[str, str]) -> Canned:
        category, symbol = query.get("category", ""), query.get("symbol", "")
        if category == "spot" or symbol not in self.listed.get(category, []):
            return refusal(10001, "params error: symbol invalid")
        if "startTime" in query and "endTime" not in query:
            return refusal(10001, "Time is invalid")
        last_ms = min(int(query.get("endTime", self.now_ms)), self.now_ms)
        limit = min(int(query.get("limit", "200")), 200)
        step = self.funding_interval_ms
        latest_ms = last_ms - (last_ms - self.launch_ms) % step
        times = range(latest_ms, max(self.launch_ms, latest_ms - limit * step), -step)
        rows = [
            {"symbol": symbol, "fundingRate": rate(at), "fundingRateTimestamp": str(at)}
            for at in times
        ]
        return self._ok({"category": category, "list": rows})

    def _instruments(self, query: Mapping[str, str]) -> Canned:
        category, symbol = query["category"], query.get("symbol")
        if category not in self.listed:
            return refusal(10001, "Illegal category")
        names = sorted(self.listed[category])
        if symbol is not None:
            names = [name for name in names if name == symbol]
            if not names and category != "spot":
                return refusal(10001, "params error: symbol invalid")
        result: dict[str, Any] = {"category": category}
        if category != "spot":
            after = query.get("cursor", "").removeprefix("after=")
            size = min(int(query.get("limit", "500")), self.instrument_page)
            left = [name for name in names if name > after]
            names, is_last = left[:size], len(left) <= size
            result["nextPageCursor"] = "" if is_last else quote(f"after={names[-1]}", safe="")
        result["list"] = [self._listing(category, name) for name in names]
        return self._ok(result)

    def _listing(self, category: str, symbol: str) -> dict[str, Any]:
        listing: dict[str, Any] = {
            "symbol": symbol,
            "status": "Trading",
            "baseCoin": symbol[:3],
            "quoteCoin": "USD" if category == "inverse" else "USDT",
            "priceFilter": {"tickSize": "0.10"},
        }
        if category == "spot":
            sizes = {"basePrecision": "0.000001", "minOrderQty": "0.000011", "minOrderAmt": "5"}
            return listing | {"lotSizeFilter": sizes}
        sizes = {"qtyStep": "0.001", "minOrderQty": "0.001", "minNotionalValue": "5"}
        return listing | {
            "launchTime": str(self.launch_ms),
            "deliveryTime": "0",
            "leverageFilter": {"maxLeverage": "100.00"},
            "lotSizeFilter": sizes,
            "fundingInterval": 0 if "-" in symbol else 480,
        }

    def _ok(self, result: Mapping[str, Any]) -> Canned:
        body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}}
        return Canned(body | {"time": self.now_ms})


def row(interval: Interval, open_ms: int) -> list[str]:
    """Return the stand-in's bar: [start, open, high, low, close, volume, turnover] as text."""
    number = open_ms // 60_000 % 9_973
    first, last = f"{100 + number / 10:.1f}", f"{100.3 + number / 10:.1f}"
    high, low = f"{101 + number / 10:.1f}", f"{99 + number / 10:.1f}"
    return [str(open_ms), first, high, low, last, f"{number + 1}.25", str(len(interval.value))]


def rate(at_ms: int) -> str:
    """Return the stand-in's funding rate at a settlement."""
    return f"{(at_ms // HOUR_MS % 41 - 20) / 100_000:.5f}"


def _first_open_ms(interval: Interval, launch_ms: int) -> int:
    open_ms = launch_ms - launch_ms % 60_000
    while not interval.is_aligned(open_ms):
        open_ms -= 60_000
    return open_ms


def _handler(exchange: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection to the stand-in, kept alive between requests."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer a request."""
            parts = urlsplit(self.path)
            canned = exchange.answer(Asked(parts.path, dict(parse_qsl(parts.query))))
            text = canned.body if isinstance(canned.body, str) else json.dumps(canned.body)
            content = text.encode()
            self.send_response(canned.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in canned.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if canned.is_cut else content)
            self.close_connection |= canned.is_cut

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the stand-in keeps its own record of requests."""

    return Handler
