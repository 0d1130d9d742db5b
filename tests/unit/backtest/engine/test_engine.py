"""The engine against the reference written bar by bar: the same to the last bit."""

from __future__ import annotations

import pytest

from services.backtest.core import ledger
from services.backtest.core.engine import Recorded
from services.backtest.core.metrics import METRIC_NAMES, UndefinedReason
from services.common.intervals import Interval
from tests.unit.backtest.engine.engine_room import deal_of
from tests.unit.backtest.engine.random_cases import (
    Ground,
    case_of,
    engine_runs,
    ground_of,
    reference_runs,
)
from tests.unit.backtest.engine.reference_metrics import bar_sharpe, drawdown, metrics
from tests.unit.backtest.engine.reference_orders import Account

CHUNKS = 20
MARKETS_OF_CHUNK = 130
CASES_OF_MARKET = 4


def rows_of(recorded: Recorded) -> list[tuple[object, ...]]:
    """Return the engine's trades as plain rows."""
    return [
        (
            deal.side,
            deal.entry_bar,
            deal.exit_bar,
            deal.entry_price,
            deal.exit_price,
            deal.quantity,
            deal.fees,
            deal.net_profit,
            deal.reason,
            (deal.adverse, deal.favorable),
            deal.funding,
            deal.entry_count,
            deal.liquidation_loss,
        )
        for deal in map(deal_of, recorded.trades)
    ]


def rows_known(account: Account) -> list[tuple[object, ...]]:
    """Return the reference's trades likewise."""
    return [
        (
            trade.sign,
            trade.entry_bar,
            trade.exit_bar,
            trade.entry_price,
            trade.exit_price,
            trade.quantity,
            trade.fees,
            trade.net_profit,
            trade.reason,
            trade.excursions(),
            trade.funding,
            trade.entries,
            trade.loss,
        )
        for trade in account.trades
    ]


def counts_known(account: Account) -> dict[int, int]:
    """Return what the reference counted, by the engine's places."""
    return {
        ledger.HELD_BARS: account.held_bars,
        ledger.AMBIGUOUS_BARS: account.ambiguous,
        ledger.GAP_FILLS: account.gaps,
        ledger.REJECTED_ORDERS: account.rejected,
        ledger.CONFLICTING_ENTRIES: account.conflicts,
        ledger.BUSTS: int(account.bust),
        ledger.LIQUIDATIONS: account.liquidations,
        ledger.RESOLVED_BARS: account.resolved,
        ledger.ADDED_ENTRIES: account.added,
    }


def told_by(recorded: Recorded, name: str) -> float | str:
    """Return a metric, or the name of the reason why it has none."""
    place = METRIC_NAMES.index(name)
    reason = int(recorded.reasons[place])
    return UndefinedReason(reason).name if reason else float(recorded.values[place])


def assert_same(recorded: Recorded, account: Account, where: str) -> None:
    """Trades, equity, position, counts and the curve's own metrics are equal to the last bit."""
    assert rows_of(recorded) == rows_known(account), where
    assert recorded.equity.tolist() == account.equity, where
    assert recorded.position.tolist() == account.held, where
    assert dict(enumerate(recorded.counts.tolist())) == counts_known(account), where
    assert told_by(recorded, "bar_sharpe_ratio") == bar_sharpe(account, Interval.HOUR_1), where
    falls = drawdown(account.equity, account.execution.initial_capital_quote)
    assert {name: told_by(recorded, name) for name in falls} == falls, where


def assert_close(recorded: Recorded, ground: Ground, account: Account, where: str) -> None:
    """All metrics are those of their definitions."""
    times = ground.frame.candles.open_time_ms.tolist()
    for name, known in metrics(account, times, Interval.HOUR_1).items():
        told = told_by(recorded, name)
        if isinstance(known, str) or isinstance(told, str):
            assert told == known, (where, name)
            continue
        if name == "sqn" and abs(known) > 1e6:
            continue  # trades all but equal: their deviation is noise
        scale = account.execution.initial_capital_quote if name.endswith("_quote") else 1.0
        assert told == pytest.approx(known, rel=1e-7, abs=1e-11 * scale), (where, name)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_engine_is_the_reference_to_the_last_bit(chunk: int) -> None:
    """On more than 10,000 random cases with every rule of orders and money on or off."""
    for number in range(MARKETS_OF_CHUNK):
        seed = chunk * MARKETS_OF_CHUNK + number
        ground = ground_of(seed)
        for again in range(CASES_OF_MARKET):
            where = f"market {seed} case {again}"
            case = case_of(seed * CASES_OF_MARKET + again, ground.bars)
            recorded, account = engine_runs(ground, case), reference_runs(ground, case)
            assert_same(recorded, account, where)
            if again == 0 and number % 4 == 0:
                assert_close(recorded, ground, account, where)
