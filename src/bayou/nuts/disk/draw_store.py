"""A Zarr folder of draws, which grows as chains draw and can be read at any time.

The metadata of all arrays stand in one file, which appears whole: a reader sees the draws that it
counts, and nothing of an append that was not finished. What a killed process left beyond them is
written over by the next.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayou.arguments import path_of
from bayou.fitting.guides.coordinates import Frame
from bayou.sources.files.zarr import import_zarr
from bayou.storage.lock import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from bayou.models.posterior_tree import NamedArrays

    type Groups = Mapping[str, NamedArrays]

# The attribute of the folder with the settings of the run, and the group from which chains go on.
SETTINGS = "bayou_sample"
STATE = "bayou_state"
GROWING = ("posterior", "sample_stats")
# A chunk is what Zarr writes anew when a few draws come: a megabyte at most.
CHUNK_BYTES = 2**20
CHUNK_DRAWS = 10_000


class DrawStore:
    """Draws in a Zarr folder.

    Parameters
    ----------
    path : Path
    group : zarr.Group
        The folder, opened for writing.
    """

    def __init__(self, path: Path, group: Any) -> None:
        self.path = path
        self._group = group
        counted = import_zarr().open_group(path, mode="r")
        self._is_whole = counted.metadata.consolidated_metadata is not None
        self.num_draws = counted["sample_stats/draw"].shape[0] if self._is_whole else 0

    @property
    def settings(self) -> dict[str, object]:
        """The settings of the run that began the folder."""
        return dict(self._group.attrs[SETTINGS])

    @property
    def is_new(self) -> bool:
        """Whether nothing but the settings was written."""
        return not self._is_whole

    def begin(self, template: xr.DataTree) -> None:
        """Write the groups of a tree; of draws and their statistics all but the values.

        Parameters
        ----------
        template : xarray.DataTree
            What the result will have, with one draw, whose values do not count.
        """
        with _quiet():
            for name, node in template.children.items():
                dataset = node.to_dataset()
                if name in GROWING:
                    dataset = dataset.drop_vars([*dataset.data_vars, "draw"], errors="ignore")
                dataset.to_zarr(self.path, group=name, mode="a", consolidated=False, zarr_format=3)
        for name in GROWING:
            group = self._group[name]
            for variable, array in template[name].to_dataset().data_vars.items():
                shape = (array.shape[0], 0, *array.shape[2:])
                row_bytes = max(1, array.dtype.itemsize * int(np.prod(array.shape[2:])))
                length = max(1, min(CHUNK_DRAWS, CHUNK_BYTES // row_bytes))
                group.create_array(
                    str(variable),
                    shape=shape,
                    chunks=(1, length, *(max(1, n) for n in shape[2:])),
                    dtype=array.dtype,
                    dimension_names=array.dims,
                    overwrite=True,
                )
            group.create_array(
                "draw",
                shape=(0,),
                chunks=(CHUNK_DRAWS,),
                dtype="int64",
                dimension_names=("draw",),
                overwrite=True,
            )
        self._consolidate()
        self._is_whole = True

    def append(self, groups: Groups, positions: NDArray[np.float64], frame: Frame) -> None:
        """Add draws of all chains, and where these go on from.

        Parameters
        ----------
        groups : mapping of str to mapping of str to ndarray, shape (chains, draws, ...)
            The new values of the posterior and of the statistics.
        positions : ndarray, shape (chains, size)
            The last draws, as positions.
        frame : Frame
            The coordinates that chains move in.
        """
        begin = self.num_draws
        number = next(iter(groups["sample_stats"].values())).shape[1]
        end = begin + number
        for name in GROWING:
            group = self._group[name]
            for variable, values in groups[name].items():
                array = group[variable]
                array.resize((array.shape[0], end, *array.shape[2:]))
                array[:, begin:end] = values
            group["draw"].resize((end,))
            group["draw"][begin:end] = np.arange(begin, end)
        state = self._group.require_group(STATE)
        for name, values in (
            ("positions", positions),
            ("origin", frame.origin),
            ("factor", frame.factor),
        ):
            state.create_array(
                name,
                data=np.ascontiguousarray(values),
                dimension_names=[f"{name}_{axis}" for axis in range(np.ndim(values))],
                overwrite=True,
            )
        self._consolidate()
        self.num_draws = end

    def state(self) -> tuple[NDArray[np.float64], Frame]:
        """Return the positions that chains go on from, and their coordinates."""
        state = self._group[STATE]
        return state["positions"][:], Frame(state["origin"][:], state["factor"][:])

    def every(self, group: str, name: str, step: int) -> NDArray[Any]:
        """Return every `step`-th draw of an array, (chains, draws, ...), read chunk by chunk."""
        values: NDArray[Any] = self._group[group][name][:, : self.num_draws : step]
        return values

    def tree(self) -> xr.DataTree:
        """Return all groups; values are read from the folder when they are used."""
        with _quiet():
            opened = xr.open_datatree(self.path, engine="zarr", chunks=None)
        return xr.DataTree.from_dict(
            {
                # Zarr lists the arrays of a folder in any order.
                name: node.to_dataset()[self.settings["variables"]]
                if name == "posterior"
                else node.to_dataset()
                for name, node in opened.children.items()
                if name != STATE
            }
        )

    def _consolidate(self) -> None:
        with _quiet():
            import_zarr().consolidate_metadata(self._group.store)


@contextmanager
def open_draw_store(
    out: str | Path, settings: Mapping[str, object], *, resume: bool
) -> Iterator[DrawStore]:
    """Open or create a folder of draws, and keep other processes out of it.

    Parameters
    ----------
    out : str or Path
    settings : mapping of str to a JSON value
        The settings of the call. Those of an existing folder must be the same, ``draws`` aside.
    resume : bool
        Whether the folder may exist.

    Raises
    ------
    FileExistsError
        If the path is something else, or has draws without `resume`, or another process writes.
    FileNotFoundError
        If the parent folder does not exist.
    ImportError
        If zarr is not installed.
    ValueError
        If the draws were made with other settings.
    """
    zarr = import_zarr()
    folder = path_of("out", out).absolute()
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"`out` must be in a folder that exists, got {str(folder)!r}.\n"
            "Hint: make the folder, or check the name."
        )
    busy = FileExistsError(
        f"`out` must not be written to twice at the same time, got {str(folder)!r}, where "
        "another run writes.\nHint: wait for it, or pass another path."
    )
    with locked(folder, busy):
        is_new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        if is_new:
            zarr.create_group(folder, attributes={SETTINGS: dict(settings)})
        elif not _has_draws(zarr, folder):
            raise FileExistsError(
                f"`out` must be new or hold draws of by.sample, got {str(folder)!r}, which is "
                "something else.\nHint: pass another path."
            )
        elif not resume:
            raise FileExistsError(
                f"`out` must be new without resume=True, got {str(folder)!r}, which has draws.\n"
                "Hint: pass resume=True to go on with them, or another path."
            )
        store = DrawStore(folder, zarr.open_group(folder, mode="r+", use_consolidated=False))
        _check_settings(store.settings, settings)
        yield store


def recorded_seed(out: str | Path) -> int | None:
    """Return the seed of the run that began a folder; None without such a folder."""
    zarr = import_zarr()
    folder = path_of("out", out)
    if not _has_draws(zarr, folder):
        return None
    seed: int = zarr.open_group(folder, mode="r").attrs[SETTINGS]["random_seed"]
    return seed


def _has_draws(zarr: ModuleType, folder: Path) -> bool:
    try:
        return SETTINGS in zarr.open_group(folder, mode="r").attrs
    except (FileNotFoundError, ValueError, OSError):
        return False


def _check_settings(recorded: Mapping[str, object], settings: Mapping[str, object]) -> None:
    for name in sorted(recorded.keys() | settings.keys()):
        if recorded.get(name) != settings.get(name):
            raise ValueError(
                f"`out` must hold draws of the same run, got another {name}: "
                f"{recorded.get(name)!r} then, {settings.get(name)!r} now.\n"
                "Hint: pass what it was begun with, or another path."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Zarr's warnings that other programs may not read strings or joint metadata."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="zarr")
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        warnings.filterwarnings("ignore", "The data type .* does not have a Zarr V3 spec")
        yield
