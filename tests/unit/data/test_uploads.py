"""Files are read as they stand: columns by name, numbers to the last bit, times in any form."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import AssayError
from services.common.frames import Candles
from services.common.intervals import Interval
from services.data.adapters import files
from services.data.adapters.files import FileReader
from services.data.core.ports import FundingRates
from services.data.core.quality import Acceptance, Upload, check
from services.data.core.uploads import FileFormat, FilePlan, TimeUnit

HEADER = "open_time,open,high,low,close,volume"


def read_csv(
    text: str | bytes, interval: Interval | None = Interval.HOUR_1, **how: object
) -> Upload:
    """Read CSV text."""
    content = text.encode() if isinstance(text, str) else text
    plan = FilePlan(FileFormat.CSV, interval, **how)  # type: ignore[arg-type]
    return FileReader().read(content, plan)


def candles_of(upload: Upload) -> Candles:
    """Return the rows of an upload of candles."""
    assert isinstance(upload.rows, Candles)
    return upload.rows


@given(
    st.floats(1e-8, 1e12),
    st.sampled_from([repr, "{:.12f}".format, "{:.17e}".format, "{:.3f}".format]),
)
def test_numbers_are_the_doubles_python_reads(number: float, form: object) -> None:
    """Decimal text becomes the nearest double, bit for bit what float() makes of it."""
    text = form(number)  # type: ignore[operator]
    upload = read_csv(f"{HEADER}\n0,{text},1,1,1,1\n")
    assert candles_of(upload).open.tolist() == [float(text)]


def test_numbers_with_spaces_are_read_and_python_spellings_are_not() -> None:
    """Padding is harmless; an underscore inside a number is no number."""
    upload = read_csv(f"{HEADER}\n0, 1.5 ,2,1,1.5,3\n3600,1_0,2,1,1.5,3\n")
    assert candles_of(upload).open[0] == 1.5
    assert [violation.field for violation in upload.violations] == ["candles.open"]
    assert "'1_0' in row 2" in upload.violations[0].description


@pytest.mark.parametrize(
    "time",
    [
        "1704067200",
        "1704067200000",
        "1704067200.0",
        "1.7040672e12",
        "2024-01-01",
        "2024-01-01 00:00:00",
        "2024-01-01T00:00:00Z",
        "2024-01-01T02:00:00+02:00",
        " 2024-01-01 00:00:00.000 ",
    ],
)
def test_times_are_seconds_milliseconds_or_text(time: str) -> None:
    """All common forms of one moment are the same moment."""
    upload = read_csv(f"{HEADER}\n{time},1,1,1,1,1\n")
    assert candles_of(upload).open_time_ms.tolist() == [1_704_067_200_000]


def test_a_given_unit_wins_over_the_guess() -> None:
    """Early milliseconds look like seconds; the caller can say which they are."""
    text = f"{HEADER}\n3600000,1,1,1,1,1\n"
    assert candles_of(read_csv(text)).open_time_ms.tolist() == [3_600_000_000]
    told = read_csv(text, time_unit=TimeUnit.MILLISECONDS)
    assert candles_of(told).open_time_ms.tolist() == [3_600_000]


@pytest.mark.parametrize(
    "time",
    [
        *(
            "",
            "soon",
            "1704067200.0001",
            "nan",
            "1e300",
            "0x65920080",
            "2024-01-01T00:00:00.0000001",
        ),
        "\N{FULLWIDTH DIGIT ONE}704067200",
    ],
)
def test_a_cell_that_is_no_time_is_told(time: str) -> None:
    """A time that cannot be read is a violation, and its row takes no part in other checks."""
    upload = read_csv(f"{HEADER}\n{time},1,1,1,1,1\n1704067200,1,1,1,1,1\n")
    with pytest.raises(AssayError) as caught:
        check(upload, Interval.HOUR_1)
    assert [violation.field for violation in caught.value.violations] == ["candles.open_time_ms"]
    assert "row 1" in caught.value.violations[0].description


@pytest.mark.parametrize(
    "header",
    [
        "timestamp_ms,open,high,low,close,volume",
        "Open time,Open,High,Low,Close,Volume,Close time,Ignore",
        "\ufeffdate,OPEN,HIGH,LOW,CLOSE,VOL,x,y",
        "timestamp,o,h,l,c,v,turnover,date",
        '"open-time", open_price ,high_price,low_price,close_price,base_volume,a,b',
    ],
)
def test_columns_are_found_by_common_spellings(header: str) -> None:
    """Exports of exchanges and libraries are read without a word about their columns."""
    row = ",".join(["1704067200", "1", "2", "0.5", "1.5", "7", "8", "9"][: header.count(",") + 1])
    bars = candles_of(read_csv(f"{header}\r\n{row}\r\n"))
    assert [column.tolist() for column in bars.columns()] == [
        [1_704_067_200_000], [1.0], [2.0], [0.5], [1.5], [7.0],
    ]  # fmt: skip


def test_given_columns_are_taken_by_their_exact_name() -> None:
    """A map names any column; only the rest is guessed."""
    text = "when,open,high,low,close,Volume USD,volume\n0,1,1,1,1,9,5\n"
    upload = read_csv(text, columns={"open_time": "when", "volume": "Volume USD"})
    assert candles_of(upload).volume.tolist() == [9.0]


def test_every_column_in_the_way_is_told_with_what_was_found() -> None:
    """Missing and ambiguous columns are one error that lists the file's own names."""
    with pytest.raises(AssayError) as caught:
        read_csv("time,timestamp,Open,open,low,close\n", columns={"volume": "Amount"})
    told = {item.field: item.description for item in caught.value.violations}
    assert told.keys() == {
        f"header.columns.{cell}" for cell in ("open_time", "open", "high", "volume")
    }
    assert "several columns may be meant: 'time', 'timestamp'" in told["header.columns.open_time"]
    assert "no column 'Amount'" in told["header.columns.volume"]
    assert (
        "it has 'time', 'timestamp', 'Open', 'open', 'low', 'close'"
        in (told["header.columns.high"])
    )


def test_rows_of_another_width_are_told() -> None:
    """Torn and overlong rows are counted and the first is shown, beside all other violations."""
    upload = read_csv(f"{HEADER}\n0,1,1,1,1,1\n3600,1,1\n7200,1,1,1,1,1,1\n10800,1,1,1,1,x\n")
    told = [(violation.field, violation.description) for violation in upload.violations]
    assert told[0][0] == "candles"
    assert told[0][1].startswith("2 rows have not the header's 6 cells, first row 2 with 3")
    assert told[1][0] == "candles.volume"


def test_funding_files_are_read() -> None:
    """A file of settlements has a time and a rate."""
    upload = read_csv("timestamp_ms,funding_rate\n1704067200003,0.0001\n", None)
    assert isinstance(upload.rows, FundingRates)
    assert upload.rows.funding_time_ms.tolist() == [1_704_067_200_003]
    assert upload.rows.funding_rate_ratio.tolist() == [0.0001]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x1f\x8b\x08broken", "is no whole gzip file"),
        (gzip.compress(HEADER.encode() * 50, mtime=0)[:-9], "is no whole gzip file"),
        (b"\xff\xfe\n1", "no header line of UTF-8"),
        (f"{HEADER}\n0,1,1,1,1,".encode() + b"\xff\n", "cannot be read as CSV"),
    ],
)
def test_a_file_that_is_no_csv_is_refused(content: bytes, told: str) -> None:
    """Broken compression and other encodings are told as what they are."""
    with pytest.raises(AssayError) as caught:
        read_csv(content)
    assert caught.value.violations[0].field == "file_bytes"
    assert told in caught.value.violations[0].description


@pytest.mark.parametrize("text", [HEADER, f"{HEADER}\n", f"{HEADER}\r\n\r\n"])
def test_a_file_without_rows_is_refused_as_empty(text: str) -> None:
    """A header alone is no data."""
    with pytest.raises(AssayError, match="there are no rows"):
        check(read_csv(text), Interval.HOUR_1)


def test_a_file_that_unpacks_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that grows too large in memory is stopped."""
    monkeypatch.setattr(files, "UNPACKED_LIMIT_BYTES", 1000)
    with pytest.raises(AssayError) as caught:
        read_csv(gzip.compress(b"0" * 2000))
    assert caught.value.reason == "UPLOAD_TOO_LARGE"
    assert caught.value.metadata == {"limit_bytes": "1000"}


def test_a_year_appended_twice_is_refused_and_can_be_mended(market_data: Path) -> None:
    """The real file of 2021: doubled, out of order, with six gaps and text times."""
    content = (market_data / "dirty" / "BTCUSDT_1h_2021_binance_spot_RAW.csv.gz").read_bytes()
    upload = read_csv(content)
    with pytest.raises(AssayError) as caught:
        check(upload, Interval.HOUR_1)
    told = [item.description for item in caught.value.violations]
    assert [text.split(", first")[0] for text in told] == [
        "8,746 rows are earlier than a row before",
        "8,747 rows are equal to a row before of the same time",
        "6 gaps lack 13 bars",
    ]
    checked = check(upload, Interval.HOUR_1, frozenset(Acceptance))
    assert len(checked.rows) == 8_747
    gaps = [gap.missing_bar_count for gap in checked.report.gaps]
    assert gaps == [1, 1, 2, 3, 4, 2]
    assert checked.report.dropped_duplicate_count == 8_747
    assert checked.report.zero_volume_bar_count == 1


def test_a_page_fetched_twice_can_be_mended(market_data: Path) -> None:
    """The real daily file: one bar stands twice; its date and turnover are not read."""
    name = "BTCUSDT_1d_2020-11_2025-11_bybit_linear_RAW.csv.gz"
    upload = read_csv((market_data / "dirty" / name).read_bytes(), Interval.DAY_1)
    with pytest.raises(AssayError, match="1 row is equal"):
        check(upload, Interval.DAY_1)
    accept = frozenset({Acceptance.EQUAL_DUPLICATES})
    assert len(check(upload, Interval.DAY_1, accept).rows) == 1_825


def test_a_real_year_keeps_every_bit(market_data: Path) -> None:
    """The main series is read to the bits that Python reads from its text."""
    content = (market_data / "BTCUSDT_1h_2024_bybit_linear.csv.gz").read_bytes()
    bars = candles_of(read_csv(content))
    lines = gzip.decompress(content).decode().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    assert bars.open_time_ms.tolist() == [int(row[0]) for row in cells]
    for place, column in enumerate(bars.columns()[1:], start=1):
        assert column.tolist() == [float(row[place]) for row in cells]
