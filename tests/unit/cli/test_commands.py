"""Commands as processes against stand-ins of the services: what is asked, what is printed."""

# The stand-ins' methods are named and described by the contracts.
# ruff: noqa: N802, D102

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from assay.backtest.v1 import backtest_service_pb2 as backtest_pb
from assay.backtest.v1 import backtest_service_pb2_grpc as backtest_rpc
from assay.backtest.v1 import metrics_pb2
from assay.backtest.v1.strategy_pb2 import ParameterInfo, Strategy
from assay.data.v1 import data_service_pb2 as data_pb
from assay.data.v1 import data_service_pb2_grpc as data_rpc
from assay.data.v1.dataset_pb2 import Dataset, ImportHeader
from google.protobuf.json_format import Parse
from typer.testing import CliRunner

from cli.app import app
from services.common.errors import AssayError, Code, Violation, fields_invalid, unknown


class Data(data_rpc.DataServiceServicer):
    """A data service that remembers what it was asked and knows 2,500 datasets."""

    def __init__(self) -> None:
        self.imported: list[data_pb.ImportCandlesRequest] = []
        self.synced: list[data_pb.SyncDatasetRequest] = []

    async def ListDatasets(self, request: data_pb.ListDatasetsRequest, context: Any) -> Any:
        first = int(request.page_token or 0)
        names = [f"datasets/file.d{number:04}.1h" for number in range(2_500)]
        last = first + request.page_size
        return data_pb.ListDatasetsResponse(
            datasets=[Dataset(name=name, source="file") for name in names[first:last]],
            next_page_token=str(last) if last < len(names) else "",
        )

    async def GetDataset(self, request: data_pb.GetDatasetRequest, context: Any) -> Any:
        raise unknown("dataset", request.name, ["datasets/file.btc.1h"], "DATASET_UNKNOWN")

    async def DeleteDataset(self, request: data_pb.DeleteDatasetRequest, context: Any) -> Any:
        raise RuntimeError("a defect")

    async def SyncDataset(
        self, request: data_pb.SyncDatasetRequest, context: Any
    ) -> AsyncIterator[Any]:
        self.synced.append(request)
        yield data_pb.SyncDatasetResponse(fetched_row_count=100, expected_row_count=8_784)
        yield data_pb.SyncDatasetResponse(
            fetched_row_count=8_784,
            expected_row_count=8_784,
            dataset=Dataset(name=request.name, source="synthetic", row_count=8_784),
        )

    async def ImportCandles(
        self, request_iterator: AsyncIterator[data_pb.ImportCandlesRequest], context: Any
    ) -> Any:
        self.imported = [request async for request in request_iterator]
        header = self.imported[0].header
        return data_pb.ImportCandlesResponse(dataset=Dataset(name=header.name, source="file"))


class Backtest(backtest_rpc.BacktestServiceServicer):
    """A backtest service with one strategy; it refuses fees and answers everything else."""

    def __init__(self) -> None:
        self.asked: list[backtest_pb.RunBacktestRequest] = []

    async def ListStrategies(self, request: Any, context: Any) -> Any:
        infos = [ParameterInfo(name="width", type=ParameterInfo.TYPE_DOUBLE)]
        return backtest_pb.ListStrategiesResponse(
            strategies=[Strategy(name="strategies/x", parameters=infos)]
        )

    async def RunBacktest(self, request: backtest_pb.RunBacktestRequest, context: Any) -> Any:
        if request.execution.HasField("taker_fee_bps"):
            raise fields_invalid(
                [
                    Violation("execution.taker_fee_bps", "too [bold]dear"),
                    Violation("snapshot", "no"),
                ]
            )
        if request.execution.HasField("slippage_bps"):
            raise AssayError(
                Code.UNAVAILABLE, "WORKER_BUSY", "every slot is busy", retry_after_ms=1_500
            )
        self.asked.append(request)
        undefined = metrics_pb2.UndefinedMetric(
            metric="win_rate_ratio", reason=metrics_pb2.UNDEFINED_REASON_NO_TRADES
        )
        return backtest_pb.RunBacktestResponse(
            metrics=metrics_pb2.Metrics(total_return_ratio=0.125, undefined=[undefined])
        )


@pytest.fixture
async def data(stand_in: Any) -> Data:
    """Serve the data service's stand-in."""
    servicer = Data()
    await stand_in("data", servicer)
    return servicer


@pytest.fixture
async def backtest(stand_in: Any) -> Backtest:
    """Serve the backtest service's stand-in."""
    servicer = Backtest()
    await stand_in("backtest", servicer)
    return servicer


async def test_an_unreachable_service_is_one_clear_line(assay: Any) -> None:
    """The line says which service, where it was looked for, and how to start it."""
    outcome = await assay("dataset", "list")

    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1
    assert (
        "cannot reach the data service at 127.0.0.1:1: start it with `assay serve`" in outcome.err
    )


async def test_an_unknown_setting_is_bad_usage(assay: Any) -> None:
    """A misspelt ASSAY_* name ends the command before anything is asked."""
    outcome = await assay("study", "list", ASSAY_OPTIMISER_ADDRESS="127.0.0.1:1")

    assert outcome.status == 2
    assert "did you mean ASSAY_OPTIMIZER_ADDRESS?" in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        ("dataset", "sync"),
        ("dataset", "show", "x", "--colour"),
        ("dataset", "import", "no-such-file.csv", "--name", "file.x.1h"),
        ("dataset", "sync", "x", "--start", "soon"),
        ("backtest", "run", "--dataset", "d", "--strategy", "s", "--set", "fast"),
        ("backtest", "run", "--dataset", "d", "--strategy", "s", "--execution", "luck=1"),
        ("study", "create", "no-such-file.yaml"),
        ("serve", "--ports", "1,2"),
        ("serve", "--workers", "0"),
        ("demo", "--data", "no-such-file.csv"),
        ("wander",),
    ],
)
def test_bad_usage_exits_with_two(words: tuple[str, ...]) -> None:
    """What is wrong with the words themselves is told before anything is asked."""
    outcome = CliRunner().invoke(app, words)

    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr


async def test_a_refusal_is_one_readable_block(assay: Any, data: Data) -> None:
    """Message, reason, particulars and request id, on stderr; exit status 1."""
    outcome = await assay("dataset", "show", "file.btx.1h")

    message, reason, *rest = outcome.err.splitlines()
    assert outcome.status == 1
    assert outcome.out == ""
    assert message == (
        "error: no dataset is called 'datasets/file.btx.1h'; did you mean datasets/file.btc.1h?"
    )
    assert reason == "  reason: DATASET_UNKNOWN (NOT_FOUND, data.assay)"
    assert rest[:2] == ["  dataset: datasets/file.btx.1h", "  nearest: datasets/file.btc.1h"]
    assert rest[2].startswith("  request_id: ")


async def test_every_violation_has_its_own_line(assay: Any, backtest: Backtest) -> None:
    """Nothing of a service's words is taken for markup."""
    words = ("backtest", "run", "--dataset", "d", "--strategy", "x")
    outcome = await assay(*words, "--execution", "taker_fee_bps=9999")

    assert outcome.status == 1
    assert outcome.err.splitlines()[:3] == [
        "error: 2 things are wrong with the request",
        "  - execution.taker_fee_bps: too [bold]dear",
        "  - snapshot: no",
    ]


async def test_with_json_an_error_is_json_too(assay: Any, backtest: Backtest) -> None:
    """One object on stderr with everything the service told."""
    words = ("backtest", "run", "--dataset", "d", "--strategy", "x", "--json")
    outcome = await assay(*words, "--execution", "slippage_bps=1")

    error = json.loads(outcome.err)["error"]
    assert outcome.status == 1
    assert error.pop("request_id")
    assert error == {
        "code": "UNAVAILABLE",
        "reason": "WORKER_BUSY",
        "domain": "backtest.assay",
        "message": "every slot is busy",
        "violations": [],
        "metadata": {},
        "retry_after_ms": 1_500,
    }


async def test_a_defect_names_the_request_to_look_for(assay: Any, data: Data) -> None:
    """A service's defect is told by its request id, once."""
    outcome = await assay("dataset", "delete", "file.x.1h")

    assert outcome.status == 1
    assert "reason: INTERNAL (INTERNAL, data.assay)" in outcome.err
    assert outcome.err.count("request_id: ") == 1


async def test_lists_follow_their_pages(assay: Any, data: Data) -> None:
    """Programs get everything as one answer, people the first fifty and a hint."""
    everything = await assay("dataset", "list", "--json")
    some = await assay("dataset", "list")
    three = await assay("dataset", "list", "--limit", "3", "--json")

    answer = Parse(everything.out, data_pb.ListDatasetsResponse())
    assert len({item.name for item in answer.datasets}) == 2_500
    assert answer.next_page_token == ""
    assert len(Parse(three.out, data_pb.ListDatasetsResponse()).datasets) == 3
    assert "datasets/file.d0049.1h" in some.out
    assert "datasets/file.d0050.1h" not in some.out
    assert "--limit 0 shows all" in some.out


async def test_what_is_piped_has_no_colour_and_no_moving_bar(assay: Any, data: Data) -> None:
    """A log file stays readable: progress is plain lines on stderr, the result is on stdout."""
    outcome = await assay("dataset", "sync", "synthetic.demo.1h", "--seed", "7")

    assert outcome.status == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.err.splitlines()[-1] == (
        "syncing datasets/synthetic.demo.1h: 8,784 of 8,784 rows"
    )
    assert "8,784" in outcome.out
    assert data.synced[0].synthetic.seed == 7
    assert not data.synced[0].HasField("window")


async def test_a_stream_is_one_json_object_a_line(assay: Any, data: Data) -> None:
    """Every message of a stream is one line, in protobuf's own names."""
    outcome = await assay(
        *("dataset", "sync", "datasets/x.1h", "--start", "2024-01-01", "--end", "2025-01-01"),
        "--json",
    )

    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.err == ""
    assert lines[0] == {"fetched_row_count": "100", "expected_row_count": "8784"}
    assert lines[1]["dataset"]["name"] == "datasets/x.1h"
    assert data.synced[0].window.start_time.seconds == 1_704_067_200
    assert not data.synced[0].HasField("synthetic")


async def test_an_import_sends_the_files_bytes(assay: Any, data: Data, tmp_path: Path) -> None:
    """A header first, then the file's own bytes in pieces of at most a mebibyte, in order."""
    content = gzip.compress(bytes(range(256)) * 16_384, compresslevel=0)
    file = tmp_path / "candles.csv.gz"
    file.write_bytes(content)

    outcome = await assay(
        *("dataset", "import", str(file), "--name", "file.x.1h", "--time-unit", "ms"),
        *("--accept", "gaps", "--accept", "out-of-order", "--column", "open_time=ts", "--json"),
    )

    header, *pieces = data.imported
    assert outcome.status == 0, outcome.err
    assert header.header == ImportHeader(
        name="datasets/file.x.1h",
        format=ImportHeader.FORMAT_CSV,
        time_unit=ImportHeader.TIME_UNIT_MILLISECONDS,
        columns={"open_time": "ts"},
        accept=[ImportHeader.ACCEPTANCE_GAPS, ImportHeader.ACCEPTANCE_OUT_OF_ORDER],
    )
    assert b"".join(piece.file_bytes for piece in pieces) == content
    assert max(len(piece.file_bytes) for piece in pieces) == 1 << 20


async def test_parameters_are_typed_by_the_strategy(assay: Any, backtest: Backtest) -> None:
    """`--set width=2` is the fraction 2.0 where the strategy says so; metrics are told in words."""
    outcome = await assay(
        *("backtest", "run", "--dataset", "d.1h", "--strategy", "x", "--set", "width=2"),
        *("--direction", "both", "--detail", "trades"),
    )

    asked = backtest.asked[0]
    assert outcome.status == 0, outcome.err
    assert asked.snapshot.dataset == "datasets/d.1h"
    assert asked.parameters[0].value.WhichOneof("kind") == "double_value"
    assert asked.detail == backtest_pb.DETAIL_TRADES
    assert "12.50 %" in outcome.out
    assert "undefined (no trades)" in outcome.out
