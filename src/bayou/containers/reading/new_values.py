"""Reads the new values of data containers: arrays by the names of containers, columns by theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pymc.exceptions import ShapeError
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.reading.column_reader import columns_of, matched, refuse_beyond, table_of
from bayou.containers.reading.dropped_rows import AllRows
from bayou.containers.reading.labelled_array import LabelledArray, to_array
from bayou.containers.reading.new_columns import read_all
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.imputation import check_imputed
from bayou.sources.named_columns import Named, named
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.variables.dims import Labels


@dataclass(frozen=True, eq=False)
class NewValues:
    """What a container is to hold.

    Attributes
    ----------
    table : LabelledArray
        The values of all rows, with the index of each axis that has one.
    lacking : ndarray of bool, shape (rows,), optional
        Which rows are to be left out.
    source : str
        Where the rows came from, in words.
    """

    table: LabelledArray
    source: str
    lacking: NDArray[np.bool_] | None = None

    @property
    def rows(self) -> AllRows:
        """All rows, with those that are to be left out."""
        array = self.table.array
        lacking = self.lacking
        return AllRows(array, np.zeros(len(array), dtype=bool) if lacking is None else lacking)


def read_values(
    model: Any, new_data: Any, given: Mapping[str, Labels]
) -> dict[SharedVariable, NewValues]:
    """Read what the argument `new_data` of ``set_data`` brings, for each container.

    Parameters
    ----------
    model : pymc.Model
        That has the containers.
    new_data : mapping or table
        Values by the names of containers, or columns by theirs.
    given : mapping of str to tuple
        The new labels of dims.
    """
    if not _is_by_container(model, new_data):
        if named(new_data) is None:
            raise TypeError(
                f"`new_data` must map names to values, got a {type(new_data).__name__}, which has "
                "no named columns either.\n"
                "Hint: call `set_data({'x': values})`, or `set_data(frame)`."
            )
        table = table_of(new_data, "`new_data`")
        return _read_columns(model, table, _fed_by(model, table), "`new_data`")
    values: dict[SharedVariable, NewValues] = {}
    for name, value in new_data.items():
        variable = _container(model, name)
        if variable in values:
            raise ValueError(
                f"`new_data` must name a container once, got {variable.name!r} twice.\n"
                "Hint: name it with or without the model's prefix, not both."
            )
        values[variable] = _read_value(model, variable, value, given)
    return values


def check_features(model: Any, variable: Any, given: Mapping[str, Labels]) -> None:
    """Refuse labels for the columns of a matrix that are not their names."""
    columns = columns_of(variable)
    if columns is None or not columns.is_matrix:
        return
    dim = dims_of(model, variable)[1]
    if dim is not None and given.get(dim, columns.names) != columns.names:
        raise ValueError(
            f"`coords[{dim!r}]` must be the columns of data container {variable.name!r}, "
            f"{columns.names}, got {given[dim]}.\n"
            "Hint: leave it out, or build a container of other columns."
        )


def _is_by_container(model: Any, new_data: Any) -> bool:
    """Whether new data map names of containers, and not of columns, to values."""
    if not isinstance(new_data, Mapping):
        return False
    columns = {name for variable in model.root.data_vars for name in _columns(variable)}
    containers = {key for key in new_data if is_container(model, key)}
    # A container may have the name of its column; another key then tells what is meant.
    return (
        bool(containers - columns) or len(containers) == len(new_data) or not columns & {*new_data}
    )


def is_container(model: Any, name: Any) -> bool:
    """Whether a name is that of a data container, as ``model[name]`` finds it."""
    try:
        variable = model[name]
    except (KeyError, ValueError, AttributeError):
        return False
    return variable in model.data_vars


def _columns(variable: Any) -> tuple[str, ...]:
    columns = columns_of(variable)
    return () if columns is None else columns.names


def _fed_by(model: Any, table: Named) -> list[SharedVariable]:
    """Return the containers that a table feeds: those that share their first dim all or none."""
    groups: dict[Any, list[Any]] = {}
    for variable in model.root.data_vars:
        if columns_of(variable) is not None:
            first = dims_of(model, variable)[0]
            groups.setdefault(variable if first is None else first, []).append(variable)
    meant = [
        group
        for group in groups.values()
        if any(name in table.names for variable in group for name in _columns(variable))
    ]
    if not groups:
        raise TypeError(
            "`new_data` must map names to values for a model without named columns, got a "
            f"{table.words}.\nHint: call `set_data({{'x': values}})`, or build containers with "
            "`columns=`."
        )
    return [variable for group in meant or groups.values() for variable in group]


def _read_columns(
    model: Any, table: Named, variables: Iterable[Any], what: str
) -> dict[SharedVariable, NewValues]:
    """Read the columns of containers from one table."""
    chosen = list(variables)
    if any(variable.tag.columns.missing != "refuse" for variable in chosen):
        held = [name for v in chosen for name in _columns(v) if name in table.names]
        table = table.collected(held) if held else table
    found = matched(model, table, chosen, what)
    arrays = read_all([reader.column for reader in found.values()])
    return {
        variable: _of_rows(variable, table, reader, array)
        for (variable, reader), array in zip(found.items(), arrays, strict=True)
    }


def _of_rows(variable: Any, table: Named, reader: ColumnReader, array: NDArray[Any]) -> NewValues:
    values, missing = reader.split(array)
    if reader.columns.missing == "refuse":
        reader.refuse_missing(missing)
    elif reader.columns.missing == "impute":
        check_imputed(variable, missing)
    _check_shape(variable, values.shape)
    labels = (table.labels(reader.columns.names),) + (None,) * (values.ndim - 1)
    lacking = None
    if reader.columns.missing == "drop":
        lacking = missing.reshape(len(missing), -1).any(axis=1)
    return NewValues(LabelledArray(values, labels), table.words, lacking)


def _read_value(
    model: Any, variable: SharedVariable, value: Any, given: Mapping[str, Labels]
) -> NewValues:
    """Read the new value of a container: of its dtype, rank and static shape."""
    columns = columns_of(variable)
    words, what = type(value).__name__, f"`new_data[{variable.name!r}]`"
    if columns is not None:
        table = named(value)
        if table is not None and not table.is_series:
            return _read_columns(model, table, [variable], what)[variable]
        held_otherwise = columns.categories is not None or columns.dates
        if not columns.is_matrix and not (held_otherwise and _are_numbers(value)):
            index = value.index if isinstance(value, pd.Series) else None
            column = Named(columns.names, words, {columns.names[0]: value}, index)
            return _read_columns(model, column, [variable], what)[variable]
    if isinstance(value, pd.DataFrame) and exports(variable) and variable.type.ndim == 2:
        value = _columns_in_order(model, dims_of(model, variable)[1], value, given)
    table_of_value = to_array(value, what, variable.type.dtype)
    array = table_of_value.array
    _check_shape(variable, array.shape)
    if columns is not None and columns.is_matrix and array.shape[1] != len(columns.names):
        raise ShapeError(
            f"{what} must have a column for each of {listed(columns.names)}, got a value of shape "
            f"{array.shape}.\nHint: pass a frame, whose columns are matched by name."
        )
    if columns is not None and columns.categories is not None:
        refuse_beyond(what, array, columns.categories)
    return NewValues(table_of_value, words)


def _are_numbers(value: Any) -> bool:
    """Whether a value is codes or days, as a container holds them, and not text or dates."""
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf"
    return dtype is None and np.asarray(value).dtype.kind in "biuf"


def _check_shape(variable: Any, shape: tuple[int, ...]) -> None:
    what, static = f"`new_data[{variable.name!r}]`", variable.type.shape
    if len(shape) != len(static):
        raise ShapeError(
            f"{what} must have {len(static)} axes like its container, "
            f"got a value of shape {shape}.\n"
            "Hint: a container keeps its rank; create another one for values of another rank."
        )
    if any(fixed not in (None, size) for fixed, size in zip(static, shape, strict=True)):
        raise ShapeError(
            f"{what} must fit the static shape {static} of its container, "
            f"got a value of shape {shape}.\n"
            "Hint: create the container without a static shape to resize it."
        )


def _container(owner: Any, name: str) -> SharedVariable:
    """Return the data container of that name, found as ``model[name]`` finds it."""
    try:
        variable = owner[name]
    except (KeyError, ValueError, AttributeError):
        names = ", ".join(repr(variable.name) for variable in owner.data_vars)
        raise ValueError(
            f"`new_data` must name data containers of the model, got {name!r}.\n"
            f"Hint: the model has {names or 'none; create one with `Data`'}."
        ) from None
    if variable in owner.data_vars and isinstance(variable, SharedVariable):
        return variable
    kinds = {
        "free_RVs": "free random variable",
        "observed_RVs": "observed random variable",
        "deterministics": "deterministic",
        "potentials": "potential",
    }
    kind = next((noun for group, noun in kinds.items() if variable in getattr(owner, group)), None)
    raise TypeError(
        f"`new_data` must name data containers, got {name!r}, a "
        f"{kind or type(variable).__name__}.\n"
        "Hint: put values that change into the model with `Data`."
    )


def _columns_in_order(
    owner: Any, dim: str | None, frame: pd.DataFrame, given: Mapping[str, Labels]
) -> pd.DataFrame:
    """Put columns back in the order of the coords, where nothing but their order differs."""
    labels = None if dim is None or dim in given else owner.coords[dim]
    if labels is None or len(labels) != len(frame.columns) or set(labels) != set(frame.columns):
        return frame
    return frame.loc[:, list(labels)]


def exports(variable: SharedVariable) -> bool:
    """Whether the index of a container's values labels its dims."""
    return bool(getattr(variable.tag, "export_index_as_coords", False))
