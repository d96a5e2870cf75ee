"""The command `bayou`: rows in files, and models in Python files, without a line of Python.

``row_commands`` look at rows and rewrite them. ``model_commands`` fit, sample and describe the
model of a file, and ``result_commands`` predict from what they wrote, and check it. Tables and JSON
go to the standard output; progress, warnings and errors to the standard error.
"""

from __future__ import annotations

from typing import Annotated

import typer

import bayou as by
from bayou.cli import model_commands, result_commands, row_commands

app = typer.Typer(
    help="The data layer for Bayesian models.",
    epilog="Exit codes: 0 done; 1 failed; 2 invalid arguments or data, nothing was written; "
    "3 done, but do not rely on the result; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(by.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Hold the options of the command `bayou` itself."""


for _command in (
    model_commands.fit,
    model_commands.sample,
    result_commands.predict,
    model_commands.describe,
    result_commands.verify,
    row_commands.inspect,
    row_commands.shuffle,
    row_commands.compress,
):
    app.command()(_command)
