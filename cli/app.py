"""The tree of commands: which groups there are and what they are called."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from cli import (
    backtest,
    dataset,
    demo,
    indicator,
    ledger,
    serve,
    status,
    strategy,
    study,
    study_change,
    study_results,
    study_run,
    token,
)

app = typer.Typer(
    help="Searches the parameters of trading strategies, and says what it found.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
study_change.register(study.app)
study_results.register(study.app)
study_run.register(study.app)
app.add_typer(dataset.app, name="dataset")
app.add_typer(strategy.app, name="strategy")
app.add_typer(indicator.app, name="indicator")
app.add_typer(backtest.app, name="backtest")
app.add_typer(study.app, name="study")
app.add_typer(ledger.app, name="ledger")
app.add_typer(token.app, name="token")
app.command("status")(status.command)
app.command("serve")(serve.command)
app.command("demo")(demo.command)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assay {version('assay')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_say_version, help="Say the version and leave.")
    ] = False,
) -> None:
    """Search the parameters of trading strategies, and say what was found.

    Exits 0 when all went well, 1 when a service said no, 2 on bad usage, 130 when interrupted.
    """
