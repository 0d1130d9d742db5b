"""Parquet files are read by their types: Arrow's own times, decimals, text, blanks."""

from __future__ import annotations

import io
from datetime import time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.adapters import files
from services.data.adapters.files import FileReader
from services.data.core.quality import Upload, check
from services.data.core.uploads import FileFormat, FilePlan


def parquet(**columns: object) -> bytes:
    """Write a Parquet file of an hour's bar, some columns replaced."""
    plain: dict[str, object] = {"open_time": [0], "open": [1.0], "high": [2.0], "low": [1.0]}
    plain |= {"close": [1.5], "volume": [3.0]} | columns
    buffer = io.BytesIO()
    pq.write_table(pa.table(plain), buffer)
    return buffer.getvalue()


def read_parquet(content: bytes) -> Upload:
    """Read a Parquet file."""
    return FileReader().read(content, FilePlan(FileFormat.PARQUET, Interval.HOUR_1))


def opens_of(upload: Upload) -> np.ndarray:
    """Return the open times of an upload of candles."""
    assert isinstance(upload.rows, Candles)
    return upload.rows.open_time_ms


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1_704_067_200_000]),
        pa.array([1_704_067_200_000], pa.timestamp("ms")),
        pa.array([1_704_067_200_000_000_000], pa.timestamp("ns", tz="UTC")),
        pa.array([19_723], pa.date32()),
        pa.array(["2024-01-01 00:00:00"]),
        pa.array([1_704_067_200.0]),
        pa.array(["2024-01-01"]).dictionary_encode(),
        pa.array(["1704067200"], pa.large_string()),
    ],
)
def test_parquet_times_of_every_type_are_read(times: object) -> None:
    """Arrow's own times, numbers and text name the same moment."""
    upload = read_parquet(parquet(open_time=times))
    assert opens_of(upload).tolist() == [1_704_067_200_000]


def test_parquet_decimals_become_the_nearest_doubles() -> None:
    """Decimal columns are read as their text, single floats widened, whole numbers kept."""
    upload = read_parquet(
        parquet(
            open=pa.array([Decimal("42324.812345678")], pa.decimal128(20, 9)),
            high=pa.array([43_000]),
            low=pa.array([1.1], pa.float32()),
            close=pa.array(["0.3"]),
        )
    )
    bars = upload.rows
    assert isinstance(bars, Candles)
    assert bars.open.tolist() == [42324.812345678]
    assert bars.high.tolist() == [43_000.0]
    assert bars.low.tolist() == [float(np.float32(1.1))]
    assert bars.close.tolist() == [0.3]


def test_parquet_blanks_are_violations() -> None:
    """An empty cell is neither a time nor a number."""
    upload = read_parquet(
        parquet(open_time=pa.array([None], pa.timestamp("ms")), open=pa.array([None], pa.float64()))
    )
    with pytest.raises(AssayError) as caught:
        check(upload, Interval.HOUR_1)
    assert {item.field for item in caught.value.violations} == {
        "candles.open_time_ms",
        "candles.open",
    }


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing PAR1", parquet()[:-40] + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused(content: bytes) -> None:
    """Broken Parquet files are told as such."""
    with pytest.raises(AssayError, match="Parquet"):
        read_parquet(content)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1_704_067_200_000_000_001], pa.timestamp("ns")),
        pa.array([1_704_067_200_000_001], pa.timestamp("us", tz="UTC")),
        pa.array([time(1)], pa.time64("ns")),
        pa.array([3_600], pa.duration("s")),
        pa.array([[3_600]]),
    ],
)
def test_parquet_cells_of_other_kinds_are_violations(times: pa.Array) -> None:
    """A time finer than a ms is not rounded, and neither clocks nor durations name a moment."""
    with pytest.raises(AssayError) as caught:
        check(read_parquet(parquet(open_time=times)), Interval.HOUR_1)
    assert [item.field for item in caught.value.violations] == ["candles.open_time_ms"]
    with pytest.raises(AssayError) as caught:
        check(read_parquet(parquet(volume=times)), Interval.HOUR_1)
    assert [item.field for item in caught.value.violations] == ["candles.volume"]


def test_one_blank_among_nanoseconds_is_told_alone() -> None:
    """The other cells of the column are read as ever."""
    moments = pa.array([1_704_067_200_000_000_000, None], pa.timestamp("ns"))
    two = {key: [1.0, 1.0] for key in ("open", "high", "low", "close", "volume")}
    upload = read_parquet(parquet(open_time=moments, **two))
    assert opens_of(upload)[0] == 1_704_067_200_000
    assert "1 cell is no time" in upload.violations[0].description
    assert "in row 2" in upload.violations[0].description


def test_a_table_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that grows too large in memory is stopped before it is unpacked."""
    monkeypatch.setattr(files, "UNPACKED_LIMIT_BYTES", 1000)
    names = ("open_time", "open", "high", "low", "close", "volume")
    with pytest.raises(AssayError) as caught:
        read_parquet(parquet(**{name: [1.0] * 100 for name in names}))
    assert caught.value.reason == "UPLOAD_TOO_LARGE"
    assert caught.value.metadata == {"limit_bytes": "1000"}
