"""The commands `bayou predict` and `bayou verify`, for results of fits and samples on the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayou.cli.command_errors import reported
from bayou.cli.command_options import (
    Columns,
    Debug,
    DropNulls,
    Format,
    Json,
    Options,
    Query,
    Seed,
)

if TYPE_CHECKING:
    from bayou.cli.recipe import Recipe
    from bayou.cli.result_file import ResultFile
    from bayou.containers.context import ModelLike

ResultPath = Annotated[
    str, typer.Argument(metavar="RESULT", help="A result of `bayou fit` or `bayou sample`.")
]
OtherModel = Annotated[
    str | None,
    typer.Option(metavar="MODEL.py", help="The file of the model, if it has moved."),
]
OtherData = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="The data of the result, if they have moved."),
]
OtherFunction = Annotated[
    str | None, typer.Option(help="The function in the file, if its name has changed.")
]


def predict(
    result: ResultPath,
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The new rows, given as DATA of bayou fit is.")
    ],
    out: Annotated[
        str,
        typer.Option(
            help="A new path: .parquet for summaries, a row for each new row; .zarr for all draws."
        ),
    ],
    var_names: Annotated[
        list[str] | None,
        typer.Option(
            help="A variable to predict; repeat it for several. By default all observed ones."
        ),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, help="Number of parameter draws to predict with.")
    ] = None,
    random_seed: Seed = None,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    model: OtherModel = None,
    data: OtherData = None,
    function: OtherFunction = None,
    option: Options = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict new rows from a result. Memory use does not grow with their number.

    If it is interrupted, run it again with the same arguments to continue.
    """
    with reported(debug, goes_on=True):
        import bayou as by
        from bayou.cli.printed import print_json
        from bayou.cli.recipe import RowFiles
        from bayou.cli.result_file import check_new, open_result

        check_new(out, (".parquet", ".zarr"))
        opened = open_result(result)
        rows = RowFiles.of(new, file_format, columns, query, drop_nulls).open()
        built = _recipe(opened, model, data, function, option).build()
        _check_variables(opened, built)
        by.predict(
            opened.load(built),
            rows,
            var_names=var_names or None,
            draws=draws,
            model=built,
            random_seed=random_seed,
            out=out,
        )
        if as_json:
            print_json({"rows": rows.num_rows, "out": out})
        else:
            number = "all" if rows.num_rows is None else f"{rows.num_rows:,}"
            typer.echo(f"predictions of {number} rows: {out}")


def verify(
    result: ResultPath,
    model: OtherModel = None,
    data: OtherData = None,
    function: OtherFunction = None,
    option: Options = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check whether a result matches its model and its data as they are now.

    If not, the differences are printed, and the exit code is 3.
    """
    with reported(debug) as outcome:
        from bayou.cli.printed import print_json
        from bayou.cli.result_file import open_result
        from bayou.models.plain.plain_model import read_model
        from bayou.provenance.model_provenance import provenance_of
        from bayou.provenance.verify_result import compare

        opened = open_result(result)
        if opened.provenance is None:
            raise ValueError(
                f"`RESULT` must have a record of its model and data, got {result!r} without one.\n"
                "Hint: results of bayou have it; those of pm.sample do not."
            )
        built = _recipe(opened, model, data, function, option).build()
        verification = compare(opened.provenance, provenance_of(read_model(built)))
        outcome.is_doubtful = not verification
        if as_json:
            print_json({"matches": bool(verification), "differences": verification.differences})
        else:
            typer.echo(str(verification))


def _recipe(
    opened: ResultFile,
    model: str | None,
    data: str | None,
    function: str | None,
    option: list[str] | None,
) -> Recipe:
    """Return how the model of a result is made: as recorded, or as the options say."""
    from bayou.cli.option_values import split_options
    from bayou.cli.recipe import Recipe, RowFiles

    recipe = opened.recipe
    if recipe is None:
        if model is None or data is None:
            raise ValueError(
                f"`--model` and `--data` must be given for {str(opened.path)!r}, which does not "
                "say by which files it was made.\nHint: --model MODEL.py --data DATA."
            )
        recipe = Recipe(model, RowFiles(data))
    elif model is None and not Path(recipe.model).is_file():
        raise FileNotFoundError(
            f"`RESULT` must be of a model file that is where it was, got {str(opened.path)!r} of "
            f"{recipe.model!r}, which is gone.\nHint: --model MODEL.py says where it is now."
        )
    if data is not None:
        recipe = replace(recipe, rows=replace(recipe.rows, data=data, format=None))
    return replace(
        recipe,
        model=model or recipe.model,
        function=function or recipe.function,
        options={**recipe.options, **split_options(option or [])},
    )


def _check_variables(opened: ResultFile, model: ModelLike) -> None:
    """Check that draws are of the variables of a model: a saved fit is checked as it is loaded."""
    from bayou.models.plain.plain_model import read_model
    from bayou.provenance.model_provenance import provenance_of
    from bayou.text import listed

    if opened.tree is None or opened.provenance is None:
        return
    before, now = opened.provenance.variables, provenance_of(read_model(model)).variables
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        raise ValueError(
            f"`RESULT` must be of the model as it is now, got {str(opened.path)!r} of a model in "
            f"which other definitions had {listed(changed)}.\n"
            "Hint: pass the file as it was with --model, or fit again."
        )
