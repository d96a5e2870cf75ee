"""New data matched to the containers of a model, by the names of columns or of containers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from pytensor.graph.basic import Constant

from bayou.containers.index_bounds import check_indices
from bayou.containers.reading.category_table import check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.new_columns import read_all_rows
from bayou.containers.reading.new_values import as_table, exports_index, in_label_order, read_array
from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.containers.variables.dims import dims_of, read_labels
from bayou.feeding.read import count_block_rows
from bayou.prediction.graph.forward_graph import batches_of, read_by
from bayou.prediction.graph.row_containers import find_row_containers, stored_values
from bayou.prediction.new_rows import NewRows
from bayou.text import listed, type_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.prediction.graph.row_containers import RowContainers


def new_rows(model: pm.Model, names: Sequence[str], data: Any) -> NewRows:
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
    is_by_name = isinstance(data, Mapping) and data and all(name in containers for name in data)
    passed = list(data) if is_by_name else []
    rows = find_row_containers(model, names, containers, batches, passed)
    needed = read_by(model, names, rows.containers)
    if is_by_name:
        return _rows_by_container(model, data, containers, rows, needed)
    return _rows_of_table(model, data, list(containers), rows, needed)


def _exchangeable(model: pm.Model, data: Any) -> dict[str, Any]:
    """Return the containers whose values can be exchanged, by name.

    Raises
    ------
    ValueError
        If new data are for a constant, or there is nothing else: PyMC freezes data so.
    """
    data_vars: list[Any] = list(model.root.data_vars)
    frozen = [variable.name for variable in data_vars if isinstance(variable, Constant)]
    passed = [name for name in frozen if isinstance(data, Mapping) and name in data]
    if passed or (frozen and len(frozen) == len(data_vars)):
        raise ValueError(
            "`model` must have containers for new rows, got the frozen "
            f"{listed(passed or frozen)}, whose values are constants.\n"
            "Hint: pass the model from before it was frozen, by.predict(fit, data, model=model)."
        )
    return {variable.name: variable for variable in data_vars if variable.name not in frozen}


def _check_row_dim(
    model: pm.Model, rows: RowContainers, arrays: Mapping[Any, NDArray[Any]]
) -> None:
    """Check that new rows are along the dim of the rows, where variables are drawn anew for them.

    Raises
    ------
    ValueError
        If there are as many as before, and more or fewer entries of another dim.
    """
    drawn = [v.name for v in model.free_RVs if {*dims_of(model, v)[:1]} & {*rows.dims}]
    for container, array in arrays.items():
        if not drawn or is_sparse_variable(container):
            continue
        old, dims = stored_values(container).shape, dims_of(model, container)
        changed = [dims[axis] for axis in range(1, array.ndim) if array.shape[axis] != old[axis]]
        if changed and array.shape[0] == old[0]:
            raise ValueError(
                f"`data` must have its new rows along the first dim of what is observed, "
                f"{listed(rows.dims)}, got the same {old[0]} and another length of "
                f"{changed[0]!r} in {container.name!r}. {listed(drawn)} would be drawn anew.\n"
                f"Hint: write the model with {changed[0]!r} as the first dim of the container "
                "that is observed."
            )


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
    by_container = dict(zip(rows.containers, next(rows.pieces(rows.num_rows)), strict=True))
    _check_rows(model.root, by_container | rows.other_values, 0)


def _check_rows(model: pm.Model, rows: Mapping[Variable, NDArray[Any]], start: int) -> None:
    try:
        check_indices(model, rows, lambda _, row, __: f" in row {start + row}")
    except IndexError as error:
        raise ValueError(f"`data` must fit the model: {error}") from None


def _rows_of_table(
    model: pm.Model, data: Any, known: list[str], rows: RowContainers, needed: list[Any]
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
    data: Mapping[str, Any],
    containers: Mapping[str, Any],
    rows: RowContainers,
    needed: list[Any],
) -> NewRows:
    """Return rows from values by the names of containers."""
    arrays, other_values, labels = {}, {}, None
    for name, values in data.items():
        container, argument = containers[name], f"`data[{name!r}]`"
        array, index = _read_values(model, container, values, argument)
        if array.ndim != container.type.ndim:
            raise ValueError(
                f"{argument} must have as many axes as its container, {container.type.ndim}, "
                f"got a value of shape {array.shape}.\nHint: rows come first, as in the container."
            )
        if container not in rows.containers:
            other_values[container] = array
            continue
        arrays[container] = array
        if index is not None and exports_index(container):
            labels = read_labels(index, f"The index of {argument}")
    missing = [container.name for container in needed if container not in arrays]
    if missing or not arrays:
        raise ValueError(
            f"`data` must have rows for the containers {missing or list(containers)}, got "
            f"{list(data)}.\n"
            "Hint: pass new values for these too; the predicted variables depend on them."
        )
    lengths = {container.name: array.shape[0] for container, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} in {name!r}" for name, length in lengths.items())
        raise ValueError(
            f"`data` must have the same number of rows for all containers, got {got}.\n"
            "Hint: take all of them from the same rows."
        )
    _check_row_dim(model, rows, arrays)
    return NewRows(
        containers=_split_containers(rows.containers),
        num_rows=next(iter(lengths.values())),
        row_dims=rows.dims,
        labels=labels,
        other_values=_split_values(other_values),
        arrays={part: array for part, array in _split_values(arrays).items() if array.ndim},
    )


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


def _split_values(arrays: Mapping[Any, Any]) -> dict[Variable, NDArray[Any]]:
    """Return the values of containers, and in the place of a sparse one those of its parts."""
    split: dict[Variable, NDArray[Any]] = {}
    for container, array in arrays.items():
        if is_sparse_variable(container):
            split |= parts_of(container).split(array)
        else:
            split[container] = array
    return split


def _read_values(
    model: pm.Model, container: Any, values: Any, argument: str
) -> tuple[NDArray[Any], pd.Index[Any] | None]:
    """Return the new values of one container, and the index of its rows if they have one."""
    columns = columns_of(container)
    table = None if columns is None else as_table(columns, values)
    if columns is not None and table is not None:
        [reader] = match_columns(model, table, [container], argument).values()
        [array] = read_all_rows([reader.column])
        return reader.values(array), table.row_labels(columns.names)
    if isinstance(values, pd.DataFrame) and exports_index(container) and container.type.ndim == 2:
        values = in_label_order(values, model.coords[dims_of(model, container)[1]], argument)
    array, labels = read_array(container, values, argument)
    if columns is not None and columns.categories is not None and array.ndim == 1:
        subject = f"{argument}, of data container {container.name!r},"
        check_codes(subject, array, columns.categories)
    return array, next(iter(labels), None)
