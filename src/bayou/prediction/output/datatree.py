"""Where draws of predictions go: into memory or into a Zarr store, as ArviZ reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.sources.files.zarr import import_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GROUP = "predictions"
# What a chunk of a Zarr store is to take at least, before it is compressed.
CHUNK_BYTES = 2**23


@dataclass(frozen=True)
class Prediction:
    """What is said of one predicted variable.

    Attributes
    ----------
    name : str
    dtype : numpy.dtype
    shape : tuple of int
        Of one draw, for all rows.
    dims : tuple of str
        Of one draw.
    row_axis : int or None
        Which axis that of the rows is; None for a variable that is the same for all rows.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    row_axis: int | None

    def rows(self, start: int, count: int) -> tuple[slice, ...]:
        """Return the place of some rows in an array of one draw."""
        return tuple(
            slice(start, start + count) if axis == self.row_axis else slice(None)
            for axis in range(len(self.shape))
        )


@dataclass(frozen=True)
class Plan:
    """All that is said of predictions before there are any.

    Attributes
    ----------
    predictions : tuple of Prediction
    chains, draws : ndarray of int64
        The labels of the draws.
    coords : dict of str to sequence
        Of the dims of the predictions; numbers for rows without labels.
    num_rows : int
    attrs : dict
        Kept with the predictions.
    row_labels : dict of str to sequence
        Labels of dims of the rows, where they have some; else they are counted.
    """

    predictions: tuple[Prediction, ...]
    chains: NDArray[np.int64]
    draws: NDArray[np.int64]
    coords: Mapping[str, Any]
    num_rows: int
    attrs: Mapping[str, Any]
    row_labels: Mapping[str, Any]

    @property
    def num_draws(self) -> int:
        """How many draws there are of each prediction, in all chains."""
        return len(self.chains) * len(self.draws)

    @property
    def row_bytes(self) -> int:
        """The size of all draws of all predictions of one row."""
        return self.num_draws * sum(
            int(np.prod(part.shape, dtype=np.int64)) * part.dtype.itemsize // self.num_rows
            for part in self.of_rows
        )

    @property
    def of_rows(self) -> tuple[Prediction, ...]:
        """The predictions that differ from row to row."""
        return tuple(part for part in self.predictions if part.row_axis is not None)

    @property
    def single(self) -> tuple[Prediction, ...]:
        """The predictions that are the same for all rows."""
        return tuple(part for part in self.predictions if part.row_axis is None)

    def dataset(self, values: Mapping[str, Any]) -> xr.Dataset:
        """Return values by name, shapes (chains, draws, ...), with dims and coords."""
        named = {part.name: part for part in self.predictions}
        variables = {
            name: (("chain", "draw", *named[name].dims), array) for name, array in values.items()
        }
        coords = {"chain": self.chains, "draw": self.draws} | {
            dim: np.asarray(labels) for dim, labels in {**self.coords, **self.row_labels}.items()
        }
        return xr.Dataset(variables, coords, dict(self.attrs))

    def by_chain(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of all draws, shape (draws, ...), as (chains, draws, ...)."""
        return values.reshape(len(self.chains), len(self.draws), *values.shape[1:])


@dataclass(frozen=True, eq=False)
class InMemory:
    """Predictions that are kept in memory.

    Parameters
    ----------
    plan : Plan
    """

    plan: Plan
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make room."""
        for part in self.plan.of_rows:
            self.arrays[part.name] = np.empty((self.plan.num_draws, *part.shape), part.dtype)

    @property
    def digest(self) -> Callable[[Sequence[NDArray[Any]]], Any]:
        """What makes of predictions of some rows what :meth:`put` takes; it pickles."""
        return list

    def put(self, start: int, count: int, values: Sequence[NDArray[Any]]) -> None:
        """Keep the predictions of some rows, shapes (draws, ...)."""
        for part, array in zip(self.plan.of_rows, values, strict=True):
            self.arrays[part.name][:, *part.rows(start, count)] = array

    def reached(self, num_rows: int) -> None:
        """Take notice that all rows up to a number are there."""

    def finish(self, single: Sequence[NDArray[Any]]) -> xr.DataTree:
        """Return the predictions, with those that are the same for all rows."""
        names = [part.name for part in self.plan.single]
        found = self.arrays | dict(zip(names, single, strict=True))
        values = {part.name: self.plan.by_chain(found[part.name]) for part in self.plan.predictions}
        return xr.DataTree.from_dict({GROUP: self.plan.dataset(values)})


class InZarr:
    """Predictions that are written to a Zarr store, chunk by chunk.

    Parameters
    ----------
    plan : Plan
    path : Path
        The store, which is made unless it is begun.
    chunk_rows : int
        The rows of a chunk; what is put starts with a chunk.
    """

    def __init__(self, plan: Plan, path: Path, chunk_rows: int) -> None:
        self.plan = plan
        self.path = path
        zarr = import_zarr()
        if not path.exists():
            plan.dataset({}).to_zarr(path, group=GROUP, mode="w", consolidated=False)
        group = zarr.open_group(path, mode="a")[GROUP]
        for part in plan.of_rows:
            if part.name not in group:
                self._make(zarr, group, part, chunk_rows)
        # Not to look through each chunk for something that is not 0.
        config = {"write_empty_chunks": True}
        self.arrays = {part.name: group[part.name].with_config(config) for part in plan.of_rows}

    def _make(self, zarr: Any, group: Any, part: Prediction, chunk_rows: int) -> None:
        lengths = (len(self.plan.chains), len(self.plan.draws))
        chunks = list(part.shape)
        if part.row_axis is not None:
            chunks[part.row_axis] = min(chunk_rows, self.plan.num_rows)
        group.create_array(
            part.name,
            shape=(*lengths, *part.shape),
            chunks=(*lengths, *chunks),
            dtype=part.dtype,
            # Bytes, or bits, by their place: numbers of one size have their first ones in common.
            compressors=zarr.codecs.BloscCodec(
                cname="lz4",
                clevel=1,
                shuffle="bitshuffle" if part.dtype.itemsize == 1 else "shuffle",
            ),
            fill_value=0,
            dimension_names=("chain", "draw", *part.dims),
        )

    @property
    def digest(self) -> Callable[[Sequence[NDArray[Any]]], Any]:
        """What makes of predictions of some rows what :meth:`put` takes; it pickles."""
        return list

    def put(self, start: int, count: int, values: Sequence[NDArray[Any]]) -> None:
        """Write the predictions of some rows, shapes (draws, ...)."""
        for part, array in zip(self.plan.of_rows, values, strict=True):
            place = (slice(None), slice(None), *part.rows(start, count))
            self.arrays[part.name][place] = self.plan.by_chain(array)

    def reached(self, num_rows: int) -> None:
        """Take notice that all rows up to a number are there."""

    def finish(self, single: Sequence[NDArray[Any]]) -> None:
        """Write those that are the same for all rows."""
        names = [part.name for part in self.plan.single]
        values = dict(zip(names, map(self.plan.by_chain, single), strict=True))
        if values:
            variables = self.plan.dataset(values).drop_vars(list(self.plan.dataset({}).coords))
            variables.to_zarr(self.path, group=GROUP, mode="a", consolidated=False)


def open_predictions(path: Path) -> xr.DataTree:
    """Open a store of predictions, whose values stay on the disk until they are asked for."""
    return xr.open_datatree(path, engine="zarr", consolidated=False, chunks=None)
