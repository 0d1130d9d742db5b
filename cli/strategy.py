"""`assay strategy`: what can be searched, and whether it looks ahead."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from assay.backtest.v1 import backtest_service_pb2 as pb
from assay.backtest.v1.strategy_pb2 import ParameterInfo, StrategyDefinition
from assay.market.v1.candles_pb2 import CandleSnapshot

from cli import parameters
from cli.choosing import (
    DirectionOption,
    DirectionWord,
    SettingsOption,
    choice_of,
    known_strategies,
    read_settings,
)
from cli.connection import Services, run
from cli.failures import EXIT_REFUSED, reported
from cli.figures import allowed, enum_word, moment, value
from cli.options import EndOption, JsonFlag, StartOption, dataset_name, window_of
from cli.output import emit, emit_json, emit_table, facts, grid

if TYPE_CHECKING:
    from rich.table import Table

_TEXTS = (
    "enter_long",
    "exit_long",
    "enter_short",
    "exit_short",
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "position_fraction",
)

app = typer.Typer(help="Strategies and their parameters.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Strategies and their parameters."""


@app.command("list")
def list_strategies(*, as_json: JsonFlag = False) -> None:
    """List the strategies, their parameters and texts, and what else can be searched."""

    async def command(services: Services) -> None:
        response = await known_strategies(services)
        if as_json:
            emit_json(response)
            return
        for strategy in response.strategies:
            emit(f"{strategy.name}: {strategy.description}")
            if strategy.parameters:
                emit_table(_parameters(strategy.parameters))
            else:
                emit("no parameters of its own\n")
            if strategy.HasField("definition"):
                emit_table(_texts(strategy.definition))
        emit("with every strategy, from the execution model:")
        emit_table(_parameters(response.execution_parameters))

    run(command, as_json=as_json)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The YAML or JSON form of StrategyDefinition.")],
    *,
    dataset: Annotated[
        str, typer.Option(parser=dataset_name, metavar="DATASET", help="The candles.")
    ],
    settings: SettingsOption = None,
    direction: DirectionOption = DirectionWord.LONG,
    start: StartOption = None,
    end: EndOption = None,
    cuts: Annotated[
        int | None, typer.Option(min=1, help="Shorter pieces to try. Unset: 32.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a strategy's texts, and that no signal changes when later bars are taken away.

    Exits 1 when one does.
    """
    with reported(as_json=as_json):
        choice = choice_of(None, file, direction)
    request = pb.CheckLookAheadRequest(
        snapshot=CandleSnapshot(dataset=dataset, window=window_of(start, end)),
        strategy=choice,
        cut_count=cuts,
    )
    words = [parameters.split(word, "--set") for word in settings or ()]

    async def command(services: Services) -> int:
        request.parameters.extend(await read_settings(services, choice, words))
        response = await services.backtest.CheckLookAhead(request)
        if as_json:
            emit_json(response)
        else:
            _tell(response)
        return EXIT_REFUSED if response.differences else 0

    run(command, as_json=as_json)


def _tell(response: pb.CheckLookAheadResponse) -> None:
    if not response.differences:
        emit(f"no look-ahead: {response.cut_count:,} shorter pieces give the same signals")
        return
    total = len(response.differences) + response.omitted_difference_count
    table = grid(
        ("signal", "bar (UTC)", "piece ends (UTC)", "whole", "piece"),
        title=f"look-ahead: {total:,} differences",
    )
    for one in response.differences:
        table.add_row(
            one.signal,
            moment(one.bar_time),
            moment(one.cut_time),
            f"{one.whole_value:.6g}" if one.HasField("whole_value") else "undefined",
            f"{one.cut_value:.6g}" if one.HasField("cut_value") else "undefined",
        )
    emit_table(table)


def _texts(definition: StrategyDefinition) -> Table:
    return facts(
        [
            *((term.name, term.expression) for term in definition.terms),
            *((name, getattr(definition, name)) for name in _TEXTS),
            ("requires", "; ".join(definition.requirements)),
        ]
    )


def _parameters(infos: Iterable[ParameterInfo]) -> Table:
    table = grid(("parameter", "type", "values", "default", "unit", "meaning"))
    for info in infos:
        table.add_row(
            info.name,
            enum_word(ParameterInfo.Type.Name(info.type)),
            allowed(info),
            value(info.default_value) or "-",
            info.unit,
            info.description,
        )
    return table
