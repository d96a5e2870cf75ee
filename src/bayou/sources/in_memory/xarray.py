"""The source of a Dataset or DataArray of xarray, whose first dimension is the row.

Values in memory become a source of arrays. A dataset in files or dask chunks is read by chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from bayou.sources.base.field import choose_fields
from bayou.sources.base.named_columns import NamedColumns
from bayou.sources.base.nulls import without_nulls
from bayou.sources.base.row_numbers import even_blocks
from bayou.sources.base.source import Source
from bayou.sources.in_memory.array import (
    VALUE,
    array_column,
    check_not_empty,
    empty_error,
    from_arrays,
)
from bayou.sources.in_memory.memory_columns import open_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.nulls import Nulls


def from_xarray(data: xr.Dataset | xr.DataArray, nulls: Nulls) -> Source:
    """Return a source of the data variables of a dataset, or of a DataArray.

    Parameters
    ----------
    data : Dataset or DataArray
        Each data variable is a field. A DataArray without a name is the field "value". Coordinates
        are not fields: ``reset_coords`` makes variables of them.
    nulls : {"refuse", "drop"}
        Make a None among objects an error, or leave out and count such rows. NaN and NaT are
        values.

    Raises
    ------
    ValueError
        If the variables differ in their first dimension, if there are no variables or rows, or if
        rows of a dataset in files are to be dropped.
    """
    if isinstance(data, xr.DataArray):
        data = data.to_dataset(name=VALUE if data.name is None else str(data.name))
    check_dims(data)
    if in_memory(data):
        return from_arrays({name: array.values for name, array in data.data_vars.items()}, nulls)  # type: ignore[misc]
    if nulls == "drop":
        raise ValueError(
            '`nulls` must be "refuse" for a dataset that is not in memory, got "drop".\n'
            "Hint: NaN is a value here; to leave rows out, load the dataset or filter it first."
        )
    return DatasetSource(data)


def dataset_columns(data: xr.Dataset | xr.DataArray, description: str) -> DatasetColumns:
    """Return the named columns of a dataset, or of a DataArray.

    A DataArray of two dimensions with labels along the second has a column for each label; any
    other one is one column.
    """
    if isinstance(data, xr.DataArray) and data.ndim == 2 and data.dims[1] in data.indexes:
        data = data.to_dataset(dim=data.dims[1])
    if isinstance(data, xr.Dataset):
        return DatasetColumns(tuple(data.data_vars), description, data)
    data = data.to_dataset(name=VALUE if data.name is None else str(data.name))
    return DatasetColumns(tuple(data.data_vars), description, data, is_series=True)


@dataclass(frozen=True, eq=False)
class DatasetColumns(NamedColumns):
    """The data variables of a dataset.

    Attributes
    ----------
    dataset : xarray.Dataset
        The dataset, in memory, in files or in chunks.
    """

    dataset: xr.Dataset

    @property
    def is_in_memory(self) -> bool:
        """Whether the values are in memory; asking for those of a file would load them."""
        return in_memory(self.dataset)

    def row_labels(self, names: Sequence[str]) -> pd.Index | None:
        """Return the index of the first dimension of the columns, None if it has none."""
        return self.dataset.indexes.get(self.dataset[names[0]].dims[0])

    def open(self, names: Sequence[str]) -> Source:
        """Return a source of some of the variables, which must share their first dimension."""
        chosen = self.dataset[list(dict.fromkeys(names))]
        check_dims(chosen)
        if in_memory(chosen):
            return open_values({name: chosen[name].values for name in names})
        return DatasetSource(chosen)


def in_memory(dataset: xr.Dataset) -> bool:
    """Return whether all values are in memory. Asking for those of a file would load them."""
    return all(array.variable._in_memory for array in dataset.data_vars.values())


class DatasetSource(Source):
    """The rows of a dataset that is in files or in chunks, made by :func:`from_xarray`."""

    def __init__(self, dataset: xr.Dataset) -> None:
        arrays = list(dataset.data_vars.values())
        self._dataset = dataset
        self._row = arrays[0].dims[0]
        self._num_rows = dataset.sizes[self._row]
        self._block_rows = max(_chunk_rows(array, self._num_rows) for array in arrays)
        self._fields = {
            str(name): array_column(str(name), array[:0].values)[0]
            for name, array in dataset.data_vars.items()
        }
        check_not_empty(self._fields, self._num_rows)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """The number of rows of each block, as many as the largest chunk has."""
        return even_blocks(self._num_rows, self._block_rows)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block as one table, read from files or computed from chunks."""
        start = block * self._block_rows
        rows = {self._row: slice(start, start + self._block_rows)}
        table = {}
        for field in choose_fields(self._fields, names):
            values = self._dataset[field.name].isel(rows).values
            _, masked = array_column(field.name, values)
            table[field.name] = without_nulls(field.name, masked, start).astype(
                field.dtype, copy=False
            )
        yield table


def check_dims(dataset: xr.Dataset) -> None:
    """Check that the variables of a dataset share their first dimension.

    Raises
    ------
    EmptySourceError
        If there are no variables.
    ValueError
        If they do not share it.
    """
    if not dataset.data_vars:
        raise empty_error("no fields")
    first = {array.dims[:1] for array in dataset.data_vars.values()}
    if len(first) > 1 or () in first:
        raise ValueError(
            "The variables of a dataset must share their first dimension, the row, got "
            + ", ".join(f"`{name}` of {dataset[name].dims}" for name in dataset.data_vars)
            + ".\nHint: transpose the dataset, or choose variables: dataset[[...]]."
        )


def _chunk_rows(array: xr.DataArray, num_rows: int) -> int:
    """Return the number of rows of the largest chunk, of dask or of the file."""
    if array.chunks is not None:
        return max(array.chunks[0])
    # Without dask, the engine that opened the file says how it is chunked.
    chunks = array.encoding.get("preferred_chunks") or {}
    return int(chunks.get(array.dims[0], even_blocks(num_rows)[0]))
