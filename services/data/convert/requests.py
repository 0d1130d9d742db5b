"""Requests to plain Python."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import dataset_pb2

from services.common.errors import Violation, fields_invalid, refuse
from services.common.intervals import Interval
from services.data.convert.fields import edges, wanted_frame
from services.data.core.catalog import (
    DatasetName,
    instrument_of,
    market_problems,
    parse_name,
)
from services.data.core.dataset import SyntheticMarket
from services.data.core.ports import EVERYTHING, InstrumentId, Span
from services.data.core.reading import Wanted
from services.data.core.synthetic import field_problems, window_problems

_SYMBOL = re.compile(r"[A-Z0-9-]{1,50}")


@dataclass(frozen=True, slots=True)
class FetchJob:
    """A sync from an exchange; unset edges are None."""

    name: DatasetName
    instrument: InstrumentId
    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class MakeJob:
    """A sync of a made-up market."""

    name: DatasetName
    interval: Interval
    market: SyntheticMarket
    window: Span


def sync_job(request: pb.SyncDatasetRequest) -> FetchJob | MakeJob:
    """Return what a sync is to do; AssayError FIELD_INVALID with every violation."""
    name, found = parse_name(request.name, "name")
    start, end, wrong = edges(request.window, "window")
    found += wrong
    if name is None:
        raise fields_invalid(found)
    if name.is_synthetic:
        return _make_job(request, name, start, end, found)
    instrument, wrong = instrument_of(name, "name")
    found += wrong
    if request.HasField("synthetic"):
        found.append(Violation("synthetic", f"is for synthetic datasets only, not {name.full}"))
    refuse(found)
    if instrument is None:
        raise AssertionError("a name without violations has an instrument")
    return FetchJob(name, instrument, start, end)


def _make_job(
    request: pb.SyncDatasetRequest,
    name: DatasetName,
    start: int | None,
    end: int | None,
    found: list[Violation],
) -> MakeJob:
    if len(name.parts) != 3:
        found.append(
            Violation("name", f'{name.full!r} is not "datasets/synthetic.{{label}}.{{interval}}"')
        )
    told = {violation.field for violation in found}
    for edge, path in ((start, "window.start_time"), (end, "window.end_time")):
        if edge is None and not any(field.startswith(path) for field in told):
            found.append(Violation(path, "is required for synthetic datasets"))
    market = market_of(request.synthetic)
    found += field_problems(market, "synthetic")
    if start is not None and end is not None and name.interval is not None and start < end:
        window = Span(start, end)
        found += window_problems(name.interval, window, "window")
        refuse(found)
        return MakeJob(name, name.interval, market, window)
    raise fields_invalid(found)


def market_of(message: dataset_pb2.SyntheticMarket) -> SyntheticMarket:
    """Return the market with its defaults filled in."""
    given = {
        name: getattr(message, name)
        for name in ("start_price_quote", "annual_volatility_ratio", "mean_regime_bar_count")
        if message.HasField(name)
    }
    return SyntheticMarket(seed=message.seed, **given)


def read_candles(request: pb.ReadCandlesRequest) -> Wanted:
    """Return the frame a caller wants; AssayError FIELD_INVALID with every violation."""
    wanted, found = wanted_frame(request.snapshot, "snapshot")
    if request.row_limit < 0:
        found.append(Violation("row_limit", f"{request.row_limit} is negative"))
    refuse(found)
    return wanted


def read_funding(request: pb.ReadFundingRequest) -> tuple[str, Span]:
    """Return dataset and span wanted; AssayError FIELD_INVALID with every violation."""
    start, end, found = edges(request.window, "window")
    name, wrong = parse_name(request.name, "name")
    found += wrong
    refuse(found)
    if name is None:
        raise AssertionError("a name without violations is a name")
    return name.full, Span(
        EVERYTHING.start_ms if start is None else start,
        EVERYTHING.end_ms if end is None else end,
    )


def instruments_wanted(request: pb.ListInstrumentsRequest) -> tuple[str, str, str | None]:
    """Return source, category and symbol; AssayError FIELD_INVALID with every violation."""
    found = market_problems(request.source, request.category, "source", "category")
    symbol = request.symbol
    if symbol and not _SYMBOL.fullmatch(symbol):
        found.append(
            Violation("symbol", f"{symbol[:40]!r} is not 1 to 50 upper-case letters, digits and -")
        )
    if request.page_size < 0:
        found.append(Violation("page_size", f"{request.page_size} is negative"))
    refuse(found)
    return request.source, request.category, symbol or None
