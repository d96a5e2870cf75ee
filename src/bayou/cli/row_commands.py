"""The commands `bayou inspect`, `bayou shuffle` and `bayou compress`, for rows in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bayou.cli.command_errors import reported
from bayou.cli.command_options import (
    Columns,
    Debug,
    DropNulls,
    Format,
    Json,
    Memory,
    Paths,
    Query,
    Seed,
)

if TYPE_CHECKING:
    from bayou.sources import Source


def inspect(
    data: Paths,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the fields, the size and the nulls of rows, and whether they are in some order."""
    with reported(debug):
        from rich.console import Console

        import bayou as by
        from bayou.cli.printed import print_json

        inspection = by.inspect(_open_rows(data, file_format, columns, query, drop_nulls))
        if as_json:
            print_json({**vars(inspection), "advice": inspection.advice})
        else:
            Console().print(inspection)


def shuffle(
    data: Paths,
    out: Annotated[str, typer.Argument(help="The folder to write, which must not exist.")],
    random_seed: Seed = None,
    memory: Memory = "1 GiB",
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write rows in random order into a store.

    If it is interrupted, run it again with the same arguments to resume.
    """
    with reported(debug):
        import bayou as by
        from bayou.cli.printed import print_json

        rows = _open_rows(data, file_format, columns, query, drop_nulls)
        store = by.shuffle(rows, out, random_seed=random_seed, memory=memory)
        if as_json:
            print_json({"rows": store.num_rows, "out": out})
        else:
            typer.echo(store)


def compress(
    data: Paths,
    out: Annotated[str, typer.Argument(help="The file of Parquet to write.")],
    count: Annotated[
        str, typer.Option(help="The name of the column with the numbers of rows.")
    ] = "count",
    weights: Annotated[
        str | None,
        typer.Option(help="A column that says how often each row counts already."),
    ] = None,
    memory: Memory = "1 GiB",
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the distinct rows into a file, each with the number of its rows."""
    with reported(debug):
        import bayou as by
        from bayou.cli.printed import print_json
        from bayou.cli.recipe import RowFiles

        # Typer passes an empty list if there is no such option.
        chosen = RowFiles.of(data, file_format, columns, query, drop_nulls).columns
        more = [] if weights is None or not chosen else [weights]
        rows = _open_rows(data, file_format, [*chosen, *more], query, drop_nulls)
        cells = by.compress(
            rows, chosen or None, count=count, weights=weights, out=out, memory=memory
        )
        if as_json:
            print_json({"rows": rows.num_rows, "distinct": cells.num_rows, "out": out})
        else:
            typer.echo(
                f"{rows.num_rows:,} rows as {cells.num_rows:,} distinct, each counted: {out}"
            )


def _open_rows(
    data: str,
    file_format: str | None,
    columns: list[str] | None,
    query: str | None,
    drop_nulls: bool,
) -> Source:
    from bayou.cli.recipe import RowFiles

    return RowFiles.of(data, file_format, columns, query, drop_nulls).open()
