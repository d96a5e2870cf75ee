"""The command ``bayou``: look at rows in files, and shuffle them on disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

import bayou as by
from bayou.preparation.inspect import inspect as look_at
from bayou.preparation.shuffle import shuffle as write_shuffled
from bayou.sources import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bayou.sources import Source
    from bayou.sources.base.nulls import Nulls

app = typer.Typer(help="The data layer for Bayesian models.", no_args_is_help=True)

Format = Annotated[
    str | None,
    typer.Option("--format", help="What the files are, where their names do not tell."),
]
Columns = Annotated[
    list[str] | None, typer.Option(help="A column to keep; give it several times for several.")
]
DropNulls = Annotated[
    bool, typer.Option("--drop-nulls", help="Leave out rows with nulls, which else are an error.")
]
Paths = Annotated[str, typer.Argument(help="A file, folder, glob or URL.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(by.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Run the command that is named."""


@app.command()
def inspect(
    path: Paths, kind: Format = None, columns: Columns = None, drop_nulls: DropNulls = False
) -> None:
    """Say what rows look like: fields, size, nulls, order, and what to do about it."""
    with _errors():
        Console().print(look_at(_rows(path, kind, columns, drop_nulls)))


@app.command()
def shuffle(
    path: Paths,
    out: Annotated[str, typer.Argument(help="The folder to write, which must not exist.")],
    seed: Annotated[int | None, typer.Option(help="Decides the order; drawn if left out.")] = None,
    memory: Annotated[str, typer.Option(help='What may be held, such as "512 MiB".')] = "1 GiB",
    kind: Format = None,
    columns: Columns = None,
    drop_nulls: DropNulls = False,
) -> None:
    """Write rows in random order into a store. Interrupted, it goes on when called again."""
    with _errors():
        rows = _rows(path, kind, columns, drop_nulls)
        typer.echo(write_shuffled(rows, out, random_seed=seed, memory=memory))


def _rows(path: str, kind: str | None, columns: list[str] | None, drop_nulls: bool) -> Source:
    # Typer gives an empty list where an option is not given.
    nulls: Nulls = "drop" if drop_nulls else "refuse"
    return scan(path, format=kind, columns=columns or None, nulls=nulls)


@contextmanager
def _errors() -> Iterator[None]:
    """Print what bayou raises as its message alone, and exit with code 2."""
    try:
        yield
    except (ImportError, OSError, TypeError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
