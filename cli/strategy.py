"""`assay strategy`: what can be searched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer
from assay.backtest.v1.backtest_service_pb2 import ListStrategiesRequest, ListStrategiesResponse
from assay.backtest.v1.strategy_pb2 import ParameterInfo

from cli.connection import Services, run
from cli.figures import allowed, enum_word, value
from cli.options import JsonFlag
from cli.output import emit, emit_json, emit_table, grid
from cli.paging import read_pages

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Strategies and their parameters.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Strategies and their parameters."""


@app.command("list")
def list_strategies(*, as_json: JsonFlag = False) -> None:
    """List the strategies, their parameters, and what else can be searched."""

    async def command(services: Services) -> None:
        response = await strategies(services)
        if as_json:
            emit_json(response)
            return
        for strategy in response.strategies:
            emit(f"{strategy.name}: {strategy.description}")
            if strategy.parameters:
                emit_table(_parameters(strategy.parameters))
            else:
                emit("no parameters of its own\n")
        emit("with every strategy, from the execution model:")
        emit_table(_parameters(response.execution_parameters))

    run(command, as_json=as_json)


async def strategies(services: Services) -> ListStrategiesResponse:
    """Return all strategies that the backtest service knows."""
    return await read_pages(
        services.backtest.ListStrategies, ListStrategiesRequest(), "strategies", 0
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
