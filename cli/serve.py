"""`assay serve`: the whole system on one machine, on embedded stores."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.child import ChildKeepsDyingError
from cli.failures import RefusedError, reported
from cli.plan import PortTakenError, ServePlan, plan
from cli.supervisor import HomeInUseError, StartTimeoutError, supervised
from services.common.settings import read_settings

SUPERVISION_ERRORS = (ChildKeepsDyingError, HomeInUseError, PortTakenError, StartTimeoutError)
"""What can keep the services from running."""
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `serve` reads of the environment; the rest goes to the children as it is.

    Attributes:
        home: Folder of the stores.
        drain_seconds: Time of the children for calls in hand after SIGTERM.
    """

    home: str = "assay-home"
    drain_seconds: float = 25.0


def ports_of(text: str) -> tuple[int, ...]:
    """Read three ports, for data, backtest and optimizer."""
    words = text.split(",")
    if len(words) != 3 or not all(word.strip().isdecimal() for word in words):
        raise typer.BadParameter(f"{text!r}: say three ports, for example 50051,50052,50053")
    ports = tuple(int(word) for word in words)
    named = [port for port in ports if port]
    if max(ports) > 65_535 or len(set(named)) != len(named):
        raise typer.BadParameter(f"{text!r}: ports differ and are at most 65535")
    return ports


def command(
    *,
    home: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder of all stores. Unset: ASSAY_HOME, assay-home."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Backtest workers.")] = 1,
    ports: Annotated[
        str,
        typer.Option(metavar="DATA,BACKTEST,OPTIMIZER", help="Where to listen; 0: a free port."),
    ] = "50051,50052,50053",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Logs to stderr instead of HOME/logs.")
    ] = False,
) -> None:
    """Run all services as child processes until Ctrl-C.

    Prints one line when all are SERVING. A service that dies is started again.

    The first worker listens on the given port, others on free ones. HOME/run has the process ids.
    """
    wanted = ports_of(ports)
    with reported():
        settings = read_settings(ServeSettings, os.environ)
        folder = (home or Path(settings.home)).absolute()
        raise typer.Exit(asyncio.run(_serve(folder, workers, wanted, settings, verbose=verbose)))


async def _serve(
    home: Path, workers: int, ports: tuple[int, ...], settings: ServeSettings, *, verbose: bool
) -> int:
    try:
        planned = plan(home, workers, ports, os.environ)
        await until_signalled(_supervise(planned, home, settings.drain_seconds, verbose=verbose))
    except SUPERVISION_ERRORS as error:
        raise RefusedError(str(error)) from None
    except OSError as error:
        raise RefusedError(f"{home} cannot be used: {error}") from None
    return 0


async def _supervise(
    planned: ServePlan, home: Path, drain_seconds: float, *, verbose: bool
) -> None:
    async with supervised(
        planned, home, drain_seconds=drain_seconds, verbose=verbose, say=say
    ) as supervisor:
        await supervisor.serving()
        typer.echo(planned.line)
        await supervisor.unless_failed(asyncio.Event().wait())


async def until_signalled(work: Coroutine[Any, Any, None]) -> bool:
    """Await some work, cancelling it on Ctrl-C, SIGTERM or SIGHUP; tells whether it ended itself.

    A second signal cancels what the work does on its way out.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


def say(text: str) -> None:
    """Say one line on stderr."""
    sys.stderr.write(f"assay: {text}\n")
    sys.stderr.flush()
