"""New rows for a model: which of its containers take them, and from where, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayou.containers.reading.categories import check_codes
from bayou.containers.reading.column_matching import match_columns, require_table
from bayou.containers.reading.columns import columns_of
from bayou.containers.reading.labelled_array import to_array
from bayou.containers.variables.dims import dims_of, read_labels
from bayou.feeding.layout import Layout
from bayou.feeding.read import read_pieces
from bayou.feeding.window_reader import count_blocks
from bayou.prediction.graph.forward_graph import batches_of, containers_of, read_by
from bayou.sources.named_columns import named_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.reading.column_reader import ColumnReader
    from bayou.containers.reading.columns import Columns
    from bayou.containers.variables.dims import Labels


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows for containers of a model.

    Attributes
    ----------
    containers : tuple of Variable
        What takes them.
    num_rows : int
        How many there are.
    row_dims : tuple of str
        The dims of the model that are as long.
    labels : tuple or None
        The labels of the rows, if a container exports its index.
    others : dict of Variable to ndarray
        New values of containers without rows.
    arrays : dict of Variable to ndarray
        The rows themselves, if they are in memory.
    readers : dict of Variable to ColumnReader
        What reads them, if they are not.
    """

    containers: tuple[Variable, ...]
    num_rows: int
    row_dims: tuple[str, ...]
    labels: Labels | None = None
    others: dict[Variable, NDArray[Any]] = field(default_factory=dict)
    arrays: dict[Variable, NDArray[Any]] = field(default_factory=dict)
    readers: dict[Variable, ColumnReader] = field(default_factory=dict)

    @property
    def row_bytes(self) -> int:
        """The size of one row of all containers."""
        return sum(self._empty(container, 1).nbytes for container in self.containers)

    def pieces(self, size: int) -> Iterator[list[NDArray[Any]]]:
        """Yield the rows of all containers in their order, so many at a time, the last ones fewer.

        A container that no rows are given for holds zeros: they are as many, and are not read.
        """
        if not self.readers:
            for start in range(0, self.num_rows, size):
                count = min(size, self.num_rows - start)
                rows = {name: array[start : start + count] for name, array in self.arrays.items()}
                yield self._filled(rows, count)
            return
        layout = Layout(tuple(reader.column for reader in self.readers.values()))
        blocks = count_blocks(layout.source, layout.names[0])
        start = 0
        for piece in read_pieces(layout, blocks, size):
            rows = {
                container: reader.values(array, start)
                for (container, reader), array in zip(self.readers.items(), piece, strict=True)
            }
            count = len(piece[0])
            yield self._filled(rows, count)
            start += count

    def _filled(self, rows: Mapping[Variable, Any], count: int) -> list[NDArray[Any]]:
        return [
            rows[container] if container in rows else self._empty(container, count)
            for container in self.containers
        ]

    def _empty(self, container: Variable, count: int) -> NDArray[Any]:
        return np.zeros((count, *self._tail(container)), container.type.dtype)

    def _tail(self, container: Variable) -> tuple[int, ...]:
        if container in self.arrays:
            return self.arrays[container].shape[1:]
        if container in self.readers:
            return self.readers[container].column.shape
        return held_shape(container)[1:]


def new_rows(model: pm.Model, names: Sequence[str], data: Any) -> NewRows:
    """Find what data feed, and refuse what lacks.

    Parameters
    ----------
    model : pymc.Model
        Stays as it is.
    names : sequence of str
        What is to be predicted.
    data : frame, dataset, Source, or mapping of str to array_like
        A table with the columns that containers were built from; or, by the names of containers,
        their new values.

    Raises
    ------
    TypeError, ValueError
        If `data` do not fit the containers.
    """
    batches = batches_of(model)
    known = {variable.name: variable for variable in model.root.data_vars} | batches
    if isinstance(data, Mapping) and data and all(name in known for name in data):
        return _from_arrays(model, names, data, known, batches)
    row_dims, containers = _with_rows(model, names, known, batches, ())
    wanted = read_by(model, names, containers)
    nameless = [variable.name for variable in wanted if columns_of(variable) is None]
    # Where no values are needed, the rows of any of the columns tell how many there are.
    wanted = wanted or _in_table(containers, data)
    if nameless or not wanted:
        raise ValueError(
            f"`data` must map names of containers to rows for {nameless or list(known)}, which "
            f"were not built from named columns, got a {type(data).__name__}.\n"
            f"Hint: pass {{{(nameless or list(known) or ['x'])[0]!r}: array, ...}}, or build the "
            "containers with by.Data(name, frame, columns=...)."
        )
    readers = match_columns(model, data, wanted)
    source = next(iter(readers.values())).column.source
    blocks = count_blocks(source, next(iter(readers.values())).column.names[0])
    labels = None
    if any(map(_exports, containers)):
        labels = require_table(data, "`data`").row_labels(
            next(iter(readers.values())).columns.names
        )
    return _checked(
        NewRows(
            containers=tuple(containers),
            num_rows=sum(blocks),
            row_dims=row_dims,
            labels=None if labels is None else read_labels(labels, "The index of `data`"),
            readers=readers,
        )
    )


def first_rows(rows: NewRows, count: int) -> list[NDArray[Any]]:
    """Return the first rows; where they are few, rows that the model holds as well."""
    found = next(rows.pieces(count))
    if len(found[0]) >= count:
        return found
    return [
        np.concatenate([new, held]) if held.shape[1:] == new.shape[1:] else new
        for new, held in zip(found, map(_held, rows.containers), strict=True)
    ]


def _held(container: Variable) -> NDArray[Any]:
    storage = container if hasattr(container, "get_value") else container.owner.inputs[0]
    values: NDArray[Any] = storage.get_value(borrow=True)
    return values


def held_shape(container: Variable) -> tuple[int, ...]:
    """Return the shape of what a container holds, or of a batch that it gives."""
    return tuple(_held(container).shape)


def _in_table(containers: Sequence[Any], data: Any) -> list[Any]:
    """Return the containers whose columns a table has."""
    names = set(require_table(data, "`data`").names)
    columns = {container: columns_of(container) for container in containers}
    return [
        container for container, known in columns.items() if known and names.issuperset(known.names)
    ]


def _from_arrays(
    model: pm.Model,
    names: Sequence[str],
    data: Mapping[str, Any],
    known: Mapping[str, Any],
    batches: Mapping[str, Any],
) -> NewRows:
    given = [known[name] for name in data]
    row_dims, containers = _with_rows(model, names, known, batches, given)
    arrays, others, labels = {}, {}, None
    for name, value in data.items():
        container, what = known[name], f"`data[{name!r}]`"
        array, index = _read(model, container, value, what)
        if array.ndim != container.type.ndim:
            raise ValueError(
                f"{what} must have {container.type.ndim} axes like its container, got a value of "
                f"shape {array.shape}.\nHint: rows come first, as in the container."
            )
        if container not in containers:
            others[container] = array
            continue
        arrays[container] = array
        if index is not None and _exports(container):
            labels = read_labels(index, f"The index of {what}")
    lacking = [
        container.name for container in read_by(model, names, containers) if container not in arrays
    ]
    if lacking or not arrays:
        raise ValueError(
            f"`data` must have rows for the containers {lacking or list(known)}, got "
            f"{list(data)}.\nHint: what {list(names)} depend on is needed, with as many rows each."
        )
    lengths = {container.name: len(array) for container, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} in {name!r}" for name, length in lengths.items())
        raise ValueError(
            f"`data` must have as many rows for each container, got {found}.\n"
            "Hint: take all of them from the same rows."
        )
    return _checked(
        NewRows(
            containers=tuple(containers),
            num_rows=next(iter(lengths.values())),
            row_dims=row_dims,
            labels=labels,
            others=others,
            arrays=arrays,
        )
    )


def _read(
    model: pm.Model, container: Any, value: Any, what: str
) -> tuple[NDArray[Any], pd.Index[Any] | None]:
    """Return the new value of a container, and the index of its rows."""
    columns = columns_of(container)
    table = None if columns is None else _as_table(value, columns)
    if columns is None or table is None:
        if isinstance(value, pd.DataFrame) and _exports(container) and container.type.ndim == 2:
            value = _in_order(value, model.coords[dims_of(model, container)[1]], what)
        plain = to_array(value, what, container.type.dtype)
        if columns is not None and columns.categories is not None and plain.array.ndim == 1:
            what = f"{what}, of data container {container.name!r},"
            check_codes(what, plain.array, columns.categories)
        return plain.array, next(iter(plain.labels), None)
    [reader] = match_columns(model, table, [container], what).values()
    layout = Layout((reader.column,))
    blocks = count_blocks(layout.source, layout.names[0])
    [[array]] = read_pieces(layout, blocks, sum(blocks))
    labels = require_table(table, what).row_labels(columns.names)
    return reader.values(array), value.index if isinstance(value, pd.Series) else labels


def _in_order(frame: pd.DataFrame, labels: Sequence[Any], what: str) -> pd.DataFrame:
    """Return the columns of a frame that are the coords of a container, in their order."""
    lacking = [label for label in labels if label not in frame.columns]
    if lacking:
        raise ValueError(
            f"{what} must have the columns that the container's coords are, got a frame without "
            f"{lacking}.\nHint: the columns are {list(frame.columns)}."
        )
    return frame.loc[:, list(labels)]


def _as_table(value: Any, columns: Columns) -> Any:
    """Return a value as a table of a container's columns; None for what it holds as it is."""
    table = named_columns(value)
    if table is not None and not table.is_series:
        return value
    is_held = columns.categories is not None or columns.dates
    dtype = getattr(value, "dtype", np.asarray(value).dtype)
    if columns.is_matrix or (is_held and isinstance(dtype, np.dtype) and dtype.kind in "biuf"):
        return None
    return {columns.names[0]: value}


def _checked(rows: NewRows) -> NewRows:
    if not rows.num_rows:
        raise ValueError(
            "`data` must have at least one row, got none.\n"
            "Hint: check the filter or the path that left nothing."
        )
    return rows


def _with_rows(
    model: pm.Model,
    names: Sequence[str],
    known: Mapping[str, Any],
    batches: Mapping[str, Any],
    given: Sequence[Any],
) -> tuple[tuple[str, ...], list[Any]]:
    """Return the dims of the rows, and the containers that have them on their first axis.

    These are the first dims of what is observed among what is asked for, else of all that is
    observed or asked for. Containers without dims have rows if they are as long now as what is
    observed.
    """
    values = {variable.name: model.rvs_to_values[variable] for variable in model.observed_RVs}
    chosen = [name for name in names if name in values] or list(values)
    feeding = containers_of([values[name] for name in chosen])
    leading = {
        container: dims_of(model, container)[0] if container.type.ndim else None
        for container in known.values()
    }
    dims = {leading.get(container) for container in feeding}
    dims |= {_first_dim(model, name) for name in chosen}
    if not dims - {None}:
        dims |= {_first_dim(model, name) for name in names} & set(leading.values())
    if not (dims - {None}) and not feeding:
        dims |= {leading[container] for container in given}
    lengths = {held_shape(container)[0] for container in feeding if container.type.ndim}
    if not feeding:
        lengths = {held_shape(container)[0] for container in given if container.type.ndim}
    row_dims = tuple(sorted(dim for dim in dims if dim is not None))
    if len(row_dims) > 1:
        raise ValueError(
            f"`var_names` must be of rows of one dim, got {list(names)} of {list(row_dims)}.\n"
            "Hint: ask for those of one dim at a time."
        )
    return row_dims, [
        container
        for name, container in known.items()
        if name in batches
        or leading[container] in row_dims
        or (
            container.type.ndim
            and leading[container] is None
            and held_shape(container)[0] in lengths
        )
    ]


def _first_dim(model: pm.Model, name: str) -> str | None:
    return next(iter(model.root.named_vars_to_dims.get(name, ())), None)


def _exports(container: Variable) -> bool:
    return bool(getattr(container.tag, "export_index_as_coords", False))
