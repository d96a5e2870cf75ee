"""Reads the argument `new_data` of ``set_data``: values by container, or a table by its columns.

Every value is read, matched and cast before anything in the model changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant

from bayou.containers.reading.category_table import check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.dropped_rows import AllRows
from bayou.containers.reading.labelled_array import (
    LabelledArray,
    in_dim_order,
    is_sparse,
    read_sparse,
    to_array,
)
from bayou.containers.reading.new_columns import read_all_rows
from bayou.containers.sparse.sparse_container import is_sparse_variable
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.imputation import check_imputed
from bayou.sources.in_memory.memory_columns import MemoryColumns
from bayou.sources.kinds import named_columns
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.sharedvar import TensorSharedVariable

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.reading.columns import Columns
    from bayou.containers.variables.dims import Labels, Numbers
    from bayou.sources.base.named_columns import NamedColumns

# The groups of variables of a model, by the attribute that lists them.
_VARIABLE_KINDS = {
    "free_RVs": "free random variable",
    "observed_RVs": "observed random variable",
    "deterministics": "deterministic",
    "potentials": "potential",
}


@dataclass(frozen=True, eq=False)
class NewValues:
    """The new values of a container.

    Attributes
    ----------
    table : LabelledArray
        The values of all rows, with the index of each axis that has one.
    source : str
        Where the rows came from, for messages.
    rows : AllRows
        The same values, and which rows are to be dropped. Not for a value without axes.
    """

    table: LabelledArray
    source: str
    rows: AllRows | None


def read_values(
    model: pm.Model, new_data: object, coords: Mapping[str, Labels]
) -> dict[TensorSharedVariable, NewValues]:
    """Read the argument `new_data` of ``set_data``, for each container that it has values for.

    Parameters
    ----------
    model : pymc.Model
        The model that has the containers; it stays as it is.
    new_data : mapping or table
        Values by the names of containers, or columns by theirs.
    coords : mapping of str to tuple
        The new labels of dims.
    """
    if not isinstance(new_data, Mapping) or not _is_by_container(model, new_data):
        if named_columns(new_data) is None:
            raise TypeError(
                "`new_data` must be a mapping of names to values, or a table, got "
                f"{type_text(new_data)}.\n"
                "Hint: call `set_data({'x': values})`, or `set_data(frame)`."
            )
        table = require_table(new_data, "`new_data`")
        return _read_columns(model, table, _fed_by(model, table), "`new_data`")
    values: dict[TensorSharedVariable, NewValues] = {}
    for name, value in new_data.items():
        variable = _container(model, name)
        if variable in values:
            raise ValueError(
                f"`new_data` must name a container once, got {variable.name!r} twice.\n"
                "Hint: name it with or without the model's prefix, not both."
            )
        values[variable] = _read_value(model, variable, value, coords)
    return values


def check_features(
    model: pm.Model, variable: TensorSharedVariable, coords: Mapping[str, Labels]
) -> None:
    """Check that new labels of a matrix's columns are the names of the columns.

    Raises
    ------
    ValueError
        If they are not: the columns of a container stay those that it was built from.
    """
    columns = columns_of(variable)
    if columns is None or not columns.is_matrix:
        return
    dim = dims_of(model, variable)[1]
    if dim is not None and coords.get(dim, columns.names) != columns.names:
        raise ValueError(
            f"`coords[{dim!r}]` must be the columns of data container {variable.name!r}, "
            f"{columns.names}, got {coords[dim]}.\n"
            "Hint: leave it out, or build a container of other columns."
        )


def exports_index(variable: TensorSharedVariable) -> bool:
    """Whether the index of a container's values labels its dims."""
    return bool(getattr(variable.tag, "export_index_as_coords", False))


def is_container(model: pm.Model, name: object) -> bool:
    """Whether a name is that of a data container, as ``model[name]`` looks it up."""
    variable = _look_up(model, name)
    return variable is not None and variable in model.data_vars


def _look_up(model: pm.Model, name: object) -> Variable | None:
    """Return the variable of a name, with or without the model's prefix; None if there is none."""
    try:
        return model[name]
    # PyMC's look-up raises any of these, by whether the name is text and has a prefix.
    except (KeyError, ValueError, AttributeError):
        return None


def _is_by_container(model: pm.Model, new_data: Mapping[Hashable, object]) -> bool:
    """Whether new data map the names of containers, and not those of columns, to values."""
    columns = {name for variable in model.root.data_vars for name in _column_names(variable)}
    containers = {key for key in new_data if is_container(model, key)}
    # A container may have the name of its column; then the other keys decide.
    return (
        bool(containers - columns) or len(containers) == len(new_data) or not columns & {*new_data}
    )


def _column_names(variable: TensorSharedVariable) -> tuple[str, ...]:
    columns = columns_of(variable)
    return () if columns is None else columns.names


def _fed_by(model: pm.Model, table: NamedColumns) -> list[TensorSharedVariable]:
    """Return the containers that a table has columns for: of each first dim all, or none."""
    groups: dict[str | TensorSharedVariable, list[TensorSharedVariable]] = {}
    for variable in model.root.data_vars:
        if columns_of(variable) is not None:
            first = dims_of(model, variable)[0]
            groups.setdefault(variable if first is None else first, []).append(variable)
    fed = [
        group
        for group in groups.values()
        if any(name in table.names for variable in group for name in _column_names(variable))
    ]
    if not groups:
        _check_changeable(model.root.data_vars)
        raise TypeError(
            "`new_data` must map names to values for a model without named columns, got a "
            f"{table.description}.\nHint: call `set_data({{'x': values}})`, or build containers "
            "with `columns=`."
        )
    # A table with no column at all of the model: match all, which lists what is missing.
    return [variable for group in fed or groups.values() for variable in group]


def _read_columns(
    model: pm.Model, table: NamedColumns, variables: Iterable[TensorSharedVariable], argument: str
) -> dict[TensorSharedVariable, NewValues]:
    """Read the columns of containers from one table, in one pass."""
    chosen = list(variables)
    if any(variable.tag.columns.missing != "refuse" for variable in chosen):
        names = [name for v in chosen for name in _column_names(v) if name in table.names]
        table = table.collect(names) if names else table
    readers = match_columns(model, table, chosen, argument)
    arrays = read_all_rows([reader.column for reader in readers.values()])
    return {
        variable: _read_rows(variable, table, reader, array)
        for (variable, reader), array in zip(readers.items(), arrays, strict=True)
    }


def _read_rows(
    variable: TensorSharedVariable, table: NamedColumns, reader: ColumnReader, array: Numbers
) -> NewValues:
    """Turn rows of columns into the new values of a container."""
    values, missing = reader.split_missing(array)
    _check_shape(variable, values.shape)
    labels = (table.row_labels(reader.columns.names),) + (None,) * (values.ndim - 1)
    rows = AllRows.complete(values)
    match reader.columns.missing:
        case "refuse":
            reader.check_none_missing(missing)
        case "impute":
            check_imputed(variable, missing)
        case "drop":
            rows = AllRows.without_missing(values, missing)
    return NewValues(LabelledArray(values, labels), table.description, rows)


def _read_value(
    model: pm.Model, variable: TensorSharedVariable, values: object, coords: Mapping[str, Labels]
) -> NewValues:
    """Read the new values of one container."""
    columns, argument = columns_of(variable), f"`new_data[{variable.name!r}]`"
    table = None if columns is None else as_table(columns, values)
    if table is not None:
        return _read_columns(model, table, [variable], argument)[variable]
    if isinstance(values, pd.DataFrame) and exports_index(variable) and variable.type.ndim == 2:
        values = _columns_in_order(model, dims_of(model, variable)[1], values, coords)
    array, labels = read_array(variable, in_dim_order(values, dims_of(model, variable)), argument)
    _check_shape(variable, array.shape)
    if columns is not None and columns.is_matrix and array.shape[1] != len(columns.names):
        raise ShapeError(
            f"{argument} must have a column for each of {listed(columns.names)}, got a value of "
            f"shape {array.shape}.\nHint: pass a frame, whose columns are matched by name."
        )
    if columns is not None and columns.categories is not None:
        check_codes(argument, array, columns.categories)
    rows = AllRows.complete(array) if array.ndim else None
    return NewValues(LabelledArray(array, labels), type(values).__name__, rows)


def read_array(variable: TensorSharedVariable, values: object, argument: str) -> LabelledArray:
    """Read new values that have no named columns, in the dtype of their container.

    A sparse container takes sparse and dense values, a dense one dense values alone.
    """
    dtype = variable.type.dtype
    if not is_sparse_variable(variable):
        return to_array(values, argument, dtype)
    dense = None if is_sparse(values) else to_array(values, argument)
    found = read_sparse(values if dense is None else dense.array, argument, dtype)
    return found if dense is None else found._replace(labels=dense.labels)


def as_table(columns: Columns, values: object) -> NamedColumns | None:
    """Return the values of a container of columns as a table; None if read as they are.

    A vector of one column is a table with that column, unless it is codes or days already.
    """
    table = named_columns(values)
    if table is not None and not table.is_series:
        return table
    if columns.is_matrix or (columns.is_converted and _are_numbers(values)):
        return None
    [name] = columns.names
    index = values.index if isinstance(values, pd.Series) else None
    return MemoryColumns(columns.names, type(values).__name__, {name: values}, index)


def in_label_order(values: pd.DataFrame, labels: Labels, argument: str) -> pd.DataFrame:
    """Return the columns of a frame that are the labels of a dim, in their order."""
    missing = [name for name in labels if name not in values.columns]
    if missing:
        raise ValueError(
            f"{argument} must have a column for each label of the container's dim, got a frame "
            f"without {missing}.\nHint: the columns are {list(values.columns)}."
        )
    return values.loc[:, list(labels)]


def _are_numbers(values: object) -> bool:
    """Whether values are numbers, such as codes or days, and not text or dates."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf"
    return dtype is None and np.asarray(values).dtype.kind in "biuf"


def _check_shape(variable: TensorSharedVariable, shape: tuple[int, ...]) -> None:
    """Check that a new value has the rank of its container, and its static shape."""
    argument, static = f"`new_data[{variable.name!r}]`", variable.type.shape
    if len(shape) != len(static):
        raise ShapeError(
            f"{argument} must have as many axes as its container, {len(static)}, "
            f"got a value of shape {shape}.\n"
            "Hint: a container keeps its rank; create another one for values of another rank."
        )
    if any(fixed not in (None, size) for fixed, size in zip(static, shape, strict=True)):
        raise ShapeError(
            f"{argument} must fit the static shape {static} of its container, "
            f"got a value of shape {shape}.\n"
            "Hint: create the container without a static shape to resize it."
        )


def _container(model: pm.Model, name: str) -> TensorSharedVariable:
    """Return the data container of a name, as ``model[name]`` looks it up."""
    variable = _look_up(model, name)
    if variable is None:
        names = ", ".join(repr(container.name) for container in model.data_vars)
        raise ValueError(
            f"`new_data` must name data containers of the model, got {name!r}.\n"
            f"Hint: the model has {names or 'none; create one with `Data`'}."
        )
    if variable in model.data_vars and isinstance(variable, SharedVariable):
        return variable
    if variable in model.data_vars:
        _check_changeable([variable])
    kinds = [kind for group, kind in _VARIABLE_KINDS.items() if variable in getattr(model, group)]
    raise TypeError(
        f"`new_data` must name data containers, got {name!r}, a "
        f"{(kinds or [type(variable).__name__])[0]}.\n"
        "Hint: put values that change into the model with `Data`."
    )


def _check_changeable(containers: Sequence[Variable]) -> None:
    """Check that containers exist, and that they are none of a frozen model.

    Raises
    ------
    TypeError
        If there is none, or one is frozen: names them.
    """
    frozen = sorted(v.name for v in containers if isinstance(v, Constant))
    if frozen:
        raise TypeError(
            f"`new_data` must be for data that can change, got a model in which {frozen} are "
            "frozen.\nHint: change the data of the model that was frozen, and freeze that again."
        )
    if not containers:
        raise TypeError(
            "`new_data` must be for the data containers of a model, got a model that has none.\n"
            "Hint: write its data as by.Data; or build the model again, with the new data."
        )


def _columns_in_order(
    model: pm.Model, dim: str | None, frame: pd.DataFrame, coords: Mapping[str, Labels]
) -> pd.DataFrame:
    """Put columns back in the order of the coords, where nothing but their order differs."""
    labels = None if dim is None or dim in coords else model.coords[dim]
    if labels is None or len(labels) != len(frame.columns) or set(labels) != set(frame.columns):
        return frame
    return frame.loc[:, list(labels)]
