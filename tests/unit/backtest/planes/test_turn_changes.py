"""Entries and exits of turns, listed: those a latch makes of one look at every bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backtest.core.batch import evaluate
from services.backtest.core.execution import Direction, Execution
from services.backtest.core.metrics import METRIC_NAMES
from services.backtest.core.parameters import Value
from services.backtest.core.planes.levels import fill_levels
from services.backtest.core.planes.row_table import WORD
from services.backtest.core.planes.turn_changes import list_turns
from services.backtest.core.sets import comparing
from services.backtest.core.sparse import run
from services.backtest.core.strategies import STRATEGIES
from tests.unit.backtest import markets
from tests.unit.backtest.evaluation.planes_of import sets_of

Row = np.ndarray[Any, np.dtype[np.float64]]
FINE = 1_000
FEW = ("total_return_ratio", "bar_sharpe_ratio", "max_drawdown_ratio", "trade_count")


def latched(one: Row, other: Row, first: int) -> list[int]:
    """Return the changes of rows that begin with the bar before the window."""
    changes: list[int] = []
    for bar in range(first, len(one) - 2):
        before, now = one[bar] > other[bar], one[bar + 1] > other[bar + 1]
        changed = now and not before
        if len(changes) % 2:
            changed = bool(one[bar + 1] < other[bar + 1])
        if changed:
            changes.append(bar)
    return changes


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.sampled_from([2, 3, 63, 64, 65, 66, 129, 600, 1_100]),
    levels=st.sampled_from([1, 2, 3, 8, FINE]),
    smooth=st.booleans(),
    quick=st.booleans(),
)
def test_they_are_those_of_a_latch(
    seed: int, bars: int, levels: int, smooth: bool, quick: bool
) -> None:
    """Ties, runs of them over words, first decisions and ends anywhere, by levels or by values."""
    rng = np.random.default_rng(seed)
    words = -(-bars // WORD)
    table = np.full((3, WORD + words * WORD), np.nan)
    drawn = rng.integers(-levels, levels + 1, (3, bars + 1)).astype(np.float64)
    if smooth:
        drawn = np.cumsum(np.sign(drawn) * (rng.random(drawn.shape) < 0.3), axis=1)
    if levels == FINE:
        # Differences that levels cannot tell from ties, among others that they can.
        drawn += rng.choice([0.0, 1e-9, -1e-9, 0.3], drawn.shape)
    table[:, WORD - 1 : WORD + bars] = drawn
    if rng.random() < 0.3:
        table[:, WORD - 1] = np.nan
    starts = np.arange(3) * table.shape[1]
    lefts, rights = starts[[0, 1, 2, 0]], starts[[1, 2, 0, 0]]
    firsts = rng.integers(0, bars, 4)
    changes, counts = np.empty((4, bars + WORD), np.int32), np.empty(4, np.int64)
    state = np.empty(4, np.uint64)
    flat = table.ravel()
    ranks = np.empty(len(flat) if quick else 0, np.int16)
    if quick:
        fill_levels(flat, starts, words, ranks)
    list_turns(flat, ranks, lefts, rights, words, firsts, bars, state, changes, counts)
    for row, (left, right) in enumerate(((0, 1), (1, 2), (2, 0), (0, 0))):
        own = table[:, WORD - 1 : WORD + bars]
        wanted = latched(own[left], own[right], int(firsts[row]))
        assert changes[row, : counts[row]].tolist() == wanted


@pytest.mark.parametrize(("volatility", "decimals"), [(0.001, 1), (0.01, 0), (0.02, None)])
def test_metrics_are_those_of_planes(
    monkeypatch: pytest.MonkeyPatch, volatility: float, decimals: int | None
) -> None:
    """Whether sets are asked for few metrics, by lists, or for all, by planes; in parts as well."""
    market = markets.candles(8, 900, volatility=volatility, decimals=decimals, gaps=True)
    frame = markets.frame(market, 200, 200)
    periods = [(fast, slow) for fast in (1, 2, 3, 9) for slow in (2, 3, 9, 40)]
    values: list[dict[str, Value]] = [
        {"fast_period": fast, "slow_period": slow, "average": average}
        for average in ("sma", "ema")
        for fast, slow in periods
    ]

    def told(metrics: tuple[str, ...]) -> list[bytes]:
        found = evaluate(
            frame,
            STRATEGIES["ma_crossover"],
            Direction.LONG,
            sets_of(values),
            Execution(),
            metrics,
            lambda: False,
        )
        assert not found.failures
        return [found.values[name].tobytes() for name in FEW]

    wanted = told(METRIC_NAMES)
    for least in (0, 10_000):
        # By levels, then by values alone.
        monkeypatch.setattr(comparing, "_SETS_OF_A_ROW", least)
        assert told(FEW) == wanted
    monkeypatch.setattr(comparing, "_SETS_OF_A_ROW", 0)
    monkeypatch.setattr(run, "_LIST_BYTES", 3 * 4 * (700 + WORD))
    assert told(FEW) == wanted
    assert told(METRIC_NAMES) == wanted


def test_levels_follow_the_rows_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of other rows, of more of them, and of the first again, on one frame."""
    frame = markets.frame(markets.candles(9, 700, decimals=1), 200, 200)
    batches = [range(2, 5), range(20, 30), range(2, 40), range(3, 6), range(2, 5)]

    def told(least: int) -> list[bytes]:
        monkeypatch.setattr(comparing, "_SETS_OF_A_ROW", least)
        results = []
        for fasts in batches:
            sets = sets_of(
                [
                    {"fast_period": fast, "slow_period": fast + more}
                    for fast in fasts
                    for more in (1, 7)
                ]
            )
            crossover = STRATEGIES["ma_crossover"]
            found = evaluate(
                frame, crossover, Direction.LONG, sets, Execution(), FEW, lambda: False
            )
            results += [found.values[name].tobytes() for name in FEW]
        return results

    assert told(0) == told(10_000)
