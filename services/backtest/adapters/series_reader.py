"""The series beside a frame's candles: read, checked, and laid over its window."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from services.backtest.adapters.data_reader import DataReader, Span, funding_digest
from services.backtest.convert.series import SERIES_NAMES, SeriesChoice, SeriesChoices
from services.backtest.convert.snapshots import SnapshotChoice
from services.backtest.core.frame import Detail, Frame, Funding
from services.common.errors import AssayError, Code, Violation, fields_invalid
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval


@dataclass(frozen=True, slots=True)
class ReadSeries:
    """The series read for a frame; None where none was wanted.

    Attributes:
        funding: Settlements from the window's first open to its last close.
        mark: Mark-price candles, one for each bar of the window.
        detail: Shorter candles inside the window.
        synthetic: Whether candles of them are made up.
    """

    funding: Funding | None
    mark: Candles | None
    detail: Detail | None
    synthetic: bool


class SeriesReader:
    """Reads the series of frames; keeps nothing.

    Both methods may raise AssayError: as `DataReader`; INVALID_ARGUMENT/FIELD_INVALID for a dataset
    of another kind, told by the field of the execution model; ABORTED/DATASET_CHANGED;
    FAILED_PRECONDITION/SERIES_INCOMPLETE.
    """

    def __init__(self, reader: DataReader) -> None:
        self._reader = reader

    async def pinned(self, frame: Frame, series: SeriesChoices) -> SeriesChoices:
        """Return the series with the digests of their present content where none is given."""
        return SeriesChoices(
            **{
                name: await self._pinned(name, frame, getattr(series, name))
                for name in SERIES_NAMES
            }
        )

    async def read(self, frame: Frame, series: SeriesChoices) -> ReadSeries:
        """Return the series of a frame, each with a digest."""
        funding = await self._funding(frame, series.funding)
        mark = await self._candles("mark", frame, series.mark)
        detail = await self._candles("detail", frame, series.detail)
        marks = _marks(frame, mark.candles, series.mark) if mark and series.mark else None
        shorter = Detail(detail.candles, detail.interval) if detail else None
        synthetic = any(one.synthetic for one in (mark, detail) if one)
        return ReadSeries(funding, marks, shorter, synthetic)

    async def _pinned(
        self, name: str, frame: Frame, choice: SeriesChoice | None
    ) -> SeriesChoice | None:
        if choice is None or choice.digest:
            return choice
        async with _about(name, choice):
            if name == "funding":
                digest = funding_digest(await self._reader.funding(choice.dataset, _span(frame)))
            else:
                digest = (await self._reader.header(_snapshot(frame, choice))).snapshot.digest
        return SeriesChoice(choice.dataset, digest)

    async def _funding(self, frame: Frame, choice: SeriesChoice | None) -> Funding | None:
        if choice is None:
            return None
        async with _about("funding", choice):
            funding = await self._reader.funding(choice.dataset, _span(frame))
        digest = funding_digest(funding)
        if digest != choice.digest:
            raise AssayError(
                Code.ABORTED,
                "DATASET_CHANGED",
                f"the funding rates of {choice.dataset} no longer have the wanted digest",
                metadata={"wanted_digest": choice.digest, "actual_digest": digest},
                domain="data.assay",
            )
        return funding

    async def _candles(
        self, name: str, frame: Frame, choice: SeriesChoice | None
    ) -> _SeriesCandles | None:
        if choice is None:
            return None
        async with _about(name, choice):
            snapshot = _snapshot(frame, choice)
            # Asked first: rows of a wrong interval may be a hundred times as many.
            _check_interval(name, frame, (await self._reader.header(snapshot)).interval, choice)
            loaded = await self._reader.frame(snapshot)
        return _SeriesCandles(loaded.frame.candles, loaded.frame.interval, loaded.synthetic)


@dataclass(frozen=True, slots=True)
class _SeriesCandles:
    candles: Candles
    interval: Interval
    synthetic: bool


def _span(frame: Frame) -> Span:
    """Return the time from the window's first open to its last close."""
    times = frame.candles.open_time_ms
    last = int(times[-1])
    return Span(int(times[frame.window_start]), frame.interval.next_open_ms(last))


def _snapshot(frame: Frame, choice: SeriesChoice) -> SnapshotChoice:
    span = _span(frame)
    return SnapshotChoice(choice.dataset, span.start_ms, span.end_ms, 0, choice.digest)


def _check_interval(name: str, frame: Frame, interval: Interval, choice: SeriesChoice) -> None:
    if name == "mark" and interval is not frame.interval:
        told = f"holds bars of {interval.value}, the snapshot's are of {frame.interval.value}"
        raise _incomplete(name, choice, told)
    if name == "detail" and not divides(interval, frame.interval):
        told = f"{interval.value} is not shorter than {frame.interval.value}, or does not divide it"
        raise _incomplete(name, choice, told)


def divides(shorter: Interval, longer: Interval) -> bool:
    """Tell whether each bar of one interval is made of whole bars of a shorter one."""
    if shorter in {longer, Interval.MONTH_1}:
        return False
    # A month, and a week's Monday, begin with a day: what divides a day divides both.
    length_ms = DAY_MS if longer in {Interval.WEEK_1, Interval.MONTH_1} else longer.length_ms
    return length_ms % shorter.length_ms == 0


def _marks(frame: Frame, candles: Candles, choice: SeriesChoice) -> Candles:
    """Return the mark-price candles of the window's bars, and of no others."""
    wanted = frame.candles.open_time_ms[frame.window_start :]
    places = np.searchsorted(candles.open_time_ms, wanted)
    found = candles.open_time_ms[np.minimum(places, len(candles) - 1)] == wanted
    if not found.all():
        missing = int(len(wanted) - found.sum())
        first = int(wanted[np.flatnonzero(~found)[0]])
        told = f"lacks {missing:,} of the window's {len(wanted):,} bars, first {first} ms"
        raise _incomplete("mark", choice, told)
    if len(candles) == len(wanted):
        return candles
    return Candles.from_columns(column[places] for column in candles.columns())


def _incomplete(name: str, choice: SeriesChoice, told: str) -> AssayError:
    return AssayError(
        Code.FAILED_PRECONDITION,
        "SERIES_INCOMPLETE",
        f"execution.{name}: {choice.dataset} {told}",
        metadata={"series": name, "dataset": choice.dataset},
    )


@asynccontextmanager
async def _about(name: str, choice: SeriesChoice) -> AsyncIterator[None]:
    """Tell refusals of the data service in terms of the execution model."""
    try:
        yield
    except AssayError as error:
        if error.reason == "WINDOW_OUTSIDE_DATASET":
            told = f"does not cover the window: {error.message}"
            raise _incomplete(name, choice, told) from error
        if error.reason == "FIELD_INVALID":
            # Nothing but the dataset is the caller's own.
            told = "; ".join(item.description for item in error.violations) or error.message
            raise fields_invalid([Violation(f"execution.{name}.dataset", told)]) from error
        raise
