"""Zarr: arrays of one length, in a group or alone; the chunks along the rows are the blocks."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sources.base.field import choose_fields
from bayou.sources.base.source import Source, even_blocks
from bayou.sources.files.listed_file import damage_error
from bayou.sources.in_memory.array import VALUE, array_column, check_not_empty, one_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from bayou.sources.base.field import Field, Table


class ZarrSource(Source):
    """The arrays of a Zarr group, or one array as the field "value".

    Parameters
    ----------
    where : str, Path, zarr.Group or zarr.Array
        A path or URL, or what was opened.
    columns : sequence of str, optional
        The arrays to offer; all arrays of the group (not of groups in it) if left out.
    filesystem : fsspec filesystem, optional
        Where a path is.

    Raises
    ------
    ImportError
        If zarr is not installed.
    ValueError
        If the arrays differ in length, or there are none, or none of such a name.
    FileNotFoundError
        If there is no such group or array.
    SourceError
        If its metadata cannot be read.

    Notes
    -----
    A chunk that is not there is one of fill values: Zarr leaves out such chunks, so that one that
    was lost cannot be told from them.
    """

    def __init__(
        self,
        where: str | PathLike[str] | Any,
        columns: Sequence[str] | None = None,
        filesystem: Any = None,
    ) -> None:
        arrays = _arrays(_open(where, filesystem))
        fields = {name: _field(name, array) for name, array in arrays.items()}
        chosen = choose_fields(fields, list(fields) if columns is None else columns)
        self._fields = {field.name: field for field in chosen}
        self._arrays = {name: arrays[name] for name in self._fields}
        shapes = {name: array.shape for name, array in self._arrays.items()}
        self._num_rows = one_length({name: next(iter(shape), 0) for name, shape in shapes.items()})
        check_not_empty(self._fields, self._num_rows)
        # Arrays of other chunks are read across theirs, so the largest ones are read the least.
        self._block_rows = max(array.chunks[0] for array in self._arrays.values())

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """The chunks along the rows, of the array that has the largest ones."""
        return even_blocks(self._num_rows, self._block_rows)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield a block: the chunks of each array that lie in it.

        Raises
        ------
        SourceError
            If a chunk cannot be decoded.
        """
        first = block * self._block_rows
        last = min(first + self._block_rows, self._num_rows)
        table = {}
        for field in choose_fields(self._fields, names):
            array = self._arrays[field.name]
            with _reading(array.store_path, f"rows {first} to {last - 1}"):
                table[field.name] = array[first:last].astype(field.dtype, copy=False)
        yield table


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr group or array, of either version of the format."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def is_zarr_object(obj: Any) -> bool:
    """Whether something is an array or a group of zarr, which need not be installed to tell."""
    module, _, _ = type(obj).__module__.partition(".")
    return module == "zarr"


def import_zarr() -> Any:
    """Return the package zarr.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            "Zarr is read and written by the package zarr, which is not installed.\n"
            'Hint: pip install "bayou[zarr]"'
        ) from error
    return zarr


def _open(where: Any, filesystem: Any) -> Any:
    if is_zarr_object(where):
        return where
    zarr = import_zarr()
    if filesystem is not None:
        where = zarr.storage.FsspecStore.from_mapper(filesystem.get_mapper(where), read_only=True)
    elif isinstance(where, Path):
        where = str(where)
    with _reading(where, "metadata"):
        return zarr.open(where, mode="r")


@contextmanager
def _reading(where: Any, place: str) -> Iterator[None]:
    """Say where it was, if reading fails, by whatever codec and store."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        hint = "it is damaged, or no Zarr array or group; write it anew."
        raise damage_error(where, place, error, hint) from error


def _field(name: str, array: Any) -> Field:
    field, _ = array_column(name, np.empty((0, *array.shape[1:]), dtype=array.dtype))
    return field


def _arrays(opened: Any) -> dict[str, Any]:
    if not hasattr(opened, "arrays"):
        return {VALUE: opened}
    return dict(sorted(opened.arrays()))
