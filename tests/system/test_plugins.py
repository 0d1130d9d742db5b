"""Plug-ins installed beside a real worker: the example package, and one that cheats."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.data.v1 import data_service_pb2
from google.protobuf import json_format

from services.common.frames import Candles
from services.common.frames_codec import from_proto, ms_from_timestamp

Numbers = npt.NDArray[np.float64]

REPOSITORY = Path(__file__).resolve().parents[2]
DATASET = "datasets/synthetic.system.1h"
WINDOW = {"start_time": "2024-02-01T00:00:00Z", "end_time": "2024-05-01T00:00:00Z"}
SNAPSHOT = {"dataset": DATASET, "window": WINDOW}
PERIOD = 12

STRAIGHT = {
    "parameters": [{"name": "period", "type": "TYPE_INT", "minimum": 2, "maximum": 100}],
    "terms": [{"name": "straight", "expression": "efficiency_ratio(close, period)"}],
    "enter_long": "straight > 0.5 and close > shift(close, period)",
    "exit_long": "straight < 0.2",
}

CHEAT = """
import numpy as np
from numba import njit
from services.backtest.core.plugins import bars, indicator

@njit(nogil=True)
def next_value(values):
    out = values.copy()
    out[:-1] = values[1:]
    return out

@njit(nogil=True)
def fragile(values, period):
    return values.copy() if period != 7 else values[1:].copy()

PLUGINS = (
    indicator("tomorrow", "The next value.", kernel=next_value, series=("series",),
              lookback=lambda: 0, lookback_text="0"),
    indicator("fragile", "Loses a value where period is 7.", kernel=fragile, series=("series",),
              parameters=(bars("period", "Bars.", 3),),
              lookback=lambda period: 0, lookback_text="0"),
)
"""


def write_package(folder: Path, name: str, text: str) -> None:
    """Write an installed package of one module with an entry point, as pip leaves it."""
    (folder / f"{name}.py").write_text(text)
    told = folder / f"{name}-0.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (told / "entry_points.txt").write_text(f"[assay.indicators]\nall = {name}:PLUGINS\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example and the cheat into a folder of their own."""
    folder = tmp_path_factory.mktemp("plugins")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder)),
            str(REPOSITORY / "examples" / "indicator_plugin"),
        ],
        check=True,
    )
    write_package(folder, "cheat", CHEAT)
    return folder


@pytest.fixture(scope="module")
def system(start_shared_system: Any, installed: Path) -> Any:
    """Start services whose worker finds the plug-ins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed))
        return start_shared_system()


def candles_of(system: Any, lookback: int) -> tuple[Candles, int]:
    """Return the window's candles with some before it, and how many those are."""
    request = json_format.ParseDict(
        {"snapshot": SNAPSHOT | {"lookback_bar_count": lookback}},
        data_service_pb2.ReadCandlesRequest(),
    )
    header, *pieces = system.data_stub.ReadCandles(request, timeout=60)
    candles = Candles.concatenate(from_proto(piece.candles) for piece in pieces)
    return candles, header.header.lookback_row_count


def run(system: Any, strategy: dict[str, Any], **fields: Any) -> pb.RunBacktestResponse:
    """Run a strategy with the period over the window."""
    request = {
        "snapshot": SNAPSHOT,
        "strategy": strategy,
        "parameters": [{"name": "period", "value": {"int_value": PERIOD}}],
        **fields,
    }
    answer: pb.RunBacktestResponse = system.backtest_stub.RunBacktest(
        json_format.ParseDict(request, pb.RunBacktestRequest()), timeout=120
    )
    return answer


def test_a_worker_tells_what_its_plugins_bring(system: Any, grid_spec: dict[str, Any]) -> None:
    """Indicators name their package, strategies are listed, and the version of the code grows."""
    indicators = system.backtest_stub.ListIndicators(pb.ListIndicatorsRequest(), timeout=10)
    strategies = system.backtest_stub.ListStrategies(pb.ListStrategiesRequest(), timeout=10)
    status = system.backtest_stub.GetWorkerStatus(pb.GetWorkerStatusRequest(), timeout=10)
    grid_spec["strategy"] = {"name": "strategies/channel_reversal"}
    grid_spec["parameters"] = [{"name": "period", "int_range": {"low": 5, "high": 20}}]
    grid_spec["constraints"] = []
    study = system.watch(system.create("reversals", grid_spec).name)

    brought = {one.name: (one.signature, one.plugin) for one in indicators.indicators if one.plugin}
    assert brought == {
        "channel_reversal": ("channel_reversal(period = 20)", "trend-plugin"),
        "efficiency_ratio": ("efficiency_ratio(series, period = 10)", "trend-plugin"),
        "fragile": ("fragile(series, period = 3)", "cheat"),
        "tomorrow": ("tomorrow(series)", "cheat"),
    }
    assert "strategies/channel_reversal" in {one.name for one in strategies.strategies}
    assert status.code_version.endswith("+cheat==0.1+trend-plugin==1.0.0")
    assert study.code_version == status.code_version
    assert study.progress.finished_trial_count == 16
    assert study.progress.failed_trial_count == 0


def test_an_indicator_of_a_plugin_decides_as_the_same_in_numpy(system: Any) -> None:
    """Entries and exits are those of the ratio computed here, one bar later."""
    answer = run(system, {"definition": STRAIGHT}, detail="DETAIL_TRADES")

    candles, first = candles_of(system, PERIOD)
    close = candles.close
    moves = np.abs(np.diff(close))
    ways = np.zeros(len(close) - PERIOD)
    for offset in range(PERIOD):
        ways += moves[offset : offset + len(ways)]
    change = close[PERIOD:] - close[:-PERIOD]
    straight = np.abs(change) / ways
    wanted = []
    held = None
    for bar in range(len(straight) - 1):
        if held is None and straight[bar] > 0.5 and change[bar] > 0:
            held = bar + 1
        elif held is not None and straight[bar] < 0.2:
            wanted.append((held, bar + 1))
            held = None
    times = candles.open_time_ms[first:]
    assert first == PERIOD
    closed = [trade for trade in answer.trades if trade.HasField("exit_time")]
    assert [
        (ms_from_timestamp(trade.entry_time), ms_from_timestamp(trade.exit_time))
        for trade in closed
    ] == [(times[entry], times[leave]) for entry, leave in wanted]
    assert len(closed) > 10


def positions(candles: Candles) -> list[int]:
    """Return the position decided at every close, the channel's breaks taken one by one."""
    found, position = [], 0
    for bar in range(len(candles)):
        before = slice(bar - PERIOD, bar)
        if bar >= PERIOD and candles.close[bar] > candles.high[before].max():
            position = 1
        elif bar >= PERIOD and candles.close[bar] < candles.low[before].min():
            position = -1
        found.append(position)
    return found


def test_a_position_function_is_traded_as_it_says(system: Any) -> None:
    """Every bar holds the side that was decided at the close before it."""
    strategy = {"name": "strategies/channel_reversal", "direction": "DIRECTION_BOTH"}

    answer = run(system, strategy, detail="DETAIL_EQUITY_CURVE")

    candles, first = candles_of(system, 10 * PERIOD)
    wanted = positions(candles)[first:]
    held = np.sign(answer.equity_curve.position_base)
    assert held.tolist() == [0, *wanted[:-1]]
    assert {-1, 1} <= set(wanted)
    assert answer.snapshot.lookback_bar_count == 10 * PERIOD
    text = json_format.MessageToDict(
        next(
            one.definition
            for one in system.backtest_stub.ListStrategies(pb.ListStrategiesRequest()).strategies
            if one.name == strategy["name"]
        )
    )
    copied = run(system, {"definition": text, "direction": "DIRECTION_BOTH"})
    assert copied.metrics == answer.metrics


def test_look_ahead_of_a_plugin_is_found_and_honest_ones_are_cleared(system: Any) -> None:
    """The next value changes when it is taken away; the example's functions do not."""

    def differences(strategy: dict[str, Any], **fields: Any) -> pb.CheckLookAheadResponse:
        request = {"snapshot": SNAPSHOT, "strategy": strategy, **fields}
        answer: pb.CheckLookAheadResponse = system.backtest_stub.CheckLookAhead(
            json_format.ParseDict(request, pb.CheckLookAheadRequest()), timeout=120
        )
        assert answer.cut_count == 32
        return answer

    period = [{"name": "period", "value": {"int_value": PERIOD}}]
    cheating = differences({"definition": {"enter_long": "tomorrow(close) > close"}})
    straight = differences({"definition": STRAIGHT}, parameters=period)
    turning = differences(
        {"name": "strategies/channel_reversal", "direction": "DIRECTION_BOTH"}, parameters=period
    )

    assert not straight.differences
    assert not turning.differences
    assert cheating.differences
    for one in cheating.differences:
        assert (one.signal, one.whole_value, one.cut_value) == ("enter_long", 1, 0)
        assert one.bar_time == one.cut_time


def test_a_plugin_that_breaks_its_word_fails_its_own_sets_only(system: Any) -> None:
    """A column of the wrong length is a failure of that set; its neighbours and the worker live."""
    definition = {
        "parameters": STRAIGHT["parameters"],
        "enter_long": "close >= fragile(close, period)",
    }
    request = {
        "snapshot": SNAPSHOT,
        "strategy": {"definition": definition},
        "set_count": 3,
        "columns": [{"name": "period", "int_values": {"values": [6, 7, 8]}}],
        "metrics": ["trade_count", "exposure_ratio"],
    }
    answer = system.backtest_stub.RunBacktestBatch(
        json_format.ParseDict(request, pb.RunBacktestBatchRequest()), timeout=120
    )

    (failure,) = answer.failures
    assert (failure.index, failure.reason) == (1, "SET_FAILED")
    assert "fragile of cheat gave 2,159 values for 2,160 bars" in failure.message
    assert len(answer.columns[1].values) == 2


def test_a_worker_does_not_start_with_a_plugin_it_cannot_use(tmp_path: Path) -> None:
    """It ends at once, with one line that names package and entry point."""
    write_package(tmp_path, "broken", "import a_module_nobody_has\n")

    ended = subprocess.run(
        [sys.executable, "-m", "services.backtest"],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "ASSAY_LISTEN_ADDRESS": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line == (
        'services.backtest: plug-in broken 0.1, entry point "all": cannot be loaded: '
        "ModuleNotFoundError: No module named 'a_module_nobody_has'"
    )
