"""The core on a recorded year of hourly bitcoin: known facts and frozen numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from services.backtest.core.batch import evaluate
from services.backtest.core.evaluation.workbench import workbench_of
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.frame import Frame
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.planes.turns import turning
from services.backtest.core.sets.chunks import ChunkMaker
from services.backtest.core.sets.comparing import Comparing
from services.backtest.core.sets.parameter_sets import ParameterSets
from services.backtest.core.sets.planning import SetPlan
from services.backtest.core.single import run
from services.backtest.core.strategies import STRATEGIES
from services.common.frames import Candles
from services.common.intervals import Interval

CROSSOVER = STRATEGIES["ma_crossover"]
FAST, SLOW = range(5, 55), range(20, 217, 4)

FROZEN_TRADES: Final = [
    282,
    266,
    256,
    252,
    252,
    261,
    255,
    263,
    269,
    271,
    286,
    310,
    352,
    421,
    576,
    0,
    562,
    393,
    322,
    284,
    253,
    226,
    207,
    197,
    189,
    179,
    178,
    168,
    161,
    157,
    149,
    142,
    141,
    134,
    127,
    127,
    124,
    122,
    117,
    114,
    112,
    107,
    109,
    110,
    110,
    104,
    100,
    101,
    99,
    95,
]
FROZEN_RETURNS: Final = [
    -0.129606314047,
    -0.174413480241,
    -0.061636786307,
    -0.038328767454,
    -0.090824080396,
    -0.153143024931,
    -0.19754205563,
    -0.277169715649,
    -0.236493811971,
    -0.207454166325,
    -0.054182370817,
    -0.105686160042,
    -0.130282144698,
    -0.193984838561,
    -0.41925375806,
    0.0,
    -0.611678474687,
    -0.511459520503,
    -0.393442945363,
    -0.351920243477,
    -0.20432049831,
    0.12905814642,
    0.03964391584,
    0.240845851487,
    0.413424553321,
    0.460561498374,
    0.419339133127,
    0.369800438258,
    0.338393731477,
    0.429567395493,
    0.377988351465,
    0.259404511232,
    0.241978653096,
    0.154509345716,
    0.20601703411,
    0.208786381559,
    0.145819726863,
    0.141080764587,
    0.178778356229,
    0.289026347601,
    0.207115512211,
    0.152473060579,
    0.110087474908,
    0.159714276028,
    0.121233983329,
    0.12471470354,
    0.066137577137,
    0.033416338705,
    0.117749162362,
    0.137656858326,
]


@pytest.fixture
def year(bitcoin_2024: Candles) -> Frame:
    """The whole year as one window at the dataset's start."""
    return Frame(bitcoin_2024, 0, Interval.HOUR_1, 216)


def test_buying_and_holding_is_the_years_move_less_one_fee(year: Frame) -> None:
    """Bought at the second open, valued at the last close of 8,784 bars."""
    result = run(year, STRATEGIES["buy_and_hold"], Direction.LONG, {}, Execution())
    candles = year.candles
    assert len(candles) == len(result.equity) == 8_784
    held = 1.0 / (candles.open[1] * 1.00055)
    fee = held * candles.open[1] * 0.00055
    expected = 1.0 - fee + held * (candles.close[-1] - candles.open[1])
    assert result.metrics["total_return_ratio"] == pytest.approx(expected - 1.0, rel=1e-12)
    assert result.metrics["cagr_ratio"] == pytest.approx(
        expected ** (365.25 / 366) - 1.0, rel=1e-12
    )
    closes = np.concatenate(([10_000.0], result.equity[23::24]))
    returns = closes[1:] / closes[:-1] - 1.0
    assert len(returns) == 366
    sharpe = returns.mean() / returns.std(ddof=1) * np.sqrt(365.0)
    assert result.metrics["sharpe_ratio"] == pytest.approx(sharpe, rel=1e-9)


def grid() -> ParameterSets:
    """Return the 2,500 sets of the reference grid, the slow period varying fastest."""
    fast, slow = np.meshgrid(FAST, SLOW, indexing="ij")
    return ParameterSets(fast.size, {"fast_period": fast.ravel(), "slow_period": slow.ravel()})


def planes_of_the_grid(year: Frame, *, turns: bool) -> npt.NDArray[np.bool_]:
    """Return the bits of enter_long and exit_long, shape (2, sets, bars)."""
    bench, costs = workbench_of(year), Execution()
    plan = SetPlan(CROSSOVER, Direction.LONG, grid(), costs)
    (group,) = plan.groups()
    maker = ChunkMaker(bench, group, plan.combiner, costs)
    comparing = Comparing(bench)
    rows = turning(maker.code, group.signals) if turns else None
    words = [comparing.planes(maker.code, chunk, turns=rows) for chunk in maker.chunks()]
    bits = np.unpackbits(np.concatenate(words, axis=1).view(np.uint8), axis=2, bitorder="little")
    return bits[:, :, : year.bar_count].astype(np.bool_)


def test_crossings_of_the_grid_are_those_of_whole_numbers(year: Frame) -> None:
    """Ties of averages on real ticks fall as exact arithmetic says, in all 2,500 sets."""
    ticks = np.round(year.candles.close * 10).astype(np.int64)
    assert (ticks / 10 == year.candles.close).all()
    sums = np.concatenate(([0], np.cumsum(ticks)))
    count = len(ticks)
    planes = planes_of_the_grid(year, turns=False)
    quick = planes_of_the_grid(year, turns=True)
    ties = 0
    for number, (fast, slow) in enumerate((fast, slow) for fast in FAST for slow in SLOW):
        longest = max(fast, slow)
        end = np.arange(longest, count + 1)
        difference = (sums[end] - sums[end - fast]) * slow - (sums[end] - sums[end - slow]) * fast
        before, now = difference[:-1], difference[1:]
        rises, falls = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        rises[longest:] = (before <= 0) & (now > 0)
        falls[longest:] = (before >= 0) & (now < 0)
        assert (planes[0, number] == rises).all(), (fast, slow)
        assert (planes[1, number] == falls).all(), (fast, slow)
        # The quick way leaves out falls that no rise came before.
        assert (quick[0, number] == rises).all()
        assert not (quick[1, number] & ~falls).any()
        ties += fast != slow and bool((difference == 0).any())
    assert ties > 0


def test_the_grid_on_the_year_is_as_frozen(year: Frame) -> None:
    """Every 50th set of the reference grid: returns and trades as first measured."""
    columns = {name: np.asarray(column)[::50] for name, column in grid().columns.items()}
    sets = ParameterSets(50, columns)
    costs = Execution(taker_fee_bps=10.0)
    told = evaluate(year, CROSSOVER, Direction.LONG, sets, costs, METRIC_NAMES, lambda: False)
    assert not told.failures
    assert told.values["trade_count"].tolist() == FROZEN_TRADES
    assert [
        round(value, 12) for value in told.values["total_return_ratio"].tolist()
    ] == FROZEN_RETURNS
