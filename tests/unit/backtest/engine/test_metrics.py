"""Metrics: their names, daily observations, examples worked by hand, powers."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
from assay.backtest.v1 import backtest_service_pb2, execution_pb2, metrics_pb2, strategy_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core import market as market_module
from services.backtest.core.execution import (
    EXECUTION_PARAMETERS,
    SIZES,
    Direction,
    Execution,
    IntrabarPolicy,
    TargetFill,
)
from services.backtest.core.measures.powers import power_less_one
from services.backtest.core.metrics import INTEGER_METRICS, METRIC_NAMES, UndefinedReason
from services.backtest.core.parameters import ParameterType
from services.backtest.core.single import ExitReason
from services.common.frames import Candles
from services.common.intervals import DAY_MS, Interval
from tests.unit.backtest import markets
from tests.unit.backtest.engine.engine_room import BUY, flat, play


def test_metrics_are_the_contracts_in_its_order() -> None:
    """Names, order and whole numbers are those of the message Metrics."""
    fields = [field for field in metrics_pb2.Metrics.DESCRIPTOR.fields if field.name != "undefined"]
    assert list(METRIC_NAMES) == [field.name for field in fields]
    whole = {field.name for field in fields if field.cpp_type == field.CPPTYPE_INT64}
    assert whole == INTEGER_METRICS


def test_numbers_of_choices_are_the_contracts() -> None:
    """Every enum of the core has the contract's numbers."""
    trade = backtest_service_pb2.Trade
    model = execution_pb2.ExecutionModel
    info = strategy_pb2.ParameterInfo
    for ours, theirs, prefix in (
        (UndefinedReason, metrics_pb2.UndefinedReason, "UNDEFINED_REASON_"),
        (ExitReason, trade.ExitReason, "EXIT_REASON_"),
        (Direction, strategy_pb2.Direction, "DIRECTION_"),
        (IntrabarPolicy, model.IntrabarPolicy, "INTRABAR_POLICY_"),
        (TargetFill, model.TargetFill, "TARGET_FILL_"),
        (ParameterType, info.Type, "TYPE_"),
    ):
        named = {name.removeprefix(prefix): number for name, number in theirs.items()}
        assert {m.name: int(m) for m in ours if m} == {
            name: number for name, number in named.items() if number
        }


def test_execution_fields_are_the_contracts() -> None:
    """The model has the contract's fields in its order, the instrument's rules among them.

    Series are no part of it. Those that can be searched are the fields that say so.
    """
    series = {"funding", "mark", "detail"}
    rules = [field.name for field in execution_pb2.InstrumentRules.DESCRIPTOR.fields]
    fields: list[str] = []
    for field in execution_pb2.ExecutionModel.DESCRIPTOR.fields:
        if field.name not in series:
            fields += rules if field.name == "instrument" else [field.name]
    assert list(Execution.__dataclass_fields__) == fields
    searchable = {info.name for info in EXECUTION_PARAMETERS}
    assert searchable == {
        *SIZES,
        "stop_loss_ratio",
        "take_profit_ratio",
        "trailing_stop_ratio",
        "trailing_activation_ratio",
        "leverage",
    }


def midnights(
    start_ms: int, bars: int, interval: Interval, skip: set[int] | None = None
) -> list[int]:
    """Return the bars that tell the equity at each midnight of a window."""
    times = [start_ms]
    while len(times) < bars:
        times.append(interval.next_open_ms(times[-1]))
    times = [time for bar, time in enumerate(times) if bar not in (skip or set())]
    price = np.full(len(times), 100.0)
    candles = Candles.from_columns([times, price, price, price, price, price])
    frame = markets.frame(candles, 0, 0, interval)
    return [int(bar) for bar in market_module.market_of(frame).span.midnights]


def test_the_capital_is_the_first_observation_of_a_window_that_starts_at_midnight() -> None:
    """Two whole days of hours: before the first bar, and after bars 23 and 47."""
    assert midnights(markets.START_MS, 48, Interval.HOUR_1) == [-1, 23, 47]


def test_partial_first_and_last_days_are_dropped() -> None:
    """From 05:00 to 03:00 two days later only the midnights between count."""
    start_ms = markets.START_MS + 5 * 3_600_000
    assert midnights(start_ms, 46, Interval.HOUR_1) == [18, 42]


def test_a_midnight_without_a_bar_takes_the_last_close_before_it() -> None:
    """Missing hours around a midnight leave equity as it was."""
    assert midnights(markets.START_MS, 48, Interval.HOUR_1, skip={22, 23, 24}) == [-1, 21, 44]


def test_bars_of_a_day_and_more_close_at_midnights() -> None:
    """Days tell one each; weeks and months keep their level until the next close."""
    assert midnights(markets.START_MS, 3, Interval.DAY_1) == [-1, 0, 1, 2]
    assert midnights(markets.START_MS, 2, Interval.WEEK_1) == [-1] * 7 + [0] * 7 + [1]
    february = markets.START_MS + 31 * DAY_MS
    assert midnights(february, 1, Interval.MONTH_1) == [-1] * 29 + [0]


def measured(equity: list[float]) -> dict[str, float | str]:
    """Return the metrics of equity at the closes of days that begin with 100.

    The curve is made by holding one unit from the second open on.
    """
    bars = [flat(100.0), *((close, close, close, close) for close in equity)]
    if equity:
        bars[1] = (100.0, *bars[1][1:])
    model = Execution(initial_capital_quote=100.0, taker_fee_bps=0.0, position_quantity_base=1.0)
    played = play(bars, {0: BUY}, model, interval=Interval.DAY_1)
    told = played.recorded
    assert told.finite
    return {
        name: UndefinedReason(int(reason)).name if reason else float(value)
        for name, value, reason in zip(METRIC_NAMES, told.values, told.reasons, strict=True)
    }


def test_ratios_of_a_short_curve_by_hand() -> None:
    """Returns 0 %, 10 %, -10 %, 0 %, 10 %: every daily ratio worked out."""
    known = measured([110.0, 99.0, 99.0, 108.9])
    returns = [0.0, 0.1, -0.1, 0.0, 0.1]
    deviation = (sum((x - 0.02) ** 2 for x in returns) / 4) ** 0.5
    assert known["sharpe_ratio"] == pytest.approx(0.02 / deviation * 365**0.5)
    assert known["bar_sharpe_ratio"] == pytest.approx(known["sharpe_ratio"])
    assert known["annualized_volatility_ratio"] == pytest.approx(deviation * 365**0.5)
    assert known["sortino_ratio"] == pytest.approx(0.02 / (0.01 / 5) ** 0.5 * 365**0.5)
    assert known["omega_ratio"] == pytest.approx(2.0)
    assert known["value_at_risk_95_ratio"] == pytest.approx(-0.08)
    assert known["conditional_value_at_risk_95_ratio"] == pytest.approx(-0.1)
    assert known["tail_ratio"] == pytest.approx(0.1 / 0.08)
    assert known["max_drawdown_ratio"] == pytest.approx(0.1)
    assert known["max_drawdown_duration_bars"] == 3
    assert known["max_drawdown_recovered"] == 0
    ulcer = ((0.1**2 + 0.1**2 + 0.01**2) / 6) ** 0.5
    assert known["ulcer_index_ratio"] == pytest.approx(ulcer)


def test_the_longest_drawdown_is_told_with_its_recovery() -> None:
    """From the last bar at the peak to the first bar back at it; the first of equals counts."""
    known = measured([100.0, 120.0, 120.0, 110.0, 110.0, 120.0, 130.0, 125.0, 125.0, 125.0])
    assert known["max_drawdown_duration_bars"] == 3
    assert known["max_drawdown_recovered"] == 1


def test_numbers_that_need_what_is_not_there_say_why() -> None:
    """One day, equal days, days without losses, ruin: each has its reason."""
    one = measured([])
    assert one["sharpe_ratio"] == one["bar_sharpe_ratio"] == "TOO_FEW_OBSERVATIONS"
    assert one["skewness"] == "NO_VARIANCE"
    rising = measured([110.0, 121.0, 140.0])
    assert rising["sortino_ratio"] == rising["omega_ratio"] == "NO_LOSSES"
    assert rising["max_drawdown_recovered"] == "NO_DRAWDOWN"
    level = measured([100.0, 100.0])
    assert level["sharpe_ratio"] == level["excess_kurtosis"] == "NO_VARIANCE"
    assert level["bar_sharpe_ratio"] == "NO_VARIANCE"
    assert level["annualized_volatility_ratio"] == 0.0
    ruined = measured([50.0, 0.0, 0.0])
    assert ruined["sharpe_ratio"] == ruined["tail_ratio"] == ruined["bar_sharpe_ratio"] == "RUINED"
    assert ruined["max_drawdown_ratio"] == 1.0
    assert ruined["ulcer_index_ratio"] == pytest.approx(((0.25 + 2.0) / 5) ** 0.5)


@settings(max_examples=300, deadline=None)
@given(
    base=st.floats(1e-12, 1e12) | st.floats(0.99, 1.01) | st.floats(1e-300, 1e250),
    exponent=st.floats(0.01, 1.0) | st.just(365.25 / 366.0) | st.just(365.25 / 30.0),
)
def test_powers_are_right_to_the_last_digit(base: float, exponent: float) -> None:
    """The result is within one unit in the last place of the true value."""
    getcontext().prec = 80
    true = (Decimal(base).ln() * Decimal(exponent)).exp() - 1
    told = power_less_one(base, exponent)
    if true > Decimal("1.7e308"):
        assert told == np.inf
        return
    assert abs(Decimal(told) - true) <= Decimal(float(np.spacing(abs(float(true)))))
