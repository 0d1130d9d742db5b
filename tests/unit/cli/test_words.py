"""Words on the command line: times, names, typed parameters, execution fields, ports."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from assay.backtest.v1.backtest_service_pb2 import ListStrategiesResponse
from assay.backtest.v1.execution_pb2 import ExecutionModel
from assay.backtest.v1.strategy_pb2 import ParameterInfo, ParameterValue, Strategy
from typer import BadParameter

from cli import dataset_file, figures, options, parameters
from cli.file_interval import interval_of
from cli.serve import ports_of
from services.common.intervals import Interval

TYPES = parameters.types_of(
    ListStrategiesResponse(
        strategies=[
            Strategy(
                name="strategies/x",
                parameters=[
                    ParameterInfo(name="period", type=ParameterInfo.TYPE_INT),
                    ParameterInfo(name="width", type=ParameterInfo.TYPE_DOUBLE),
                    ParameterInfo(name="average", type=ParameterInfo.TYPE_CATEGORY),
                ],
            )
        ],
        execution_parameters=[
            ParameterInfo(name="stop_loss_ratio", type=ParameterInfo.TYPE_DOUBLE)
        ],
    ),
    "strategies/x",
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("period", "20", ParameterValue(int_value=20)),
        ("width", "2", ParameterValue(double_value=2.0)),
        ("stop_loss_ratio", "1e-2", ParameterValue(double_value=0.01)),
        ("average", "7", ParameterValue(category_value="7")),
        ("period", "2.5", ParameterValue(double_value=2.5)),
        ("period", "many", ParameterValue(category_value="many")),
        ("nameless", "3", ParameterValue(int_value=3)),
    ],
)
def test_a_value_has_the_type_of_its_parameter(name: str, text: str, value: ParameterValue) -> None:
    """A whole number for a fractional parameter is a fraction; misfits go to the service."""
    assert parameters.assignment(name, text, TYPES).value == value


@pytest.mark.parametrize("word", ["fast_period", "=3", "fast_period="])
def test_a_setting_has_a_name_and_a_value(word: str) -> None:
    """A word that is no NAME=VALUE is refused."""
    with pytest.raises(BadParameter):
        parameters.split(word, "--set")


def test_execution_fields_are_read_by_their_contract_names() -> None:
    """Numbers, switches and the short words of enums."""
    words = ["taker_fee_bps=2", "close_at_end=true", "intrabar_policy=target_first"]

    assert parameters.execution_model(words) == ExecutionModel(
        taker_fee_bps=2.0,
        close_at_end=True,
        intrabar_policy=ExecutionModel.INTRABAR_POLICY_TARGET_FIRST,
    )
    assert parameters.execution_model([]) is None


@pytest.mark.parametrize(
    "word", ["stop_loss=0.1", "taker_fee_bps=cheap", "close_at_end=maybe", "intrabar_policy=luck"]
)
def test_a_wrong_execution_field_is_refused(word: str) -> None:
    """Unknown fields and unreadable values never reach the service."""
    with pytest.raises(BadParameter):
        parameters.execution_model([word])


def test_every_unknown_execution_field_is_told() -> None:
    """One run of the command shows all of them."""
    with pytest.raises(BadParameter, match=r"stop_los: .* stop_loss_ratio\?; .*fee: no such field"):
        parameters.execution_model(["stop_los=0.1", "close_at_end=true", "fee=2"])


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2024-01-01", 1_704_067_200_000),
        ("2024-01-01T01:00:00.250Z", 1_704_070_800_250),
        ("2024-01-01T00:00:00+02:00", 1_704_060_000_000),
        ("1969-12-31T23:59:59.999", -1),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, ms: int) -> None:
    """Dates, times, zones, and times before the epoch."""
    assert options.time_ms(text) == ms


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2024-01-01T00:00:00.0001"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Also what is finer than the contract's milliseconds."""
    with pytest.raises(BadParameter):
        options.time_ms(text)


def test_names_do_with_and_without_their_collection() -> None:
    """Both forms mean the same resource."""
    assert options.dataset_name("a.b.1h") == options.dataset_name("datasets/a.b.1h")
    assert options.study_name("x") == "studies/x"


@pytest.mark.parametrize("text", ["1,2", "1,2,x", "5,5,6", "1,2,70000", "1,2,-3", ""])
def test_ports_are_three_different_ones(text: str) -> None:
    """Anything else is refused before a process starts."""
    with pytest.raises(BadParameter):
        ports_of(text)
    assert ports_of("0,0,50053") == (0, 0, 50053)


def test_a_files_form_is_told_by_its_name(tmp_path: Path) -> None:
    """CSV, compressed or not, and Parquet; others need --format."""
    forms = {name: dataset_file.format_of(tmp_path / name) for name in ("a.csv.gz", "B.PARQUET")}

    assert forms == {
        "a.csv.gz": dataset_file.Format.CSV,
        "B.PARQUET": dataset_file.Format.PARQUET,
    }
    with pytest.raises(BadParameter):
        dataset_file.format_of(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    ("lines", "interval"),
    [
        ("timestamp_ms,open\n1704067200000,1\n1704070800000,1\n", Interval.HOUR_1),
        ("open,Time\n1,1704067200\n1,1704067500\n", Interval.MINUTE_5),
        ("date,close\n2024-01-01,1\n2024-01-02,1\n2024-01-04,1\n2024-01-05,1\n", Interval.DAY_1),
        ("date,close\n2024-01-01,1\n2024-02-01,1\n2024-03-01,1\n", Interval.MONTH_1),
        ("day,close\n2024-01-01 00:00:00,1\n2024-01-01 00:15:00,1\n", Interval.MINUTE_15),
        ("timestamp_ms,open\n1704067200000,1\n1704067207000,1\n", None),
        ("timestamp_ms,open\n0,1\n", None),
        ("", None),
    ],
)
def test_a_file_tells_its_interval(tmp_path: Path, lines: str, interval: Interval | None) -> None:
    """The most frequent distance of times; None where there is none or it is no interval."""
    file = tmp_path / "candles.csv.gz"
    file.write_bytes(gzip.compress(lines.encode()))

    assert interval_of(file) is interval


def test_numbers_are_told_as_people_read_them() -> None:
    """Fractions as percents, money to the cent, counts whole; other ratios stay numbers."""
    told = [
        figures.metric_value("total_return_ratio", 0.1234),
        figures.metric_value("sharpe_ratio", 1.23456),
        figures.metric_value("fees_quote", 1234.5),
        figures.metric_value("trade_count", 1234),
    ]

    assert told == ["12.34 %", "1.235", "1,234.50", "1,234"]


@pytest.mark.parametrize(
    ("minimum", "maximum", "told"),
    [
        (1.0, 100_000.0, "1 to 100,000"),
        (0.0, 100.0, "0 to 100"),
        (5e-324, 1.0, "above 0, up to 1"),
        (5e-324, 0.9999999999999999, "above 0, below 1"),
        (0.0, 0.9999999999999999, "from 0, below 1"),
        (None, 2.5, "any to 2.5"),
    ],
)
def test_bounds_that_are_not_allowed_themselves_are_told_as_such(
    minimum: float | None, maximum: float, told: str
) -> None:
    """Nobody has to know which number is next to zero or to one."""
    info = ParameterInfo(type=ParameterInfo.TYPE_DOUBLE, minimum=minimum, maximum=maximum)
    assert figures.allowed(info) == told
