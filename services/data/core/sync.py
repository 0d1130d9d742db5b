"""Bringing a dataset up to date: what is missing, and what a fetched page changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.common.frames import Times
from services.common.intervals import DAY_MS, Interval
from services.data.core import rows as tables
from services.data.core.grid import bars_in, gaps_of
from services.data.core.ports import Rows, Span

DEFAULT_HISTORY_MS = 365 * DAY_MS
_USUAL_FUNDING_MS = DAY_MS // 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask the source for.

    Attributes:
        spans: Spans to fetch, in order of time, without overlap.
        expected_row_count: Rows in them, an upper bound where the source has gaps; of funding as
            many as settle every eight hours.
    """

    spans: tuple[Span, ...]
    expected_row_count: int


@dataclass(frozen=True, slots=True)
class Merged:
    """A fetched page beside the rows stored.

    Attributes:
        fresh: Fetched rows whose time is not stored yet.
        revised: All stored rows with the source's new values in place; None where no stored row
            differs from its fetched copy.
        first_revised_ms: Time of the first row that differs; 0 where none does.
    """

    fresh: Rows
    revised: Rows | None = None
    first_revised_ms: int = 0

    def joined(self, stored: Rows) -> Rows:
        """Return the stored rows as they are after the page."""
        return tables.join(stored if self.revised is None else self.revised, self.fresh)


def plan(stored: Times, wanted: Span, interval: Interval | None) -> Plan:
    """Say which spans of `wanted` to fetch, given the times stored.

    The last stored row is fetched again: where it differs, the source has revised its history.
    Gaps inside are asked for again too; a source that still has nothing there has a real gap.

    Args:
        stored: Times stored, rising.
        wanted: The span wanted.
        interval: Length of one bar; None for funding rates.
    """
    if len(stored) == 0:
        holes = [wanted]
    else:
        first, last = int(stored[0]), int(stored[-1])
        holes = [Span(wanted.start_ms, first), Span(last, wanted.end_ms)]
        if interval is not None:
            inner = [Span(gap.start_ms, gap.end_ms) for gap in gaps_of(stored, interval)]
            holes[1:1] = inner
    cut = (
        Span(max(hole.start_ms, wanted.start_ms), min(hole.end_ms, wanted.end_ms)) for hole in holes
    )
    spans = tuple(span for span in cut if span.start_ms < span.end_ms)
    if interval is None:
        usual = (-(-(span.end_ms - span.start_ms) // _USUAL_FUNDING_MS) for span in spans)
        return Plan(spans, sum(usual))
    return Plan(spans, sum(bars_in(span, interval) for span in spans))


def merge(stored: Rows, fetched: Rows) -> Merged:
    """Compare a page of strictly rising times with the rows stored."""
    held, moments = tables.times(stored), tables.times(fetched)
    places = np.searchsorted(held, moments)
    known = places < len(held)
    known[known] = held[places[known]] == moments[known]
    fresh = tables.take(fetched, ~known)
    targets, copies = places[known], tables.take(fetched, known)
    differs = np.zeros(len(targets), dtype=np.bool_)
    pairs = list(zip(stored.columns(), copies.columns(), strict=True))
    for ours, theirs in pairs:
        differs |= ours[targets] != theirs
    if not differs.any():
        return Merged(fresh)
    revised = []
    for ours, theirs in pairs:
        column = ours.copy()
        column[targets] = theirs
        revised.append(column)
    first = int(tables.times(copies)[np.argmax(differs)])
    return Merged(fresh, type(stored).from_columns(revised), first)
