"""`assay token`: tokens for services that ask for them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from services.common.security.roles import MOST_NAME_CHARACTERS, digest_of, new_token

app = typer.Typer(help="Tokens for services that ask for them.", no_args_is_help=True)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Who calls with it, without spaces.")],
    role: Annotated[Literal["read", "run", "admin"], typer.Option(help="What it may do.")] = "run",
) -> None:
    """Make a token: itself on stdout, the line for ASSAY_TOKENS_FILE on stderr.

    The file holds only its SHA-256, so keep the token itself where the caller finds it
    (ASSAY_TOKEN_FILE); nobody can tell it from the line.
    """
    if not name or any(letter.isspace() or letter == "#" for letter in name):
        raise typer.BadParameter("a name has no spaces and no #", param_hint="NAME")
    if len(name) > MOST_NAME_CHARACTERS:
        told = f"a name has at most {MOST_NAME_CHARACTERS} characters"
        raise typer.BadParameter(told, param_hint="NAME")
    token = new_token()
    typer.echo(token)
    typer.echo(f"{name} {role} {digest_of(token)}", err=True)
