"""The command `bayou`: inspect rows in files, shuffle them on disk, and count distinct ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

import bayou as by
from bayou.preparation.compress import compress as count_distinct
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
    typer.Option("--format", help="The format of the files, if their names do not have it."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="A column to read; repeat the option for several. By default all."),
]
DropNulls = Annotated[
    bool, typer.Option("--drop-nulls", help="Leave out rows with nulls, instead of an error.")
]
Paths = Annotated[str, typer.Argument(help="A file, folder, glob or URL.")]


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


@app.command()
def inspect(
    path: Paths, kind: Format = None, columns: Columns = None, drop_nulls: DropNulls = False
) -> None:
    """Print the fields, the size and the nulls of rows, and whether they are in some order."""
    with _short_errors():
        Console().print(look_at(_open_rows(path, kind, columns, drop_nulls)))


@app.command()
def shuffle(
    path: Paths,
    out: Annotated[str, typer.Argument(help="The folder to write, which must not exist.")],
    random_seed: Annotated[
        int | None,
        typer.Option("--random-seed", "--seed", help="Decides the order. By default drawn."),
    ] = None,
    memory: Annotated[
        str, typer.Option(help='The most memory to use, such as "512 MiB".')
    ] = "1 GiB",
    kind: Format = None,
    columns: Columns = None,
    drop_nulls: DropNulls = False,
) -> None:
    """Write rows in random order into a store.

    If it is interrupted, run it again with the same arguments to resume.
    """
    with _short_errors():
        rows = _open_rows(path, kind, columns, drop_nulls)
        typer.echo(write_shuffled(rows, out, random_seed=random_seed, memory=memory))


@app.command()
def compress(
    path: Paths,
    out: Annotated[str, typer.Argument(help="The file of Parquet to write.")],
    count: Annotated[
        str, typer.Option(help="The name of the column with the numbers of rows.")
    ] = "count",
    weights: Annotated[
        str | None,
        typer.Option(help="A column that says how often each row counts already."),
    ] = None,
    memory: Annotated[
        str, typer.Option(help='The most memory for distinct rows, such as "512 MiB".')
    ] = "1 GiB",
    kind: Format = None,
    columns: Columns = None,
    drop_nulls: DropNulls = False,
) -> None:
    """Write the distinct rows into a file, each with the number of its rows."""
    chosen = None if not columns else [*columns, *([] if weights is None else [weights])]
    with _short_errors():
        rows = _open_rows(path, kind, chosen, drop_nulls)
        cells = count_distinct(
            rows, columns or None, count=count, weights=weights, out=out, memory=memory
        )
        typer.echo(f"{rows.num_rows:,} rows as {cells.num_rows:,} distinct, each counted: {out}")


def _open_rows(path: str, kind: str | None, columns: list[str] | None, drop_nulls: bool) -> Source:
    # Typer passes an empty list if there is no such option.
    nulls: Nulls = "drop" if drop_nulls else "refuse"
    return scan(path, format=kind, columns=columns or None, nulls=nulls)


@contextmanager
def _short_errors() -> Iterator[None]:
    """Print an error of bayou without its traceback, and exit with code 2."""
    try:
        yield
    except (ImportError, OSError, TypeError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
