"""New data matched to the containers of a model, by the names of columns or of containers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pytensor.graph.basic import Constant

from bayou.containers.index_bounds import check_indices
from bayou.containers.reading.category_table import check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.labelled_array import LabelledArray, in_dim_order
from bayou.containers.reading.new_columns import read_all_rows
from bayou.containers.reading.new_values import as_table, exports_index, in_label_order, read_array
from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.containers.variables.dims import dims_of, read_labels
from bayou.feeding.read import count_block_rows
from bayou.prediction.graph.forward_graph import batches_of, read_by, row_axis
from bayou.prediction.graph.row_containers import find_row_containers, stored_values
from bayou.prediction.graph.row_dim_choice import (
    changed_lengths,
    choose_row_dim,
    in_model_order,
    observed_dims,
)
from bayou.prediction.new_rows import NewRows
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pymc as pm
    import scipy.sparse
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers
    from bayou.prediction.graph.forward_graph import VariableArrays
    from bayou.prediction.graph.row_containers import RowContainers


def new_rows(
    model: pm.Model, names: Sequence[str], data: object, fitted: Collection[str]
) -> NewRows:
    """Return the rows of new data, for the containers that predictions depend on.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.
    names : sequence of str
        The variables to predict.
    data : frame, dataset, Source, or mapping of str to array_like
        A table with the columns that containers were built from; or new values by the names of
        containers.
    fitted : collection of str
        The free variables that there are draws of.

    Raises
    ------
    TypeError, ValueError
        If the data do not fit the containers, or predictions need more of them.
    """
    batches = batches_of(model)
    containers = _exchangeable(model, data) | batches
    if not containers:
        raise ValueError(
            "`model` must have data containers that new rows go into, got one whose data are "
            "arrays in its graph.\n"
            "Hint: write them as by.Data. A model of Bambi predicts by itself, from fit.sample(): "
            "see docs/libraries.md."
        )
    if not isinstance(data, Mapping) or not data or any(name not in containers for name in data):
        rows = find_row_containers(model, names, containers, batches, [])
        return _rows_of_table(
            model, data, list(containers), rows, read_by(model, names, rows.containers)
        )
    passed = {
        containers[name]: _read_values(model, names, containers[name], values, f"`data[{name!r}]`")
        for name, values in data.items()
    }
    row_dim = choose_row_dim(model, names, passed, fitted)
    rows = find_row_containers(model, names, containers, batches, passed, row_dim)
    return _rows_by_container(
        model, names, passed, containers, rows, read_by(model, names, rows.containers)
    )


def _exchangeable(model: pm.Model, data: object) -> dict[str, Variable]:
    """Return the containers whose values can be exchanged, by name.

    Raises
    ------
    ValueError
        If new data are for a constant, or there is nothing else: PyMC freezes data so.
    """
    data_vars: list[Variable] = list(model.root.data_vars)
    frozen = [variable.name for variable in data_vars if isinstance(variable, Constant)]
    passed = [name for name in frozen if isinstance(data, Mapping) and name in data]
    if passed or (frozen and len(frozen) == len(data_vars)):
        raise ValueError(
            "`model` must have containers for new rows, got the frozen "
            f"{listed(passed or frozen)}, whose values are constants.\n"
            "Hint: pass the model from before it was frozen, by.predict(fit, data, model=model)."
        )
    return {variable.name: variable for variable in data_vars if variable.name not in frozen}


def check_levels(model: pm.Model, rows: NewRows) -> None:
    """Check that whole numbers of rows in memory are levels of what they index.

    The columns of a table are checked as they are read.

    Raises
    ------
    ValueError
        Names the container, the value and its row.
    """
    if rows.readers:
        return
    by_container = {
        container: np.moveaxis(array, 0, rows.axes.get(container, 0))
        for container, array in zip(rows.containers, next(rows.pieces(rows.num_rows)), strict=True)
    }
    _check_rows(model.root, {**by_container, **rows.other_values}, 0)


def _check_rows(model: pm.Model, rows: VariableArrays, start: int) -> None:
    try:
        check_indices(model, rows, lambda _, row, __: f" in row {start + row}")
    except IndexError as error:
        raise ValueError(f"`data` must fit the model: {error}") from None


def _rows_of_table(
    model: pm.Model, data: object, known: list[str], rows: RowContainers, needed: list[Variable]
) -> NewRows:
    """Return rows that are read from a table, whose columns are matched by name."""
    nameless = [variable.name for variable in needed if columns_of(variable) is None]
    table = None if nameless else require_table(data, "`data`")
    # If no values are needed, any container whose columns are there gives the number of rows.
    if table is not None and not needed:
        needed = [
            container
            for container in rows.containers
            if (columns := columns_of(container)) and set(table.names).issuperset(columns.names)
        ]
    if table is None or not needed:
        wanted = nameless or known
        got = f"a dict of {list(data)}" if isinstance(data, dict) else type_text(data)
        raise ValueError(
            f"`data` must map names of containers to rows for {wanted}, which were not built from "
            f"named columns, got {got}.\n"
            f"Hint: pass {{{(wanted or ['x'])[0]!r}: array, ...}}, or build the "
            "containers with by.Data(name, frame, columns=...)."
        )
    readers = match_columns(model, table, needed)
    first = next(iter(readers.values()))
    labels = None
    if any(map(exports_index, rows.containers)):
        labels = table.row_labels(first.columns.names)
    return NewRows(
        containers=_split_containers(rows.containers),
        num_rows=sum(count_block_rows(first.column.source, first.column.names[0])),
        row_dims=rows.dims,
        labels=None if labels is None else read_labels(labels, "The index of `data`"),
        readers=readers,
        check=partial(_check_rows, model.root),
    )


def _rows_by_container(
    model: pm.Model,
    names: Sequence[str],
    passed: Mapping[Variable, LabelledArray],
    containers: Mapping[str, Variable],
    rows: RowContainers,
    needed: list[Variable],
) -> NewRows:
    """Return rows from values by the names of containers."""
    arrays, other_values, labels = {}, {}, None
    axes = {container: row_axis(model, container, rows.dims) for container in rows.containers}
    for container, values in passed.items():
        array = in_model_order(model, container, values, rows.dims)
        if container not in axes:
            other_values[container] = array
            continue
        arrays[container] = array
        index = values.labels[axes[container]] if array.ndim else None
        if index is not None and (exports_index(container) or axes[container]):
            labels = read_labels(index, f"The index of `data[{container.name!r}]`")
    missing = [container.name for container in needed if container not in arrays]
    if missing or not arrays:
        raise ValueError(
            f"`data` must have rows for the containers {missing or list(containers)}, got "
            f"{[container.name for container in passed]}.\n"
            "Hint: pass new values for these too; the predicted variables depend on them."
        )
    lengths = {container.name: a.shape[axes[container]] for container, a in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} in {name!r}" for name, length in lengths.items())
        raise ValueError(
            f"`data` must have the same number of rows for all containers, got {got}.\n"
            "Hint: take all of them from the same rows."
        )
    changed = changed_lengths(model, names, passed, rows.dims)
    return NewRows(
        containers=_split_containers(rows.containers),
        num_rows=next(iter(lengths.values())),
        row_dims=rows.dims,
        labels=labels,
        other_values={**_split_values(other_values), **_dim_lengths(model, changed)},
        arrays={
            part: np.moveaxis(array, axes.get(part, 0), 0)
            for part, array in _split_values(arrays).items()
            if array.ndim
        },
        axes={container: axis for container, axis in axes.items() if axis},
        row_shapes={
            container: _row_shape(model, container, axes[container], changed)
            for container in rows.containers
            if changed and not is_sparse_variable(container)
        },
    )


def _dim_lengths(model: pm.Model, changed: Mapping[str, int]) -> VariableArrays:
    """Return the new lengths of dims as values of the variables that hold them."""
    return {
        model.dim_lengths[dim]: np.asarray(length)
        for dim, length in changed.items()
        if dim in model.dim_lengths
    }


def _row_shape(
    model: pm.Model, container: Variable, axis: int, changed: Mapping[str, int]
) -> tuple[int, ...]:
    """Return the shape of a row of a container, with new lengths of its dims."""
    lengths = zip(dims_of(model, container), stored_values(container).shape, strict=True)
    shape = [changed.get(dim or "", length) for dim, length in lengths]
    return (*shape[:axis], *shape[axis + 1 :])


def _split_containers(containers: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return the containers, and in the place of a sparse one the parts that have its rows."""
    return tuple(
        part
        for container in containers
        for part in (
            (parts_of(container).values, parts_of(container).columns)
            if is_sparse_variable(container)
            else (container,)
        )
    )


def _split_values(arrays: Mapping[Variable, Numbers | scipy.sparse.csr_matrix]) -> VariableArrays:
    """Return the values of containers, and in the place of a sparse one those of its parts."""
    split: dict[Variable, Numbers] = {}
    for container, array in arrays.items():
        if is_sparse_variable(container):
            split |= parts_of(container).split(array)
        else:
            split[container] = array
    return split


def _read_values(
    model: pm.Model, names: Sequence[str], variable: Variable, values: object, argument: str
) -> LabelledArray:
    """Return the new values of one container, and the labels of their axes if they have any."""
    columns, dims = columns_of(variable), dims_of(model, variable)
    table = None if columns is None else as_table(columns, values)
    if columns is not None and table is not None:
        [reader] = match_columns(model, table, [variable], argument).values()
        [array] = read_all_rows([reader.column])
        array = reader.values(array)
        return LabelledArray(array, (table.row_labels(columns.names), *[None] * (array.ndim - 1)))
    if isinstance(values, pd.DataFrame) and exports_index(variable) and variable.type.ndim == 2:
        known = model.coords[dims[1]]
        # New rows may be along the columns; else these must be those of the model.
        if dims[1] not in observed_dims(model, names) or set(known) <= set(values.columns):
            values = in_label_order(values, known, argument)
    array, labels = read_array(variable, in_dim_order(values, dims), argument)
    if array.ndim != variable.type.ndim:
        raise ValueError(
            f"{argument} must have as many axes as its container, {variable.type.ndim}, "
            f"got a value of shape {array.shape}.\nHint: rows come first, as in the container."
        )
    if columns is not None and columns.categories is not None and array.ndim == 1:
        subject = f"{argument}, of data container {variable.name!r},"
        check_codes(subject, array, columns.categories)
    return LabelledArray(array, labels)
