"""The arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Format = Annotated[
    str | None,
    typer.Option("--format", help="The format of the files, if their names do not show it."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="Columns to read, separated by commas; may be repeated. By default all."),
]
DropNulls = Annotated[
    bool,
    typer.Option("--drop-nulls", help="Leave out rows with nulls. Otherwise, nulls are an error."),
]
Query = Annotated[
    str | None,
    typer.Option(
        help="For a database: a SELECT whose ORDER BY has no ties, so that the order is fixed."
    ),
]
Paths = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A file, folder, glob or URL of files, or a database: sqlite:///FILE, duckdb:///FILE, "
        "postgresql://...",
    ),
]
ModelPath = Annotated[
    str,
    typer.Argument(
        metavar="MODEL.py",
        help="A Python file with a function that takes the data and returns the model.",
    ),
]
Function = Annotated[str, typer.Option(help="The function in the file.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An argument of the function other than the data; repeat it for several.",
    ),
]
RowWeights = Annotated[
    str | None,
    typer.Option("--weights", help="The container that says how often each row counts."),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--random-seed", "--seed", help="The seed of random numbers. By default a new one."
    ),
]
Memory = Annotated[str, typer.Option(help='The most memory to use, such as "512 MiB".')]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]
