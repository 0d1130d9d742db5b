"""`assay dataset`: fetch candles, import them, look at them, delete them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from assay.data.v1.data_service_pb2 import (
    DeleteDatasetRequest,
    GetDatasetRequest,
    ImportCandlesResponse,
    ListDatasetsRequest,
    SyncDatasetRequest,
    SyncDatasetResponse,
)
from assay.data.v1.dataset_pb2 import Dataset, SyntheticMarket

from cli import dataset_file, dataset_view
from cli.connection import Services, run
from cli.options import (
    DatasetArgument,
    EndOption,
    JsonFlag,
    LimitOption,
    StartOption,
    dataset_name,
    window_of,
)
from cli.output import emit, emit_json, emit_json_line, emit_table
from cli.paging import read_pages, wanted
from cli.progress import meter

app = typer.Typer(help="Candles: fetch, import, look at, delete.", no_args_is_help=True)

AcceptOption = Annotated[
    list[dataset_file.Accept] | None,
    typer.Option("--accept", help="What may be mended; may be repeated. Without it: nothing."),
]


@app.command()
def sync(
    name: DatasetArgument,
    *,
    start: StartOption = None,
    end: EndOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of a synthetic market; only for synthetic.* names.")
    ] = None,
    start_price_quote: Annotated[float | None, typer.Option(help="Synthetic: first price.")] = None,
    annual_volatility_ratio: Annotated[
        float | None, typer.Option(help="Synthetic: volatility a year, 0.6 = 60 %.")
    ] = None,
    mean_regime_bar_count: Annotated[
        int | None, typer.Option(help="Synthetic: mean length of a regime in bars.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch or make a dataset, or bring it up to date.

    The name says the source: bybit.linear.btcusdt.1h, bybit.linear.btcusdt.funding,
    synthetic.demo.1h. Calling again goes on where it ended.
    """
    market = SyntheticMarket(
        seed=seed or 0,
        start_price_quote=start_price_quote,
        annual_volatility_ratio=annual_volatility_ratio,
        mean_regime_bar_count=mean_regime_bar_count,
    )
    wants_market = any(
        given is not None
        for given in (seed, start_price_quote, annual_volatility_ratio, mean_regime_bar_count)
    )
    request = SyncDatasetRequest(
        name=name, window=window_of(start, end), synthetic=market if wants_market else None
    )

    async def command(services: Services) -> None:
        last = SyncDatasetResponse()
        with meter(f"syncing {name}", "rows", silent=as_json) as shown:
            async for last in services.data.SyncDataset(request):
                shown.update(last.fetched_row_count, last.expected_row_count)
                if as_json:
                    emit_json_line(last)
        if not as_json:
            emit_table(dataset_view.description(last.dataset))

    run(command, as_json=as_json)


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, CSV.gz or Parquet.")
    ],
    *,
    name: Annotated[
        str,
        typer.Option(
            parser=dataset_name,
            metavar="DATASET",
            help="The dataset to create or replace; ends in the interval, for example .1h",
        ),
    ],
    accept: AcceptOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ASSAY=FILE",
            help="A column's name in the file, for example open_time=ts; may be repeated.",
        ),
    ] = None,
    time_unit: Annotated[
        dataset_file.Unit | None, typer.Option(help="Unit of numeric times. Unset: told from them.")
    ] = None,
    file_format: Annotated[
        dataset_file.Format | None,
        typer.Option("--format", help="Unset: told from the file's name."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Store the candles, or the funding rates, of a file. All or nothing."""
    header = dataset_file.header(
        file,
        name=name,
        accept=accept or (),
        columns=column or (),
        unit=time_unit,
        file_format=file_format,
    )

    async def command(services: Services) -> None:
        with meter(f"importing {file.name}", "bytes", silent=as_json) as shown:
            response: ImportCandlesResponse = await services.data.ImportCandles(
                dataset_file.pieces(file, header, shown), timeout=dataset_file.TIMEOUT_SECONDS
            )
        if as_json:
            emit_json(response)
        else:
            emit_table(dataset_view.description(response.dataset))

    run(command, as_json=as_json)


@app.command("list")
def list_datasets(*, limit: LimitOption = None, as_json: JsonFlag = False) -> None:
    """List the stored datasets."""

    async def command(services: Services) -> None:
        most = wanted(limit, as_json=as_json)
        response = await read_pages(
            services.data.ListDatasets, ListDatasetsRequest(), "datasets", most
        )
        if as_json:
            emit_json(response)
        elif not response.datasets:
            emit("no datasets yet; make one with `assay dataset sync` or `assay dataset import`")
        else:
            emit_table(dataset_view.listing(response.datasets))
            if response.next_page_token:
                emit(f"the first {len(response.datasets)}; --limit 0 shows all")

    run(command, as_json=as_json)


@app.command()
def show(name: DatasetArgument, *, as_json: JsonFlag = False) -> None:
    """Describe a dataset: what it holds, and what was found when it was checked."""

    async def command(services: Services) -> None:
        response = await services.data.GetDataset(GetDatasetRequest(name=name))
        if as_json:
            emit_json(response)
            return
        emit_table(dataset_view.description(response.dataset))
        _show_gaps(response.dataset)

    run(command, as_json=as_json)


def _show_gaps(dataset: Dataset) -> None:
    if dataset.quality.gaps:
        emit_table(dataset_view.gaps(dataset.quality))


@app.command()
def delete(name: DatasetArgument, *, as_json: JsonFlag = False) -> None:
    """Delete a dataset with all its versions."""

    async def command(services: Services) -> None:
        response = await services.data.DeleteDataset(DeleteDatasetRequest(name=name))
        if as_json:
            emit_json(response)
        else:
            emit(f"deleted {name}")

    run(command, as_json=as_json)
