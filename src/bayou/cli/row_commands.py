"""The commands `bayou inspect`, `bayou shuffle` and `bayou compress`, for rows in files."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

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


def inspect(
    data: Paths,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the fields, size and nulls of rows, and whether the rows look sorted."""
    with reported(debug):
        from rich.console import Console

        import bayou as by
        from bayou.cli.printed import print_json
        from bayou.cli.recipe import RowFiles

        rows = RowFiles.of(data, file_format, columns, query, drop_nulls).open()
        inspection = by.inspect(rows)
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
    """Write rows in random order into a new folder.

    If it is interrupted, run it again with the same arguments to continue.
    """
    with reported(debug, goes_on=True):
        import bayou as by
        from bayou.cli.printed import print_json
        from bayou.cli.recipe import RowFiles

        rows = RowFiles.of(data, file_format, columns, query, drop_nulls).open()
        store = by.shuffle(rows, out, random_seed=random_seed, memory=memory)
        if as_json:
            print_json({"rows": store.num_rows, "out": out})
        else:
            typer.echo(store)


def compress(
    data: Paths,
    out: Annotated[str, typer.Argument(help="The new Parquet file to write.")],
    count: Annotated[str, typer.Option(help="The name of the column for the counts.")] = "count",
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
    """Write the distinct rows into a file, each with the number of times it occurs."""
    with reported(debug):
        import bayou as by
        from bayou.cli.printed import print_json
        from bayou.cli.recipe import RowFiles

        asked = RowFiles.of(data, file_format, columns, query, drop_nulls)
        more = [] if weights is None or not asked.columns else [weights]
        rows = replace(asked, columns=(*asked.columns, *more)).open()
        cells = by.compress(
            rows, asked.columns or None, count=count, weights=weights, out=out, memory=memory
        )
        if as_json:
            print_json({"rows": rows.num_rows, "distinct": cells.num_rows, "out": out})
        else:
            typer.echo(
                f"{rows.num_rows:,} rows as {cells.num_rows:,} distinct, each counted: {out}"
            )
