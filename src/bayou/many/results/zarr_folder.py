"""Results of many data sets in a Zarr folder, which grows as they are finished.

The attribute ``bayou`` of the folder is its manifest: the settings of the call that began it, and
how many results of each group are complete. It is updated once all arrays of an append are written,
so that values which a killed process left beyond these counts are ignored, and overwritten later.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.arguments import path_of
from bayou.many.results.common_labels import CommonLabels
from bayou.many.results.outcome import DATASET, TABLE, Failure
from bayou.many.results.stacked import fitting_labels, stack_outcomes
from bayou.many.results.zarr_arrays import array_shapes, write_labels, write_rows
from bayou.sources.files.zarr import import_zarr
from bayou.storage.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from bayou.many.results.outcome import Key, Outcome, ResultAxes

MANIFEST = "bayou"
# The entry of the manifest with the settings of the call.
SETTINGS = "made"


class ZarrFolder:
    """Results in a Zarr folder.

    Parameters
    ----------
    path : Path
    group : zarr.Group
        The folder, opened for writing.
    axes : ResultAxes
    """

    def __init__(self, path: Path, group: Any, axes: ResultAxes) -> None:
        self.path = path
        self.group = group
        self.axes = axes
        self.done: dict[Key, str] = {}
        self.failed: dict[Key, Failure] = {}
        # The row of each data set in the table.
        self._rows: dict[Key, int] = {}
        manifest = group.attrs[MANIFEST]
        self._counts: dict[str, int] = dict(manifest["counts"])
        self._common_labels = CommonLabels(axes.coords, manifest.get("labels"))
        # For each array, the number of chunks along its axes but the first, from which row on.
        self._grids: dict[str, list[Any]] = dict(manifest.get("grids", {}))
        if TABLE in self._counts:
            self._rewrite(manifest.get("rewritten", "{}"))
            count, table = self._counts[TABLE], group[TABLE]
            columns = (table[name][:count].tolist() for name in (DATASET, "data", "error"))
            for row, (key, fingerprint, error) in enumerate(zip(*columns, strict=True)):
                self.done[key], self._rows[key] = fingerprint, row
                if error:
                    self.failed[key] = Failure.parse(error)

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Add the results of some more data sets; they count once all of them are written.

        A data set that failed in an earlier run has its row of the table replaced.
        """
        manifest = self.group.attrs[MANIFEST]
        counts, names = dict(self._counts), dict(manifest.get("names", {}))
        groups = stack_outcomes(self.axes, outcomes)
        has_row = np.array([outcome.key in self._rows for outcome in outcomes])
        rewritten = {
            self._rows[outcome.key]: {
                name: variable.values[index : index + 1].tolist()[0]
                for name, variable in groups[TABLE].items()
            }
            for index, outcome in enumerate(outcomes)
            if has_row[index]
        }
        groups[TABLE] = {name: column[~has_row] for name, column in groups[TABLE].items()}
        self._common_labels.update(
            outcome.labels for outcome in outcomes if outcome.failure is None
        )
        for name, variables in groups.items():
            begin = counts.get(name, 0)
            group = self.group.require_group(name)
            if len(variables[DATASET]):
                for column, variable in variables.items():
                    grid = write_rows(group, column, variable, begin)
                    grids = self._grids.setdefault(f"{name}/{column}", [])
                    if not grids or grids[-1][1] != grid:
                        grids.append([begin, grid])
            if name != TABLE:
                write_labels(group, fitting_labels(self._common_labels.coords, array_shapes(group)))
            group.update_attributes(dict(self.axes.attrs))
            counts[name], names[name] = begin + len(variables[DATASET]), list(variables)
        # Rows of the table are written over others only after the manifest has them, so that the
        # next process can repeat it if this one is killed in between.
        rows = json.dumps(rewritten)
        noted = {"names": names, "labels": self._common_labels.digests, "grids": self._grids}
        self.group.update_attributes(
            {MANIFEST: {**manifest, "counts": counts, "rewritten": rows, **noted}}
        )
        self._rewrite(rows)
        self._counts = counts
        for outcome in outcomes:
            self._rows.setdefault(outcome.key, len(self._rows))
            self.done[outcome.key] = outcome.fingerprint
            self.failed.pop(outcome.key, None)
            if outcome.failure is not None:
                self.failed[outcome.key] = outcome.failure

    def _rewrite(self, rows: str) -> None:
        """Write rows over those of the table; doing so twice has the effect of once."""
        for row, values in json.loads(rows).items():
            for name, value in values.items():
                # A folder of an earlier version may lack a column until it is appended to.
                if name not in self.group[TABLE]:
                    continue
                self.group[TABLE][name][int(row)] = value

    def check(self) -> None:
        """Check that all files of the results are there.

        Raises
        ------
        ValueError
            If one is missing.
        """
        for path, grids in self._grids.items():
            if path not in self.group:
                raise self._missing_file(f"{path}/zarr.json")
            array = self.group[path]
            count = self._counts[path.partition("/")[0]]
            for first in range(-(-count // array.chunks[0])):
                end = (first + 1) * array.chunks[0]
                # Chunks along the other axes exist as far as the last data set in them reached.
                reached = [grid for begin, grid in grids if begin < end]
                if not reached:
                    # A column that an earlier version did not have begins later.
                    continue
                for index in np.ndindex(1, *reached[-1]):
                    chunk = array.metadata.encode_chunk_key((first, *index[1:]))
                    if not (self.path / path / chunk).is_file():
                        raise self._missing_file(f"{path}/{chunk}")

    def _missing_file(self, file: str) -> ValueError:
        return ValueError(
            f"`out` must hold all results that it counts, got {str(self.path)!r} without {file}.\n"
            "Hint: restore the file, or pass another path."
        )

    def tree(self) -> xr.DataTree:
        """Return all results; values are read from the folder when they are used."""
        for name, count in self._counts.items():
            for _, array in self.group[name].arrays():
                if array.metadata.dimension_names[0] == DATASET and array.shape[0] > count:
                    array.resize((count, *array.shape[1:]))
        opened = xr.open_datatree(self.path, engine="zarr", consolidated=False, chunks=None)
        # Zarr lists the arrays of a folder in any order.
        names: dict[str, list[str]] = self.group.attrs[MANIFEST]["names"]
        return xr.DataTree.from_dict(
            {name: opened[name].to_dataset()[names[name]] for name in names}
        )


@contextmanager
def open_zarr_folder(
    path: str | Path, axes: ResultAxes, settings: Mapping[str, object]
) -> Iterator[ZarrFolder]:
    """Open or create a folder of results, and keep other processes out of it.

    Parameters
    ----------
    path : str or Path
    axes : ResultAxes
    settings : mapping of str to a JSON value
        The settings of the call, which must be those that the folder was begun with.

    Raises
    ------
    FileExistsError
        If the path is something else, or another process writes to it.
    FileNotFoundError
        If the parent folder does not exist.
    ImportError
        If zarr is not installed.
    ValueError
        If its results were made with other settings, or files are missing.
    """
    zarr = import_zarr()
    folder = path_of("out", path).absolute()
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in a folder that exists, got {str(folder)!r}.\n"
            "Hint: make the folder, or check the name."
        )
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not is_empty and not _has_manifest(zarr, folder):
        raise FileExistsError(
            f"`out` must be new or hold results of many data sets, got {str(folder)!r}, which is "
            "something else.\nHint: pass another path."
        )
    if is_empty or not folder.exists():
        zarr.create_group(folder, attributes={MANIFEST: _new_manifest(settings)})
    busy = FileExistsError(
        f"`out` must not be written to twice at the same time, got {str(folder)!r}, where "
        "another run writes.\nHint: wait for it, or pass another path."
    )
    with locked(folder, busy):
        group = zarr.open_group(folder, mode="r+")
        manifest = group.attrs[MANIFEST]
        has_draws = bool({*manifest["counts"]} - {TABLE})
        if not has_draws and manifest[SETTINGS] != settings:
            # Where all data sets failed, nothing is lost, and the settings may be corrected.
            group.update_attributes({MANIFEST: _new_manifest(settings)})
        _check_settings(group.attrs[MANIFEST][SETTINGS], settings)
        # Without empty chunks, a missing file could not be told from draws that are all zero.
        with zarr.config.set({"array.write_empty_chunks": True}):
            for name in set(group) - {*group.attrs[MANIFEST]["counts"]}:
                del group[name]
            results = ZarrFolder(folder, group, axes)
            results.check()
            yield results


def recorded_setting(path: str | Path, name: str) -> Any:
    """Return a setting of the call that began a folder; None without such a folder."""
    zarr = import_zarr()
    if not _has_manifest(zarr, path_of("out", path)):
        return None
    return zarr.open_group(path, mode="r").attrs[MANIFEST][SETTINGS].get(name)


def _new_manifest(settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
    return {SETTINGS: dict(settings), "counts": {}}


def _has_manifest(zarr: ModuleType, path: Path) -> bool:
    try:
        return MANIFEST in zarr.open_group(path, mode="r").attrs
    except (FileNotFoundError, ValueError, OSError):
        return False


def _check_settings(recorded: Mapping[str, object], settings: Mapping[str, object]) -> None:
    """Check that results were made by the same call with the same settings."""
    began, goes_on = (
        "sample_many" if "sampler" in names else "fit_many" for names in (recorded, settings)
    )
    if began != goes_on:
        raise ValueError(
            f"`out` must hold results of the same call, got a folder begun by {began} in a call of "
            f"{goes_on}.\nHint: call {began}, or pass another path."
        )
    for name, value in settings.items():
        if recorded.get(name) != value:
            # The fingerprint of a model means nothing to a reader.
            difference = "" if name == "model" else f": {recorded.get(name)!r} then, {value!r} now"
            raise ValueError(
                f"`out` must hold results of the same run, got another {name}{difference}.\n"
                "Hint: pass what it was begun with, or another path."
            )
