"""A Python file with a function that makes a model of data, and the data as that function wants it.

The function gets a :class:`bayou.Source`, which stays in its files, or a frame where its first
parameter is annotated as one.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import redirect_stdout
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from bayou.cli.command_errors import MODEL_MODULE
from bayou.cli.option_values import data_annotation, option_values
from bayou.containers.context import is_model
from bayou.feeding.read import read_tables
from bayou.sources.base.arrow_table import arrow_table
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bayou.containers.context import ModelLike
    from bayou.sources import Source

# How annotations call frames; those for type checkers alone remain texts.
FRAMES = {
    "pandas": {"pandas.core.frame.DataFrame", "pandas.DataFrame", "pd.DataFrame", "DataFrame"},
    "polars": {"polars.dataframe.frame.DataFrame", "polars.DataFrame", "pl.DataFrame"},
    "arrow": {"pyarrow.lib.Table", "pyarrow.Table", "pa.Table"},
}


def build_model(
    path: Path, function: str, texts: Mapping[str, str], open_rows: Callable[[], Source]
) -> ModelLike:
    """Return the model that a file makes of data.

    Parameters
    ----------
    path : Path
        The file. Its folder is on the path of imports, as that of a script is.
    function : str
        The name of the function in it.
    texts : mapping of str to str
        Its arguments beside the data, as texts.
    open_rows : callable
        () -> the rows. The file is read before.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the function returns something else.
    ValueError
        If the file has no such function, or the function does not take such arguments.
    """
    make = _function(_load(path), path, function)
    where = f"`{function}` in {path.name}"
    try:
        annotation = data_annotation(make)
    except ValueError as error:
        raise ValueError(
            f"{where} must take the data as its first argument, but {error}.\n"
            f"Hint: def {function}(data) -> pm.Model."
        ) from None
    options = option_values(make, texts, where)
    rows = _as_annotated(open_rows(), annotation)
    # What it prints is not part of what the command prints.
    with redirect_stdout(sys.stderr):
        model: ModelLike = cast("Any", make)(rows, **options)
    if not is_model(model):
        got = "None" if model is None else type_text(model)
        raise TypeError(
            f"{where} must return the model, got {got}.\nHint: end it with `return model`."
        )
    return model


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(
            f"`MODEL.py` must be a Python file that exists, got {str(path)!r}.\n"
            "Hint: check the name; the model comes before the data."
        )
    if path.suffix != ".py":
        raise ValueError(
            f"`MODEL.py` must be a Python file, got {str(path)!r}.\n"
            "Hint: the model comes before the data."
        )
    spec = importlib.util.spec_from_file_location(MODEL_MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[MODEL_MODULE] = module
    folder = str(path.parent.absolute())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except SystemExit as error:
        raise ValueError(
            f"`MODEL.py` must define a function and no more, got {path.name}, which ends the "
            'program as it is read.\nHint: put what it does below `if __name__ == "__main__":`.'
        ) from error
    return module


def _function(module: ModuleType, path: Path, name: str) -> Callable[..., object]:
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    functions = [
        other
        for other, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == MODEL_MODULE
        and not other.startswith("_")
    ]
    what = f"no {name!r}" if found is None else f"{name!r}, {type_text(found)}"
    hint = (
        f"--function {functions[0]}; the file has {listed(functions)}"
        if functions
        else f"write the model as a function, def {name}(data), that returns it"
    )
    raise ValueError(
        f"`--function` must name a function in {path.name}, got {what}.\nHint: {hint}."
    )


def _as_annotated(data: Source, annotation: object) -> object:
    """Return the rows as the frame that an annotation names, else as a source."""
    name = annotation if isinstance(annotation, str) else _full_name(annotation)
    kind = next((kind for kind, names in FRAMES.items() if name in names), None)
    if kind is None:
        return data
    table = _table(data)
    if kind == "arrow":
        return table
    if kind == "polars":
        import polars as pl

        return pl.from_arrow(table)
    return table.to_pandas()


def _full_name(annotation: object) -> str:
    return f"{getattr(annotation, '__module__', '')}.{getattr(annotation, '__qualname__', '')}"


def _table(data: Source) -> pa.Table:
    names = list(data.fields)
    pieces = [
        arrow_table(data.fields, {name: np.asarray(values) for name, values in table.items()})
        for table in read_tables(data, names)
    ]
    return pa.concat_tables(pieces, promote_options="permissive")
