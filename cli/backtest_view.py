"""Backtests as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.backtest.v1.backtest_service_pb2 import EquityCurve, RunBacktestResponse, Trade
from assay.backtest.v1.metrics_pb2 import Metrics
from assay.backtest.v1.strategy_pb2 import Direction

from cli.figures import enum_word, metric, moment, parameters, span, sparkline, strategy
from cli.output import facts, grid

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN_TRADES = 100
METRIC_NAMES = tuple(field.name for field in Metrics.DESCRIPTOR.fields if field.name != "undefined")


def setting(response: RunBacktestResponse) -> Table:
    """Return what was run on what."""
    snapshot = response.snapshot
    missing = response.missing_bar_count
    return facts(
        [
            ("strategy", strategy(response.strategy)),
            ("direction", enum_word(Direction.Name(response.strategy.direction))),
            ("parameters", parameters(response.parameters)),
            ("dataset", snapshot.dataset + (" (SYNTHETIC, made up)" if response.synthetic else "")),
            ("window (UTC)", span(snapshot.window)),
            ("bars", f"{response.bar_count:,}" + (f", {missing:,} missing" if missing else "")),
            ("first decision (UTC)", moment(response.first_decision_time)),
            ("content digest", snapshot.content_digest),
        ]
    )


def all_metrics(metrics: Metrics) -> Table:
    """Return every metric, or why it has no value."""
    table = grid(("metric", "value"), right=("value",))
    for name in METRIC_NAMES:
        table.add_row(name, metric(metrics, name))
    return table


def trades(response: RunBacktestResponse) -> Table:
    """Return the first trades."""
    total = len(response.trades) + response.omitted_trade_count
    shown = response.trades[:_SHOWN_TRADES]
    title = f"trades: {len(shown):,} of {total:,}" + (
        "; --json has more" if len(shown) < total else ""
    )
    numbers = ("entry price", "exit price", "quantity", "net profit", "bars")
    table = grid(
        ("side", "entry (UTC)", "exit (UTC)", *numbers, "exit by"), title=title, right=numbers
    )
    for trade in shown:
        table.add_row(
            enum_word(Direction.Name(trade.side)),
            moment(trade.entry_time),
            moment(trade.exit_time) or "open",
            f"{trade.entry_price_quote:,.6g}",
            f"{trade.exit_price_quote:,.6g}",
            f"{trade.quantity_base:,.6g}",
            f"{trade.net_profit_quote:,.2f}",
            f"{trade.bars_held:,}",
            enum_word(Trade.ExitReason.Name(trade.exit_reason)) if trade.exit_reason else "-",
        )
    return table


def equity(curve: EquityCurve) -> str:
    """Return the curve as one line; its numbers are for --json."""
    values = list(curve.equity_quote)
    return f"equity {sparkline(values)} {values[0]:,.2f} to {values[-1]:,.2f}; --json has every bar"
