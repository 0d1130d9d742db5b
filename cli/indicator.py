"""`assay indicator`: what expressions can be made of."""

from __future__ import annotations

import typer
from assay.backtest.v1.backtest_service_pb2 import ListIndicatorsRequest

from cli.connection import Services, run
from cli.options import JsonFlag
from cli.output import emit_json, emit_table, grid
from cli.paging import read_pages

app = typer.Typer(help="Functions of the expression language.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Functions of the expression language."""


@app.command("list")
def list_indicators(*, as_json: JsonFlag = False) -> None:
    """List the functions that give a number per bar, those of plug-ins included."""

    async def command(services: Services) -> None:
        response = await read_pages(
            services.backtest.ListIndicators, ListIndicatorsRequest(), "indicators", 0
        )
        if as_json:
            emit_json(response)
            return
        table = grid(("indicator", "looks back on", "from", "what it tells"))
        for one in response.indicators:
            table.add_row(one.signature, one.lookback, one.plugin or "assay", one.description)
        emit_table(table)

    run(command, as_json=as_json)
