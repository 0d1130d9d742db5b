"""Four sets at a time against each of them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from services.backtest.core.execution import Execution
from services.backtest.core.market import Market
from services.backtest.core.sparse import ranges_of, run_plain, wants_of
from services.backtest.core.terms import terms_of
from tests.unit.backtest.sparse.sparse_reference import (
    COSTLY,
    empty,
    market_with,
    random_market,
    random_signals,
    words_of,
)

Flags = npt.NDArray[np.bool_]
LIGHT = ("final_equity_quote", "bar_sharpe_ratio", "max_drawdown_ratio", "trade_count")
"""Metrics for which no trade is noted: what sets are run together for."""


def run_sets(
    market: Market, pairs: list[tuple[Flags, Flags]], firsts: list[int], execution: Execution
) -> list[bytes]:
    """Return every bit of what is told of sets run in one call, a piece for each set."""
    found = empty(len(pairs))
    run_plain(
        market,
        ranges_of(market.bars),
        words_of([enter for enter, _ in pairs]),
        words_of([leave for _, leave in pairs]),
        np.array(firsts),
        terms_of(execution),
        wants_of(LIGHT),
        *found,
    )
    return [b"".join(part[row].tobytes() for part in found) for row in range(len(pairs))]


@pytest.mark.parametrize("close_at_end", [False, True])
@pytest.mark.parametrize("sets", [4, 7, 9, 16])
@pytest.mark.parametrize("bars", [3, 64, 65, 700])
def test_sets_together_have_the_bits_they_have_alone(
    sets: int, bars: int, close_at_end: bool
) -> None:
    """Few trades beside many, trades of one bar, sets without trades and such passed over."""
    market = random_market(sets, bars)
    execution = replace(COSTLY, close_at_end=close_at_end)
    shares = np.random.default_rng(bars).choice([0.0, 0.01, 0.2, 0.9], sets)
    pairs = [random_signals(seed, bars, share) for seed, share in enumerate(shares)]
    firsts = [-1 if seed == 2 else seed % max(1, bars - 2) for seed in range(sets)]
    together = run_sets(market, pairs, firsts, execution)
    alone = [
        run_sets(market, [pair], [first], execution)[0]
        for pair, first in zip(pairs, firsts, strict=True)
    ]
    assert together == alone


def test_a_set_that_outgrows_a_double_leaves_those_beside_it_alone() -> None:
    """Its lane holds infinities and no numbers; theirs have the bits they have alone."""
    bars = 80
    closes = np.where(np.arange(bars) % 4 < 2, 1e-3, 1e3)
    market = market_with(closes, closes)
    execution = Execution(initial_capital_quote=1e290)
    rising, falling = np.arange(bars) % 4 == 0, np.arange(bars) % 4 == 2
    rare = np.arange(bars) % 40 == 0, np.arange(bars) % 40 == 2
    pairs = [(rising, falling), rare, (falling, rising), rare]
    together = run_sets(market, pairs, [0] * 4, execution)
    assert together == [run_sets(market, [pair], [0], execution)[0] for pair in pairs]
    assert together[0][-1:] == b"\0"
    assert together[1][-1:] == b"\1"
