"""The interval of a file of candles, told from the spacing of its first times."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from cli.dataset_file import Format, format_of
from services.common.intervals import DAY_MS, Interval

_ROWS: Final = 500
_SECONDS_BELOW: Final = 100_000_000_000
"""Numbers below are seconds since the epoch, as the data service reads them."""
_TIME_COLUMNS: Final = ("open_time", "timestamp_ms", "timestamp", "time", "datetime", "date", "ts")
_MONTH_DAYS: Final = range(28, 32)


def interval_of(file: Path) -> Interval | None:
    """Return the most frequent distance of a CSV file's first rows; None where it tells nothing.

    Raises:
        OSError: the file cannot be read.
    """
    if format_of(file) is not Format.CSV:
        return None
    times = _first_times(file)
    steps = Counter(after - before for before, after in pairwise(times) if after > before)
    return _named(steps.most_common(1)[0][0]) if steps else None


def _named(step_ms: int) -> Interval | None:
    if step_ms % DAY_MS == 0 and step_ms // DAY_MS in _MONTH_DAYS:
        return Interval.MONTH_1
    lengths: Mapping[int, Interval] = {
        item.length_ms: item for item in Interval if item is not Interval.MONTH_1
    }
    return lengths.get(step_ms)


def _first_times(file: Path) -> list[int]:
    reader = gzip.open if file.name.lower().endswith(".gz") else open
    with reader(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = csv.reader(text)
        names = [name.strip().lower() for name in next(rows, [])]
        known = [names.index(name) for name in _TIME_COLUMNS if name in names]
        place = known[0] if known else 0
        words = [row[place] for row in islice(rows, _ROWS) if len(row) > place]
    return [time for time in map(_time_ms, words) if time is not None]


def _time_ms(word: str) -> int | None:
    try:
        number = int(word)
    except ValueError:
        pass
    else:
        return number * 1000 if abs(number) < _SECONDS_BELOW else number
    try:
        moment = datetime.fromisoformat(word.strip())
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
