"""`assay demo`: a whole study in one command, from candles to the best parameters."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from assay.data.v1.dataset_pb2 import Dataset

from cli import demo_market, demo_study
from cli.connection import Services, with_services
from cli.dataset import AcceptOption
from cli.failures import RefusedError, reported
from cli.output import emit
from cli.plan import plan
from cli.serve import SUPERVISION_ERRORS, ServeSettings, say, until_signalled
from cli.supervisor import supervised
from services.common.intervals import Interval
from services.common.settings import read_settings

_EXIT_INTERRUPTED = 130
_FOREIGN_STORES = ("ASSAY_DATABASE_URL", "ASSAY_REDIS_URL", "ASSAY_CANDLE_STORE_URL")
"""Stores of a real system, in which a demo leaves nothing."""
_DRAIN_SECONDS = 5.0


def command(
    *,
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Your own candles: CSV, CSV.gz, Parquet."),
    ] = None,
    interval: Annotated[
        Interval | None, typer.Option(help="Interval of --data. Unset: told from its times.")
    ] = None,
    accept: AcceptOption = None,
    home: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep everything in this folder. Unset: keep nothing."),
    ] = None,
) -> None:
    """Start all services, get a year of candles, run a study, show what it found, stop everything.

    Without --data the candles come from Bybit (BTCUSDT, one hour); where the exchange does not
    answer within seconds, from a made-up market, and the demo says so.
    """
    with reported():
        # An environment that no service would accept is refused before anything starts.
        read_settings(ServeSettings, os.environ)
        own = None if data is None else demo_market.own_file(data, interval, accept or ())
        with _home(home) as folder:
            raise typer.Exit(asyncio.run(_demo(folder, own)))


@contextmanager
def _home(wanted: Path | None) -> Iterator[Path]:
    """Give a folder; a temporary one is gone afterwards, whatever happens."""
    if wanted is not None:
        yield wanted.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="assay-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _demo(home: Path, own: demo_market.OwnFile | None) -> int:
    try:
        finished = await until_signalled(_whole_study(home, own))
    except SUPERVISION_ERRORS as error:
        raise RefusedError(str(error)) from None
    if not finished:
        say("interrupted; everything is stopped")
    return 0 if finished else _EXIT_INTERRUPTED


async def _whole_study(home: Path, own: demo_market.OwnFile | None) -> None:
    started = time.monotonic()
    environment = {
        "ASSAY_DRAIN_SECONDS": str(_DRAIN_SECONDS),
        **{name: text for name, text in os.environ.items() if name not in _FOREIGN_STORES},
    }
    planned = plan(home, 1, (0, 0, 0), environment)

    async def work(services: Services) -> None:
        dataset = await _candles(services, own)
        await demo_study.search(services, dataset, started)

    emit("starting three services (data, backtest, optimizer) ...")
    async with supervised(
        planned, home, drain_seconds=_DRAIN_SECONDS, verbose=False, say=say
    ) as supervisor:
        await supervisor.serving()
        emit(f"{planned.line} [{time.monotonic() - started:.1f} s]")
        await supervisor.unless_failed(with_services(work, planned.client_settings()))
    emit("all services are stopped")


async def _candles(services: Services, own: demo_market.OwnFile | None) -> Dataset:
    if own is not None:
        return await demo_market.imported(services, own)
    found = await demo_market.from_exchange(services)
    return found or await demo_market.made_up(services)
