"""ImportCandles stores all or nothing, and says everything that is wrong."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from assay.data.v1 import data_service_pb2 as pb
from assay.data.v1 import dataset_pb2
from assay.market.v1.candles_pb2 import CandleColumns, FundingColumns

from services.data.convert import imports
from tests.service.data.calls import (
    ACCEPT_ALL,
    HOUR,
    NAME,
    Header,
    Stub,
    bars,
    columns,
    fields,
    get,
    header,
    import_bars,
    import_file,
    read,
    refusal,
    sync,
    window,
)

CSV = b"timestamp,open,high,low,close,volume\n0,1,2,0.5,1.5,7\n3600,1.5,3,1,2,0\n"


def sent(
    *messages: pb.ImportCandlesRequest | bytes | CandleColumns,
) -> list[pb.ImportCandlesRequest]:
    """Make messages of their contents."""
    made = []
    for message in messages:
        if isinstance(message, bytes):
            made.append(pb.ImportCandlesRequest(file_bytes=message))
        elif isinstance(message, CandleColumns):
            made.append(pb.ImportCandlesRequest(candles=message))
        else:
            made.append(message)
    return made


async def refused(data: Stub, *messages: object) -> list[str]:
    """Return the fields an import is refused for."""
    call = data.ImportCandles(iter(sent(*messages)))  # type: ignore[arg-type]
    return fields(await refusal(call))


async def test_a_csv_file_is_stored_with_its_report(data: Stub) -> None:
    """The answer is the dataset's inventory: kind, source, range, count, digest, quality."""
    dataset = await import_file(data, CSV)
    assert dataset.name == NAME
    assert dataset.kind == dataset_pb2.Dataset.KIND_CANDLES
    assert dataset.source == "file"
    assert dataset.row_count == 2
    assert dataset.first_open_time.seconds == 0
    assert dataset.last_open_time.seconds == 3600
    assert dataset.quality.zero_volume_bar_count == 1
    assert not dataset.HasField("synthetic")
    assert dataset == await get(data)
    _, served = await read(data)
    assert served.close.tolist() == [1.5, 2.0]


async def test_plain_gzipped_and_split_files_are_the_same(data: Stub) -> None:
    """Compression is seen by the bytes, and pieces may be cut anywhere."""
    digests = set()
    for content in (CSV, gzip.compress(CSV)):
        pieces = [header(format=Header.FORMAT_CSV)]
        pieces += [
            pb.ImportCandlesRequest(file_bytes=content[at : at + 5])
            for at in range(0, len(content), 5)
        ]
        digests.add((await data.ImportCandles(iter(pieces))).dataset.content_digest)
    assert len(digests) == 1


async def test_importing_again_replaces_with_a_new_version(data: Stub) -> None:
    """The second import is the whole content, and the version has grown."""
    first = await import_bars(data, bars(range(10)))
    second = await import_bars(data, bars(range(3, 6)))
    assert second.version > first.version
    _, served = await read(data)
    assert served.content_digest() == bars(range(3, 6)).content_digest()


async def test_a_refused_file_leaves_the_former_version(data: Stub) -> None:
    """Nothing of a bad import is stored, and the service goes on."""
    before = await import_bars(data, bars(range(10)))
    error = await refusal(
        data.ImportCandles(iter(sent(header(), columns(high=[0.5]), columns(volume=[-1]))))
    )
    assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "CANDLES_INVALID")
    assert error.metadata == {"violation_count": "4"}
    assert fields(error) == [
        "candles.volume",
        "candles.high",
        "candles.high",
        "candles.open_time_ms",
    ]
    assert await get(data) == before


async def test_the_doubled_year_is_refused_naming_all_and_mended_on_demand(
    data: Stub, market_data: Path
) -> None:
    """The real dirty file of 2021, through the wire."""
    path = market_data / "dirty" / "BTCUSDT_1h_2021_binance_spot_RAW.csv.gz"
    pieces = [header(format=Header.FORMAT_CSV), *sent(path.read_bytes()[: 2**20])]
    error = await refusal(data.ImportCandles(iter(pieces)))
    assert error.reason == "CANDLES_INVALID"
    assert len(error.violations) == 3
    dataset = await import_file(data, path.read_bytes(), accept=ACCEPT_ALL)
    assert dataset.row_count == 8_747
    assert dataset.quality.gap_count == 6
    assert dataset.quality.missing_bar_count == 13
    assert [gap.missing_bar_count for gap in dataset.quality.gaps] == [1, 1, 2, 3, 4, 2]
    assert dataset.quality.dropped_duplicate_count == 8_747
    assert dataset.quality.sorted_row_count > 0
    assert dataset.quality.zero_volume_bar_count == 1


async def test_missing_columns_are_told_with_those_found(data: Stub) -> None:
    """A file of other columns names each missing one."""
    call = data.ImportCandles(iter(sent(header(format=Header.FORMAT_CSV), b"a,open,low\n1,2,3\n")))
    error = await refusal(call)
    assert error.reason == "FIELD_INVALID"
    assert fields(error) == [
        f"header.columns.{cell}" for cell in ("open_time", "high", "close", "volume")
    ]
    assert "'a', 'open', 'low'" in error.violations[0].description


async def test_an_error_too_long_to_travel_is_shortened(data: Stub) -> None:
    """Hundreds of violations would not pass a client's headers: the last one counts the rest."""
    call = data.ImportCandles(iter([header(accept=[77] * 1_000)]))
    told = (await refusal(call)).violations
    assert told[0].field == "header.accept[0]"
    assert told[-1].description == f"and {1_000 - (len(told) - 1)} more"


async def test_pieces_without_rows_are_nothing(data: Stub) -> None:
    """Empty messages between others change no number, not even a large one."""
    call = data.ImportCandles(iter(sent(header(), CandleColumns(), columns(open_time_ms=[2**62]))))
    assert str(2**62) in (await refusal(call)).violations[0].description


async def test_a_map_of_columns_is_used(data: Stub) -> None:
    """Columns of any name are read where the header names them."""
    content = CSV.replace(b"timestamp", b"Zeit").replace(b"volume", b"Menge")
    named = {"open_time": "Zeit", "volume": "Menge"}
    assert (await import_file(data, content, columns=named)).row_count == 2
    wrong = header(format=Header.FORMAT_CSV, columns={"opening": "x"})
    assert await refused(data, wrong) == ["header.columns"]


async def test_everything_wrong_with_a_header_is_told_at_once(data: Stub) -> None:
    """Name, format, unit and acceptances are one error."""
    wrong = header("datasets/synthetic.x.1h", format=9, time_unit=7, accept=[1, 0])
    assert await refused(data, wrong) == [
        "header.name",
        "header.format",
        "header.time_unit",
        "header.accept[1]",
    ]
    plain = header("x", format=Header.FORMAT_COLUMNS, time_unit=1, columns={"open": "o"})
    found = await refused(data, plain)
    assert set(found) == {"header.name", "header.time_unit", "header.columns"}


async def test_messages_out_of_turn_are_refused(data: Stub) -> None:
    """One header, first; then content of the announced kind only; at least some."""
    csv = header(format=Header.FORMAT_CSV)
    funding = pb.ImportCandlesRequest(funding=FundingColumns())
    assert await refused(data) == ["header"]
    assert await refused(data, CSV) == ["header"]
    assert await refused(data, csv) == ["file_bytes"]
    assert await refused(data, header()) == ["candles"]
    assert await refused(data, csv, CSV, csv) == ["header"]
    assert await refused(data, csv, columns()) == ["candles"]
    assert await refused(data, header(), CSV) == ["file_bytes"]
    assert await refused(data, header(), funding) == ["funding"]
    assert await refused(data, header("datasets/a.b.funding"), columns()) == ["candles"]
    assert await refused(data, header(), pb.ImportCandlesRequest()) == ["content"]
    assert await refused(data, header(), columns(low=[1, 2])) == ["candles"]
    assert await refused(data, csv, bytes(2**20 + 1)) == ["file_bytes"]


async def test_an_upload_beyond_the_limit_is_refused(
    data: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit holds for files and for columns, and is told."""
    monkeypatch.setattr(imports, "UPLOAD_LIMIT_BYTES", 60)
    for messages in ([header(format=Header.FORMAT_CSV), CSV], [header(), columns(), columns()]):
        error = await refusal(data.ImportCandles(iter(sent(*messages))))
        assert (error.code.name, error.reason) == ("RESOURCE_EXHAUSTED", "UPLOAD_TOO_LARGE")
        assert error.metadata == {"limit_bytes": "60"}


async def test_another_sources_dataset_is_not_overwritten(data: Stub) -> None:
    """What was fetched stays until it is deleted."""
    name = "datasets/bybit.linear.btcusdt.1d"
    await sync(data, name)
    error = await refusal(data.ImportCandles(iter(sent(header(name), columns()))))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "SOURCE_MISMATCH")
    assert error.metadata == {"dataset": name, "source": "bybit"}


async def test_a_reader_sees_one_version_whole_while_others_import(data: Stub) -> None:
    """Readers and importers at once: every frame read is one of those imported, bit for bit."""
    versions = [bars(range(3_000), price=100.0 + number) for number in range(4)]
    digests = {version.content_digest() for version in versions}
    await import_bars(data, versions[0])

    async def write() -> None:
        for version in versions[1:] * 2:
            await import_bars(data, version)

    writing = asyncio.ensure_future(write())
    reads = 0
    while not writing.done() or reads < 3:
        described, served = await read(data)
        assert served.content_digest() == described.snapshot.content_digest
        assert served.content_digest() in digests
        reads += 1
    await writing


async def test_imports_of_one_name_at_once_all_succeed(data: Stub) -> None:
    """A dozen importers of one dataset: all are answered, one of them has the last word."""
    contents = [bars(range(100), price=100.0 * n) for n in range(1, 13)]
    answers = await asyncio.gather(*(import_bars(data, rows) for rows in contents))
    digests = [answer.content_digest for answer in answers]
    assert digests == [rows.content_digest() for rows in contents]
    last = max(answers, key=lambda answer: answer.version)
    assert (await get(data)).content_digest == last.content_digest


async def test_a_broken_off_upload_stores_nothing(data: Stub) -> None:
    """A caller who hangs up in the middle leaves no dataset."""
    begun = asyncio.Event()

    async def half() -> AsyncIterator[pb.ImportCandlesRequest]:
        yield header(format=Header.FORMAT_CSV)
        yield pb.ImportCandlesRequest(file_bytes=CSV)
        begun.set()
        await asyncio.Event().wait()

    call = data.ImportCandles(half())
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    error = await refusal(data.GetDataset(pb.GetDatasetRequest(name=NAME)))
    assert error.reason == "DATASET_UNKNOWN"


async def test_a_parquet_file_of_a_month_is_stored(data: Stub, tmp_path: Path) -> None:
    """Parquet comes in by the same way."""
    rows = bars(range(24 * 31))
    path = tmp_path / "month.parquet"
    names = ("time", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table(dict(zip(names, rows.columns(), strict=True))), path)
    unit = Header.TIME_UNIT_MILLISECONDS
    dataset = await import_file(
        data, path.read_bytes(), format=Header.FORMAT_PARQUET, time_unit=unit
    )
    assert dataset.content_digest == rows.content_digest()
    assert await read(data, window=window(HOUR, 5 * HOUR))
