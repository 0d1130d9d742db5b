"""`assay backtest`: one parameter set over one piece of data."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.market.v1.candles_pb2 import CandleSnapshot

from cli import backtest_view, parameters
from cli.choosing import DirectionOption, DirectionWord, SettingsOption, choice_of, read_settings
from cli.connection import Services, run
from cli.failures import reported
from cli.options import (
    EndOption,
    JsonFlag,
    StartOption,
    dataset_name,
    strategy_name,
    window_of,
)
from cli.output import emit, emit_json, emit_table

app = typer.Typer(help="Single backtests.", no_args_is_help=True)


class DetailWord(enum.Enum):
    """How much to tell."""

    SUMMARY = "summary"
    TRADES = "trades"
    EQUITY = "equity"


_DETAILS = {
    DetailWord.SUMMARY: pb.DETAIL_SUMMARY,
    DetailWord.TRADES: pb.DETAIL_TRADES,
    DetailWord.EQUITY: pb.DETAIL_EQUITY_CURVE,
}


@app.callback()
def group() -> None:
    """Single backtests."""


@app.command("run")
def run_backtest(
    *,
    dataset: Annotated[
        str, typer.Option(parser=dataset_name, metavar="DATASET", help="The candles.")
    ],
    strategy: Annotated[
        str | None,
        typer.Option(parser=strategy_name, metavar="STRATEGY", help="What to run."),
    ] = None,
    definition: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What to run instead: the YAML or JSON form of StrategyDefinition."
        ),
    ] = None,
    settings: SettingsOption = None,
    execution: Annotated[
        list[str] | None,
        typer.Option(
            "--execution",
            metavar="NAME=VALUE",
            help="A field of the execution model, for example taker_fee_bps=5.5, "
            "close_at_end=true, funding=bybit.linear.btcusdt.funding or "
            "'instrument={tick_size_quote: 0.1}'; may be repeated.",
        ),
    ] = None,
    direction: DirectionOption = DirectionWord.LONG,
    start: StartOption = None,
    end: EndOption = None,
    content_digest: Annotated[
        str, typer.Option(metavar="SHA256", help="Refuse data with another digest.")
    ] = "",
    lookback_bar_count: Annotated[
        int | None, typer.Option(min=0, help="Bars before the window. Unset: what is needed.")
    ] = None,
    detail: Annotated[DetailWord, typer.Option(help="How much to tell.")] = DetailWord.SUMMARY,
    as_json: JsonFlag = False,
) -> None:
    """Run one parameter set and print its metrics."""
    with reported(as_json=as_json):
        choice = choice_of(strategy, definition, direction)
    request = pb.RunBacktestRequest(
        snapshot=CandleSnapshot(
            dataset=dataset,
            window=window_of(start, end),
            lookback_bar_count=lookback_bar_count,
            content_digest=content_digest,
        ),
        strategy=choice,
        execution=parameters.execution_model(execution or ()),
        detail=_DETAILS[detail],
    )
    words = [parameters.split(word, "--set") for word in settings or ()]

    async def command(services: Services) -> None:
        request.parameters.extend(await read_settings(services, choice, words))
        response = await services.backtest.RunBacktest(request)
        if as_json:
            emit_json(response)
        else:
            _show(response)

    run(command, as_json=as_json)


def _show(response: pb.RunBacktestResponse) -> None:
    emit_table(backtest_view.setting(response))
    emit_table(backtest_view.all_metrics(response.metrics))
    if response.equity_curve.equity_quote:
        emit(backtest_view.equity(response.equity_curve) + "\n")
    if response.trades:
        emit_table(backtest_view.trades(response))
