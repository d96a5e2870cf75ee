"""Datasets and DataArrays of xarray whose variables share their first dimension, the row.

What is in memory is taken row by row; what is still in files or chunks is read chunk by chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from bayou.sources.base.field import choose_fields
from bayou.sources.base.nulls import without_nulls
from bayou.sources.base.source import Source, even_blocks
from bayou.sources.in_memory.array import (
    VALUE,
    array_column,
    check_not_empty,
    empty_error,
    from_arrays,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.base.field import Field, Table
    from bayou.sources.base.nulls import Nulls


def from_xarray(obj: xr.Dataset | xr.DataArray, nulls: Nulls) -> Source:
    """Return a source of the data variables of a dataset, or of a DataArray.

    Parameters
    ----------
    obj : Dataset or DataArray
        Its variables; a DataArray without a name is the field "value". Coordinates are no fields:
        ``reset_coords`` makes variables of them.
    nulls : {"refuse", "drop"}
        What to do with None among objects; NaN and NaT are values.

    Raises
    ------
    ValueError
        If the variables differ in their first dimension, or there are no variables or rows.
    """
    if isinstance(obj, xr.DataArray):
        obj = obj.to_dataset(name=VALUE if obj.name is None else str(obj.name))
    check_dims(obj)
    if in_memory(obj):
        return from_arrays({name: array.values for name, array in obj.data_vars.items()}, nulls)  # type: ignore[misc]
    if nulls == "drop":
        raise ValueError(
            '`nulls` must be "refuse" for a dataset that is not in memory, got "drop".\n'
            "Hint: NaN is a value here; to leave rows out, load the dataset or filter it first."
        )
    return DatasetSource(obj)


def with_columns(obj: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Return a dataset of columns: of a DataArray, by its name, or by labels of its second dim."""
    if isinstance(obj, xr.Dataset):
        return obj
    if obj.ndim == 2 and obj.dims[1] in obj.indexes:
        return obj.to_dataset(dim=obj.dims[1])
    return obj.to_dataset(name=VALUE if obj.name is None else str(obj.name))


def in_memory(dataset: xr.Dataset) -> bool:
    """Whether all values are in memory; `values` of a variable in a file would load it whole."""
    return all(array.variable._in_memory for array in dataset.data_vars.values())


class DatasetSource(Source):
    """The variables of a dataset that is in files or chunks; made by :func:`from_xarray`."""

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
        """Stretches of rows as long as the longest chunk."""
        return even_blocks(self._num_rows, self._block_rows)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block, read from its files or computed from its chunks."""
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
    """Check that the variables of a dataset share their first dimension."""
    if not dataset.data_vars:
        raise empty_error("no fields")
    first = {
        name: array.dims[0] if array.ndim else None for name, array in dataset.data_vars.items()
    }
    if len(set(first.values())) > 1 or None in first.values():
        raise ValueError(
            "The variables of a dataset must share their first dimension, the row, got "
            + ", ".join(f"`{name}` of {dataset[name].dims}" for name in first)
            + ".\nHint: transpose the dataset, or choose variables: dataset[[...]]."
        )


def _chunk_rows(array: xr.DataArray, num_rows: int) -> int:
    """Return the rows of the largest chunk, of dask or of the file."""
    if array.chunks is not None:
        return max(array.chunks[0])
    chunks = array.encoding.get("preferred_chunks") or {}
    return int(chunks.get(array.dims[0], even_blocks(num_rows)[0]))
