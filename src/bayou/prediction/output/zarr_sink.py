"""The sink that writes all draws of predictions to a Zarr store, as a DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from bayou.prediction.output.template import GROUP
from bayou.sources.files.zarr import import_zarr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from zarr import Group

    from bayou.prediction.graph.forward_graph import Arrays
    from bayou.prediction.output.template import PredictedVariable, PredictionTemplate

# The least size of a chunk of a Zarr store before it is compressed. Each chunk is a file, so that
# small ones make stores slow to open and to copy; a chunk is in memory while it is written.
CHUNK_BYTES = 2**23


class ZarrSink:
    """A sink that writes all draws to a Zarr store.

    Parameters
    ----------
    template : PredictionTemplate
        The dataset to be filled.
    path : Path
        The store. It is created, or continued if it exists.
    chunk_rows : int
        The rows of a chunk. Rows are put from the start of a chunk on, so that no two threads write
        to one chunk.
    """

    def __init__(self, template: PredictionTemplate, path: Path, chunk_rows: int) -> None:
        self.template = template
        self._path = path
        zarr = import_zarr()
        if not path.exists():
            template.dataset({}).to_zarr(path, group=GROUP, mode="w", consolidated=False)
        group = zarr.open_group(path, mode="a")[GROUP]
        for variable in template.row_variables:
            if variable.name not in group:
                self._create_array(zarr, group, variable, chunk_rows)
        # Without it, Zarr compares each chunk with the fill value, to leave out chunks of zeros.
        config = {"write_empty_chunks": True}
        self._arrays = {
            variable.name: group[variable.name].with_config(config)
            for variable in template.row_variables
        }

    def _create_array(
        self, zarr: ModuleType, group: Group, variable: PredictedVariable, chunk_rows: int
    ) -> None:
        sample_shape = (len(self.template.chains), len(self.template.draws))
        chunks = list(variable.shape)
        if variable.row_axis is not None:
            chunks[variable.row_axis] = min(chunk_rows, self.template.num_rows)
        group.create_array(
            variable.name,
            shape=(*sample_shape, *variable.shape),
            chunks=(*sample_shape, *chunks),
            dtype=variable.dtype,
            # The shuffle puts the first bytes of all numbers side by side, which compress well
            # where numbers are of one magnitude. Numbers of one byte are shuffled by bits.
            compressors=zarr.codecs.BloscCodec(
                cname="lz4",
                clevel=1,
                shuffle="bitshuffle" if variable.dtype.itemsize == 1 else "shuffle",
            ),
            fill_value=0,
            dimension_names=("chain", "draw", *variable.dims),
        )

    @property
    def reduction(self) -> Callable[[Arrays], Arrays]:
        """All draws, as they are."""
        return list

    def put(self, start: int, count: int, values: Arrays) -> None:
        """Write the predictions of some rows, shapes (draws, ...)."""
        for variable, array in zip(self.template.row_variables, values, strict=True):
            index = (slice(None), slice(None), *variable.row_slices(start, count))
            self._arrays[variable.name][index] = self.template.by_chain(array)

    def flush(self, num_rows: int) -> None:
        """Do nothing: each chunk is written when it is put."""

    def finish(self, shared: Arrays) -> None:
        """Write the predictions that are the same for all rows."""
        names = [variable.name for variable in self.template.shared_variables]
        values = dict(zip(names, map(self.template.by_chain, shared), strict=True))
        if values:
            variables = self.template.dataset(values)
            # The coordinates are in the store since it was created.
            variables = variables.drop_vars(list(self.template.dataset({}).coords))
            variables.to_zarr(self._path, group=GROUP, mode="a", consolidated=False)


def open_predictions(path: Path) -> xr.DataTree:
    """Open a store of predictions. Its values are read when they are asked for."""
    return xr.open_datatree(path, engine="zarr", consolidated=False, chunks=None)
