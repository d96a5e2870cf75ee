"""Arrays of a Zarr group that grow along their first axis, and the labels of their dims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.many.results.outcome import DATASET, DRAW_DIMS, OUTCOMES_PER_WRITE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Draws of as many data sets share a chunk as take so many bytes: a chunk is what Zarr reads, and
# writes again when its first axis grows, so that a larger one costs memory and time.
CHUNK_BYTES = 2**22
# A column of the table has a number for each data set: 32 KiB a chunk.
COLUMN_CHUNK = 4096


def write_rows(group: Any, name: str, variable: xr.Variable, begin: int) -> list[int]:
    """Write values of some data sets after those of others, from row `begin` on.

    The other axes of the array become as long as the longest of its data sets has them.

    Parameters
    ----------
    group : zarr.Group
    name : str
        The array, which is created if it is not there.
    variable : xarray.Variable
        The values; its first axis is that of data sets.
    begin : int

    Returns
    -------
    list of int
        The number of chunks along each axis but the first.
    """
    values = variable.values
    if name not in group:
        _create_array(group, name, variable)
    array = group[name]
    end = begin + len(values)
    inner = zip(array.shape[1:], values.shape[1:], strict=True)
    array.resize((end, *(max(lengths) for lengths in inner)))
    if array.shape[1:] != values.shape[1:]:
        # A killed process may have written longer values there.
        array[begin:end] = array.metadata.fill_value
    array[(slice(begin, end), *map(slice, values.shape[1:]))] = values
    return [
        -(-length // chunk) for length, chunk in zip(array.shape[1:], array.chunks[1:], strict=True)
    ]


def _create_array(group: Any, name: str, variable: xr.Variable) -> None:
    values = variable.values
    chunk = COLUMN_CHUNK
    if DRAW_DIMS[1] in variable.dims:
        fitting = CHUNK_BYTES * len(values) // max(1, values.nbytes)
        chunk = max(1, min(OUTCOMES_PER_WRITE, fitting))
    group.create_array(
        name,
        shape=(0, *values.shape[1:]),
        chunks=(chunk, *(max(1, length) for length in values.shape[1:])),
        dtype=str if values.dtype == object else values.dtype,
        fill_value=np.nan if values.dtype.kind == "f" else None,
        dimension_names=variable.dims,
    )


def array_shapes(group: Any) -> dict[str, xr.Variable]:
    """Return variables of the dims and shapes of a group's arrays, those with several axes."""
    return {
        name: xr.Variable(array.metadata.dimension_names, np.broadcast_to(np.nan, array.shape))
        for name, array in group.arrays()
        if array.ndim > 1
    }


def write_labels(group: Any, coords: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the labels of dims, and delete those of the dims that have none any more."""
    for name, array in list(group.arrays()):
        if array.metadata.dimension_names == (name,) and name not in {DATASET, *coords}:
            del group[name]
    for dim, labels in coords.items():
        if dim not in group:
            values = np.asarray(labels)
            is_text = values.dtype.kind in "UO"
            array = group.create_array(
                dim,
                shape=values.shape,
                dtype=str if is_text else values.dtype,
                dimension_names=(dim,),
            )
            array[:] = values.astype(object) if is_text else values
