"""Words told by the extremes of their bars are those that comparing every bar gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from services.backtest.core.batch import evaluate
from services.backtest.core.evaluation.reading import Place, read_word, reading_of
from services.backtest.core.evaluation.workbench import Workbench
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.kernel import Numbers, inner
from services.backtest.core.parameters import ParameterInfo, ParameterType, Value
from services.backtest.core.planes import row_table
from services.backtest.core.planes.mean_order import bounding_factors, mean_order64
from services.backtest.core.planes.turns import turning
from services.backtest.core.sets import demands
from services.backtest.core.sets.chunks import ChunkMaker
from services.backtest.core.sets.comparing import Comparing
from services.backtest.core.sets.planning import SetPlan
from services.backtest.core.unowned import unowned
from services.common.frames import Candles
from services.common.intervals import Interval
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import sets_of, strategy_of

WHOLE = ParameterInfo("n", ParameterType.INT, "bars", "", 1.0, 400.0)
SETS: list[dict[str, Value]] = [{"n": n} for n in (1, 2, 9, 64, 130, 400)]
PAIRS = (
    ("sma(close, n)", "sma(close, 20)"),
    ("sma(close, n)", "sma(open, n)"),
    ("ema(close, n)", "sma(close, 30)"),
    ("close", "ema(close, n)"),
    ("highest(high, n)", "lowest(low, 5)"),
    ("sma(close, n)", "sma(close, 9)"),
)


def planes_of_turns(
    frame: Frame, left: str, right: str
) -> tuple[list[bool], npt.NDArray[np.bool_]]:
    """Return the planes of a pair of rows crossing, and for each chunk whether words were told."""
    strategy = strategy_of(
        parameters=(WHOLE,),
        enter_long=f"crosses_above({left}, {right})",
        exit_long=f"crosses_below({left}, {right})",
    )
    bench, execution = Workbench(frame), Execution()
    plan = SetPlan(strategy, Direction.LONG, sets_of(SETS), execution)
    (group,) = plan.groups()
    maker = ChunkMaker(bench, group, plan.combiner, execution)
    comparing = Comparing(bench)
    turns = turning(maker.code, group.signals)
    assert turns is not None
    chunks = list(maker.chunks())
    words = [comparing.planes(maker.code, chunk, turns=turns) for chunk in chunks]
    bits = [np.unpackbits(one.view(np.uint8), axis=2, bitorder="little") for one in words]
    told = [bool(comparing._readings(turns, chunk)) for chunk in chunks]
    whole = np.concatenate([one[:, :, : frame.bar_count] for one in bits], axis=1)
    return told, whole.astype(np.bool_)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("volatility", "decimals"), [(0.0003, 1), (0.004, 0), (0.01, None)])
def test_turns_of_long_windows_are_those_of_short_ones(
    monkeypatch: pytest.MonkeyPatch,
    pair: tuple[str, str],
    volatility: float,
    decimals: int | None,
) -> None:
    """Ties, whole stretches of them, and windows that begin or end inside a word included."""
    for seed, bars, window_start in ((1, 700, 0), (2, 9_000, 450), (3, 4_600, 455)):
        market = markets.candles(seed, bars, volatility=volatility, decimals=decimals)
        frame = markets.frame(market, window_start, 450)
        told, wanted = planes_of_turns(frame, *pair)
        assert not any(told)
        with monkeypatch.context() as patch:
            for module in (row_table, demands):
                patch.setattr(module, "LONGEST_WHOLE", 100)
            if bars < 1_000:
                patch.setattr(row_table, "_TILE", 64)
            told, found = planes_of_turns(frame, *pair)
        assert all(told) is (decimals is not None or "sma" not in "".join(pair))
        np.testing.assert_array_equal(found, wanted)


def test_rows_that_are_one_number_or_have_holes_are_compared_bar_by_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have no extremes to be told by; the planes are the same."""
    market = markets.candles(4, 700)
    still = Candles.from_columns([market.open_time_ms, *[np.full(700, 5.0)] * 5])
    for candles in (market, still):
        frame = Frame(candles, 0, Interval.HOUR_1, 1)
        _, wanted = planes_of_turns(frame, "close / (close - 100)", "rsi(close, n)")
        with monkeypatch.context() as patch:
            patch.setattr(row_table, "LONGEST_WHOLE", 100)
            patch.setattr(row_table, "_TILE", 64)
            _, found = planes_of_turns(frame, "close / (close - 100)", "rsi(close, n)")
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "place", [Place(3, 0, -3, 1.0), Place(7, 5, -2, 7.3), Place(0, 9, 70, 0.3)]
)
def test_extremes_are_those_of_the_values(place: Place) -> None:
    """Where all 64 bars have a value; elsewhere they are as wide as can be."""
    numbers = np.cumsum(np.random.default_rng(1).integers(0, 9, 600)).astype(np.float64)
    bars = 580
    reading = reading_of(numbers, place, bars)
    values = np.empty(640)
    for bar in range(0, 640, 64):
        read_word(numbers, place, bar, bars, values[bar : bar + 64])
    for bar in range(bars):
        at = place.first + bar
        value = numbers[at]
        if place.period:
            value = (numbers[at + 1] - numbers[at + 1 - place.period]) / place.divisor
        if bar < place.defined:
            value = np.nan
        np.testing.assert_array_equal(values[bar], value)
    assert np.isnan(values[bars:]).all()
    assert len(reading.lows) == 64
    for word in range(64):
        own = values[word * 64 : word * 64 + 64]
        sound = len(own) == 64 and not np.isnan(own).any()
        assert reading.lows[word] == (own.min() if sound else -np.inf)
        assert reading.highs[word] == (own.max() if sound else np.inf)


def test_sets_traded_by_lists_of_their_turns_have_the_metrics_of_those_traded_by_planes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On either side, with stops; what is laid out for a set is cleared before the next one's."""
    strategy = strategy_of(
        parameters=(WHOLE,),
        enter_long="crosses_above(sma(close, n), sma(close, 20))",
        exit_long="crosses_below(sma(close, n), sma(close, 20))",
        enter_short="crosses_below(sma(close, n), sma(close, 20))",
        exit_short="crosses_above(sma(close, n), sma(close, 20))",
    )
    market = markets.candles(5, 4_600, volatility=0.004, decimals=1)
    execution = Execution(stop_loss_ratio=0.02, trailing_stop_ratio=0.03)
    wanted = ("total_return_ratio", "trade_count", "max_drawdown_ratio", "turnover_ratio")

    def run(direction: Direction) -> list[npt.NDArray[np.float64]]:
        frame = markets.frame(market, 455, 450)
        result = evaluate(
            frame, strategy, direction, sets_of(SETS), execution, wanted, lambda: False
        )
        assert not result.failures
        assert result.values["trade_count"].min() > 0
        return [result.values[name] for name in wanted]

    for direction in (Direction.LONG, Direction.SHORT):
        by_planes = run(direction)
        with monkeypatch.context() as patch:
            for module in (row_table, demands):
                patch.setattr(module, "LONGEST_WHOLE", 100)
            np.testing.assert_array_equal(run(direction), by_planes)


def test_means_are_told_apart_without_dividing_only_where_they_differ() -> None:
    """Equal means are never told apart, and whatever is told is what dividing tells."""

    @inner
    def order(a: Numbers, b: Numbers, factors: Numbers) -> tuple[np.uint64, np.uint64]:
        one, other = factors
        return mean_order64(unowned(a), 5, 0, one[0], one[1], unowned(b), 7, 0, other[0], other[1])

    rng = np.random.default_rng(2)
    divisors = np.array([0.3, 0.7])
    for most in (2, 9, 2**40):
        a, b = (np.cumsum(rng.integers(0, most, 80)).astype(np.float64) for _ in range(2))
        words = order(a, b, bounding_factors(divisors))
        above, below = (
            np.unpackbits(np.array([word], np.uint64).view(np.uint8), bitorder="little") != 0
            for word in words
        )
        means = (a[5:69] - a[:64]) / divisors[0], (b[7:71] - b[:64]) / divisors[1]
        np.testing.assert_array_equal(above, means[0] > means[1])
        np.testing.assert_array_equal(below, means[0] < means[1])
