"""The source of Zarr arrays of one length, in a group or alone.

A block is a chunk along the rows, of the array with the largest chunks. With smaller blocks, a
large chunk would be decoded once for each block that it overlaps.
"""

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
        A path or URL, or an opened group or array. The first axis of each array is the row.
    columns : sequence of str, optional
        The arrays to read. By default all arrays of the group, without those of inner groups.
    filesystem : fsspec filesystem, optional
        The filesystem of a path.

    Raises
    ------
    ImportError
        If zarr is not installed.
    ValueError
        If the arrays differ in length, if there are none, or if there is none of such a name.
    FileNotFoundError
        If there is no such group or array.
    SourceError
        If the metadata cannot be read.

    Notes
    -----
    Zarr does not store chunks of fill values, so that a chunk that was lost reads as fill values.
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
        self._block_rows = max(array.chunks[0] for array in self._arrays.values())

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """The number of rows of each chunk of the array with the largest chunks."""
        return even_blocks(self._num_rows, self._block_rows)

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block as one table.

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
    """Return whether a folder is a Zarr group or array, of version 2 or 3 of the format."""
    # The first is of version 3, the others of version 2.
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def is_zarr_object(obj: Any) -> bool:
    """Return whether an object is an array or a group of zarr, without importing zarr."""
    module, _, _ = type(obj).__module__.partition(".")
    return module == "zarr"


def import_zarr() -> Any:
    """Return the module zarr, which is optional.

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
def _reading(where: Any, part: str) -> Iterator[None]:
    """Turn errors of codecs and storage into errors that name the path and the part.

    Each codec raises errors of its own, derived from these four.
    """
    try:
        yield
    except FileNotFoundError:
        # It is an OSError too, and says by itself what is missing.
        raise
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        hint = "it is damaged, or no Zarr array or group; write it again."
        raise damage_error(where, part, error, hint) from error


def _field(name: str, array: Any) -> Field:
    field, _ = array_column(name, np.empty((0, *array.shape[1:]), dtype=array.dtype))
    return field


def _arrays(opened: Any) -> dict[str, Any]:
    if not hasattr(opened, "arrays"):
        return {VALUE: opened}
    # A group lists its arrays in the order of the storage, which may be any.
    return dict(sorted(opened.arrays()))
