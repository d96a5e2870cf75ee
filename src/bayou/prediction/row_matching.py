"""New data matched to the containers of a model, by the names of columns or of containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayou.containers.reading.categories import check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.labelled_array import to_array
from bayou.containers.reading.new_columns import read_all_rows
from bayou.containers.reading.new_values import exports_index
from bayou.containers.variables.dims import dims_of, read_labels
from bayou.feeding.read import count_block_rows
from bayou.prediction.graph.forward_graph import batches_of, containers_of, read_by
from bayou.prediction.new_rows import NewRows, stored_values
from bayou.sources.named_columns import NamedColumns, named_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.reading.columns import Columns


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
    containers = {variable.name: variable for variable in model.root.data_vars} | batches
    by_container = isinstance(data, Mapping) and data and all(name in containers for name in data)
    passed = [containers[name] for name in data] if by_container else []
    rows = _RowContainers.of(model, names, containers, batches, passed)
    if by_container:
        return _rows_by_container(model, names, data, containers, rows)
    return _rows_of_table(model, names, data, containers, rows)


@dataclass(frozen=True)
class _RowContainers:
    """The containers of a model that have rows, and the dims of these.

    Attributes
    ----------
    dims : tuple of str
        The dim of the rows; none if the containers have no dims.
    containers : tuple of Variable
        The containers with the rows on their first axis.
    """

    dims: tuple[str, ...]
    containers: tuple[Variable, ...]

    @classmethod
    def of(
        cls,
        model: pm.Model,
        names: Sequence[str],
        containers: Mapping[str, Any],
        batches: Collection[str],
        passed: Sequence[Any],
    ) -> _RowContainers:
        """Find them: the rows are those of the observed variables among the predicted ones.

        Without observed ones among them, they are those of all observed variables; without any,
        those of the containers that were passed. A container without dims has rows if it is as long
        now as what is observed.
        """
        values = {variable.name: model.rvs_to_values[variable] for variable in model.observed_RVs}
        observed = [name for name in names if name in values] or list(values)
        observed_containers = containers_of([values[name] for name in observed])
        first_dims = {
            container: dims_of(model, container)[0] if container.type.ndim else None
            for container in containers.values()
        }
        dims = {first_dims.get(container) for container in observed_containers}
        dims |= {_first_dim(model, name) for name in observed}
        if not dims - {None}:
            dims |= {_first_dim(model, name) for name in names} & set(first_dims.values())
        if not dims - {None} and not observed_containers:
            dims |= {first_dims[container] for container in passed}
        lengths = {
            len(stored_values(container))
            for container in observed_containers or passed
            if container.type.ndim
        }
        row_dims = tuple(sorted(dim for dim in dims if dim is not None))
        if len(row_dims) > 1:
            raise ValueError(
                f"`var_names` must have rows of one dim, got {list(names)} with rows of "
                f"{list(row_dims)}.\n"
                "Hint: predict the variables of one dim at a time."
            )
        return cls(
            row_dims,
            tuple(
                container
                for name, container in containers.items()
                if name in batches
                or first_dims[container] in row_dims
                or (
                    container.type.ndim
                    and first_dims[container] is None
                    and len(stored_values(container)) in lengths
                )
            ),
        )


def _first_dim(model: pm.Model, name: str) -> str | None:
    return next(iter(model.root.named_vars_to_dims.get(name, ())), None)


def _rows_of_table(
    model: pm.Model,
    names: Sequence[str],
    data: Any,
    containers: Mapping[str, Any],
    rows: _RowContainers,
) -> NewRows:
    """Return rows that are read from a table, whose columns are matched by name."""
    needed = read_by(model, names, rows.containers)
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
        wanted = nameless or list(containers)
        raise ValueError(
            f"`data` must map names of containers to rows for {wanted}, which "
            f"were not built from named columns, got a {type(data).__name__}.\n"
            f"Hint: pass {{{(wanted or ['x'])[0]!r}: array, ...}}, or build the "
            "containers with by.Data(name, frame, columns=...)."
        )
    readers = match_columns(model, table, needed)
    first = next(iter(readers.values()))
    labels = None
    if any(map(exports_index, rows.containers)):
        labels = table.row_labels(first.columns.names)
    return NewRows(
        containers=rows.containers,
        num_rows=sum(count_block_rows(first.column.source, first.column.names[0])),
        row_dims=rows.dims,
        labels=None if labels is None else read_labels(labels, "The index of `data`"),
        readers=readers,
    )


def _rows_by_container(
    model: pm.Model,
    names: Sequence[str],
    data: Mapping[str, Any],
    containers: Mapping[str, Any],
    rows: _RowContainers,
) -> NewRows:
    """Return rows from values by the names of containers."""
    arrays, other_values, labels = {}, {}, None
    for name, value in data.items():
        container, argument = containers[name], f"`data[{name!r}]`"
        array, index = _read_values(model, container, value, argument)
        if array.ndim != container.type.ndim:
            raise ValueError(
                f"{argument} must have {container.type.ndim} axes like its container, got a value "
                f"of shape {array.shape}.\nHint: rows come first, as in the container."
            )
        if container not in rows.containers:
            other_values[container] = array
            continue
        arrays[container] = array
        if index is not None and exports_index(container):
            labels = read_labels(index, f"The index of {argument}")
    missing = [
        container.name
        for container in read_by(model, names, rows.containers)
        if container not in arrays
    ]
    if missing or not arrays:
        raise ValueError(
            f"`data` must have rows for the containers {missing or list(containers)}, got "
            f"{list(data)}.\nHint: {list(names)} are computed from them."
        )
    lengths = {container.name: len(array) for container, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} in {name!r}" for name, length in lengths.items())
        raise ValueError(
            f"`data` must have as many rows for each container, got {got}.\n"
            "Hint: take all of them from the same rows."
        )
    return NewRows(
        containers=rows.containers,
        num_rows=next(iter(lengths.values())),
        row_dims=rows.dims,
        labels=labels,
        other_values=other_values,
        arrays=arrays,
    )


def _read_values(
    model: pm.Model, container: Any, value: Any, argument: str
) -> tuple[NDArray[Any], pd.Index[Any] | None]:
    """Return the new values of one container, and the index of its rows if they have one."""
    columns = columns_of(container)
    table = None if columns is None else _as_table(value, columns)
    if columns is not None and table is not None:
        [reader] = match_columns(model, table, [container], argument).values()
        [array] = read_all_rows([reader.column])
        return reader.values(array), table.row_labels(columns.names)
    if isinstance(value, pd.DataFrame) and exports_index(container) and container.type.ndim == 2:
        value = _in_label_order(value, model.coords[dims_of(model, container)[1]], argument)
    plain = to_array(value, argument, container.type.dtype)
    if columns is not None and columns.categories is not None and plain.array.ndim == 1:
        subject = f"{argument}, of data container {container.name!r},"
        check_codes(subject, plain.array, columns.categories)
    return plain.array, next(iter(plain.labels), None)


def _as_table(value: Any, columns: Columns) -> NamedColumns | None:
    """Return a value as a table of the columns of a container.

    None if it has the form that the container stores: a matrix, codes or days.
    """
    table = named_columns(value)
    if table is not None and not table.is_series:
        return table
    is_coded = columns.categories is not None or columns.dates
    dtype = getattr(value, "dtype", np.asarray(value).dtype)
    if columns.is_matrix or (is_coded and isinstance(dtype, np.dtype) and dtype.kind in "biuf"):
        return None
    index = value.index if isinstance(value, pd.Series) else None
    return NamedColumns(columns.names, type(value).__name__, {columns.names[0]: value}, index)


def _in_label_order(frame: pd.DataFrame, labels: Sequence[Any], argument: str) -> pd.DataFrame:
    """Return the columns of a frame that are the labels of a dim, in their order."""
    missing = [label for label in labels if label not in frame.columns]
    if missing:
        raise ValueError(
            f"{argument} must have a column for each label of the container's dim, got a frame "
            f"without {missing}.\nHint: the columns are {list(frame.columns)}."
        )
    return frame.loc[:, list(labels)]
