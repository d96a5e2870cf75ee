"""Results of many data sets in a Zarr folder, which grows as they are finished.

What a killed process leaves behind is cut off again: the folder says how many results are whole,
once they are.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.many.results.common_labels import AgreedLabels
from bayou.many.results.outcome import (
    AT_ONCE,
    DATASET,
    DRAWS,
    TABLE,
    fitting,
    groups_of,
    taken_labels,
)
from bayou.sources.files.zarr import import_zarr
from bayou.storage.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.many.results.outcome import Axes, Key, Outcome

MANIFEST = "bayou"
# Of a column of the table, which has a number a data set.
COLUMN_CHUNK = 4096
CHUNK_BYTES = 2**22


class Stored:
    """Results in a folder.

    Parameters
    ----------
    group : zarr.Group
        The folder.
    axes : Axes
        Of the results.
    """

    def __init__(self, path: Path, group: Any, axes: Axes) -> None:
        self.path = path
        self.group = group
        self.axes = axes
        self.done: dict[Key, str] = {}
        self.failed: dict[Key, str] = {}
        self.labels: dict[Key, Mapping[str, tuple[Any, ...]]] = {}
        self._rows: dict[Key, int] = {}
        kept = group.attrs[MANIFEST]
        self._counts: dict[str, int] = dict(kept["counts"])
        self._agreed = AgreedLabels(axes.coords, kept.get("labels"))
        self._grids: dict[str, list[Any]] = dict(kept.get("grids", {}))
        if TABLE in self._counts:
            self._rewrite(kept.get("rewritten", "{}"))
            count, table = self._counts[TABLE], group[TABLE]
            columns = (table[name][:count].tolist() for name in (DATASET, "data", "error"))
            for row, (key, data, error) in enumerate(zip(*columns, strict=True)):
                self.done[key], self._rows[key] = data, row
                if error:
                    self.failed[key] = error

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Take results of some more data sets; they count once all of them are written.

        A row of the table for one that had failed is replaced.
        """
        kept = self.group.attrs[MANIFEST]
        counts, names = dict(self._counts), dict(kept.get("names", {}))
        groups = groups_of(self.axes, outcomes)
        again = np.array([outcome.key in self._rows for outcome in outcomes])
        rewritten = {
            self._rows[outcome.key]: {
                name: variable.values[place : place + 1].tolist()[0]
                for name, variable in groups[TABLE].items()
            }
            for place, outcome in enumerate(outcomes)
            if again[place]
        }
        groups[TABLE] = {name: found[~again] for name, found in groups[TABLE].items()}
        self._agreed.take(taken_labels(self, outcomes))
        for name, variables in groups.items():
            begin = counts.get(name, 0)
            group = self.group.require_group(name)
            if len(variables[DATASET]):
                for column, variable in variables.items():
                    grid = _write(group, column, variable, begin)
                    grids = self._grids.setdefault(f"{name}/{column}", [])
                    if not grids or grids[-1][1] != grid:
                        grids.append([begin, grid])
            if name != TABLE:
                _label(group, fitting(self._agreed.coords, _variables(group)))
            group.update_attributes(dict(self.axes.attrs))
            counts[name], names[name] = begin + len(variables[DATASET]), list(variables)
        rows = json.dumps(rewritten)
        noted = {"names": names, "labels": self._agreed.digests, "grids": self._grids}
        self.group.update_attributes(
            {MANIFEST: {**kept, "counts": counts, "rewritten": rows, **noted}}
        )
        self._rewrite(rows)
        self._counts = counts
        for place, outcome in enumerate(outcomes):
            if not again[place]:
                self._rows[outcome.key] = len(self._rows)
            self.done[outcome.key] = outcome.data
            self.failed.pop(outcome.key, None)
            if outcome.error:
                self.failed[outcome.key] = outcome.error

    def _rewrite(self, rows: str) -> None:
        """Write rows of the table over those that are there; once more is as good as once."""
        for row, values in json.loads(rows).items():
            for name, value in values.items():
                self.group[TABLE][name][int(row)] = value

    def check(self) -> None:
        """Refuse a folder that lacks files which it counts.

        Raises
        ------
        ValueError
            If it does.
        """
        for path, grids in self._grids.items():
            if path not in self.group:
                self._refuse_without(f"{path}/zarr.json")
            array = self.group[path]
            count = self._counts[path.partition("/")[0]]
            for first in range(-(-count // array.chunks[0])):
                end = (first + 1) * array.chunks[0]
                # As many along the other axes as when the last data set in them was written.
                others = [grid for begin, grid in grids if begin < end][-1]
                for place in np.ndindex(1, *others):
                    chunk = array.metadata.encode_chunk_key((first, *place[1:]))
                    if not (self.path / path / chunk).is_file():
                        self._refuse_without(f"{path}/{chunk}")

    def _refuse_without(self, file: str) -> None:
        raise ValueError(
            f"`out` must hold all results that it counts, got {str(self.path)!r} without {file}.\n"
            "Hint: bring the file back, or pass another path."
        )

    def tree(self) -> xr.DataTree:
        """Return all of them, read where they are looked at."""
        for name, count in self._counts.items():
            for _, array in self.group[name].arrays():
                if array.metadata.dimension_names[0] == DATASET and array.shape[0] > count:
                    array.resize((count, *array.shape[1:]))
        opened = xr.open_datatree(self.path, engine="zarr", consolidated=False, chunks=None)
        # A folder lists what it holds in any order.
        names: dict[str, list[str]] = self.group.attrs[MANIFEST]["names"]
        return xr.DataTree.from_dict(
            {name: opened[name].to_dataset()[names[name]] for name in names}
        )


@contextmanager
def stored(path: str | Path, axes: Axes, made: Mapping[str, Any]) -> Iterator[Stored]:
    """Open the folder of results, or make it, and keep other processes out of it.

    Parameters
    ----------
    path : str or Path
        The folder.
    axes : Axes
        Of the results.
    made : mapping of str to what JSON can hold
        What they are of; of a ``random_seed`` of None, that of the folder is taken.

    Raises
    ------
    FileExistsError
        If it is something else, or in use.
    FileNotFoundError
        If it is in no folder.
    ImportError
        If zarr is not installed.
    ValueError
        If its results are of something else.
    """
    zarr = import_zarr()
    place = Path(path).absolute()
    if not place.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in a folder that exists, got {str(place)!r}.\n"
            "Hint: make the folder, or check the name."
        )
    is_empty = place.is_dir() and not any(place.iterdir())
    if place.exists() and not is_empty and not _is_ours(zarr, place):
        raise FileExistsError(
            f"`out` must be new or hold results of many data sets, got {str(place)!r}, which is "
            "something else.\nHint: pass another path."
        )
    if is_empty or not place.exists():
        zarr.create_group(place, attributes={MANIFEST: {"made": dict(made), "counts": {}}})
    busy = FileExistsError(
        f"`out` must not be written to twice at the same time, got {str(place)!r}, where "
        "another run writes.\nHint: wait for it, or pass another path."
    )
    with locked(place, busy):
        group = zarr.open_group(place, mode="r+")
        kept = group.attrs[MANIFEST]
        if not {*kept["counts"]} - {TABLE} and kept["made"] != made:
            # Nothing is lost with data sets that all failed, and what made them may be corrected.
            group.update_attributes({MANIFEST: {"made": dict(made), "counts": {}}})
        _refuse_others(group.attrs[MANIFEST]["made"], made)
        with zarr.config.set({"array.write_empty_chunks": True}):
            for name in set(group) - {*group.attrs[MANIFEST]["counts"]}:
                del group[name]
            results = Stored(place, group, axes)
            results.check()
            yield results


def made_with(path: str | Path, name: str) -> Any:
    """Return what the results in a folder were made with, by its name; None without results."""
    place = Path(path)
    zarr = import_zarr()
    if not _is_ours(zarr, place):
        return None
    return zarr.open_group(place, mode="r").attrs[MANIFEST]["made"].get(name)


def _is_ours(zarr: Any, place: Path) -> bool:
    try:
        return MANIFEST in zarr.open_group(place, mode="r").attrs
    except (FileNotFoundError, ValueError, OSError):
        return False


def _refuse_others(before: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    calls = ["sample_many" if "sampler" in found else "fit_many" for found in (before, made)]
    if calls[0] != calls[1]:
        raise ValueError(
            f"`out` must hold results of the same call, got a folder begun by {calls[0]}, gone on "
            f"with by {calls[1]}.\nHint: call {calls[0]}, or pass another path."
        )
    for name, value in made.items():
        if before.get(name) != value:
            # The fingerprint of a model tells nobody anything.
            which = "." if name == "model" else f": {before.get(name)!r} then, {value!r} now."
            raise ValueError(
                f"`out` must hold results of the same run, got another {name}{which}\n"
                "Hint: pass what it was begun with, or another path."
            )


def _write(group: Any, name: str, variable: xr.Variable, begin: int) -> list[int]:
    """Write values of some data sets behind those of others, the axes as long as the longest.

    Returns how many chunks there are along each axis but the first.
    """
    values = variable.values
    if name not in group:
        # The chunks of a column are many data sets long, those of draws a few MiB large.
        fitting_in = CHUNK_BYTES * len(values) // max(1, values.nbytes)
        of_draws = DRAWS[1] in variable.dims
        chunk = max(1, min(AT_ONCE, fitting_in)) if of_draws else COLUMN_CHUNK
        text = values.dtype == object
        group.create_array(
            name,
            shape=(0, *values.shape[1:]),
            chunks=(chunk, *(max(1, length) for length in values.shape[1:])),
            dtype=str if text else values.dtype,
            fill_value=np.nan if values.dtype.kind == "f" else None,
            dimension_names=variable.dims,
        )
    array = group[name]
    end = begin + len(values)
    own = zip(array.shape[1:], values.shape[1:], strict=True)
    array.resize((end, *(max(lengths) for lengths in own)))
    if array.shape[1:] != values.shape[1:]:
        # What a killed process left there may be longer.
        array[begin:end] = array.metadata.fill_value
    array[(slice(begin, end), *map(slice, values.shape[1:]))] = values
    return [-(-n // chunk) for n, chunk in zip(array.shape[1:], array.chunks[1:], strict=True)]


def _variables(group: Any) -> dict[str, xr.Variable]:
    """Return the shapes of the arrays of a group that have more than one axis."""
    return {
        name: xr.Variable(array.metadata.dimension_names, np.broadcast_to(np.nan, array.shape))
        for name, array in group.arrays()
        if array.ndim > 1
    }


def _label(group: Any, coords: Mapping[str, Any]) -> None:
    """Write the labels of dims that fit, and take away those that do not any more."""
    for name, array in list(group.arrays()):
        if array.metadata.dimension_names == (name,) and name not in {DATASET, *coords}:
            del group[name]
    for dim, labels in coords.items():
        if dim not in group:
            values = np.asarray(labels)
            text = values.dtype.kind in "UO"
            array = group.create_array(
                dim,
                shape=values.shape,
                dtype=str if text else values.dtype,
                dimension_names=(dim,),
            )
            array[:] = values.astype(object) if text else values
