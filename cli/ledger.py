"""`assay ledger`: what was ever tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from assay.optimizer.v1.optimizer_service_pb2 import ListLedgerEntriesRequest
from assay.optimizer.v1.study_pb2 import LedgerEntry

from cli.connection import Services, run
from cli.options import JsonFlag, LimitOption, dataset_name
from cli.output import emit, emit_json, emit_table, grid
from cli.paging import read_pages, wanted

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="What was ever tried.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """What was ever tried."""


def strategy_text(text: str) -> str:
    """Return "strategies/x" for "x"; "definitions/..." stays."""
    return text if "/" in text else f"strategies/{text}"


@app.command("list")
def list_entries(
    *,
    dataset: Annotated[
        str | None, typer.Option(parser=dataset_name, metavar="DATASET", help="Only this one.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            parser=strategy_text,
            metavar="STRATEGY",
            help='Only this one; also "definitions/SHA-256".',
        ),
    ] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List how many trials each dataset and strategy has seen, in deleted studies too."""
    request = ListLedgerEntriesRequest(dataset=dataset or "", strategy=strategy or "")

    async def command(services: Services) -> None:
        most = wanted(limit, as_json=as_json)
        response = await read_pages(services.optimizer.ListLedgerEntries, request, "entries", most)
        if as_json:
            emit_json(response)
        elif not response.entries:
            emit("nothing was tried yet")
        else:
            emit_table(entries(response.entries))
            if response.next_page_token:
                emit(f"the first {len(response.entries)}; --limit 0 shows all")

    run(command, as_json=as_json)


def entries(found: Iterable[LedgerEntry]) -> Table:
    """Return one row per dataset and strategy."""
    numbers = ("studies", "trials", "run", "mean daily Sharpe", "deviation")
    table = grid(("dataset", "strategy", *numbers), right=numbers)
    for item in found:
        mean = item.HasField("mean_daily_sharpe_ratio")
        variance = item.HasField("daily_sharpe_variance")
        table.add_row(
            item.dataset,
            item.strategy.removeprefix("strategies/")[:24],
            f"{item.study_count:,}",
            f"{item.trial_count:,}",
            f"{item.evaluated_trial_count:,}",
            f"{item.mean_daily_sharpe_ratio:.4f}" if mean else "-",
            f"{item.daily_sharpe_variance**0.5:.4f}" if variance else "-",
        )
    return table
