"""The source of Zarr arrays of one length, in a group or alone.

A block is a chunk along the rows, of the array with the largest chunks. With smaller blocks, a
large chunk would be decoded once for each block that it overlaps.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sources.base.field import choose_fields
from bayou.sources.base.row_numbers import even_blocks
from bayou.sources.base.source import Source
from bayou.sources.files.listed_file import damage_error
from bayou.sources.files.remote_store import reach
from bayou.sources.in_memory.array import VALUE, array_column, check_not_empty, one_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from zarr import Array, Group

    from bayou.sources.base.field import Field, Table

    type ZarrArray = Array[Any]


NAN_BYTES = struct.pack("<d", float("nan"))


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
        If the arrays differ in length, if there are none, or if there is none of such a name; or if
        the attributes of an array say that its numbers stand for others, as xarray writes them.
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
        where: object,
        columns: Sequence[str] | None = None,
        filesystem: Any = None,
    ) -> None:
        arrays = _arrays(_open(where, filesystem))
        fields = {name: _field(name, array) for name, array in arrays.items()}
        chosen = choose_fields(fields, list(fields) if columns is None else columns)
        self._fields = {field.name: field for field in chosen}
        self._arrays = {name: arrays[name] for name in self._fields}
        for name, array in self._arrays.items():
            _check_plain(name, array)
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
                rows = np.asarray(array[first:last])
                table[field.name] = rows.astype(field.dtype, copy=False)
        yield table


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr group or array, of version 2 or 3 of the format."""
    # The first is of version 3, the others of version 2.
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def is_zarr_object(obj: object) -> bool:
    """Return whether an object is an array or a group of zarr, without importing zarr."""
    module, _, _ = type(obj).__module__.partition(".")
    return module == "zarr"


def import_zarr() -> ModuleType:
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
            'Hint: pip install "bayou[zarr]".'
        ) from error
    return zarr


def _open(where: Any, filesystem: Any) -> ZarrArray | Group:
    if is_zarr_object(where):
        given: ZarrArray | Group = where
        return given
    zarr = import_zarr()
    path = str(where) if isinstance(where, Path) else where

    def open_store() -> ZarrArray | Group:
        store = path
        if filesystem is not None:
            mapper = filesystem.get_mapper(path)
            store = zarr.storage.FsspecStore.from_mapper(mapper, read_only=True)
        with _reading(path, "metadata"):
            opened: ZarrArray | Group = zarr.open(store, mode="r")
        return opened

    if filesystem is None and "://" not in path:
        return open_store()
    try:
        return reach(path, open_store)
    except ImportError as error:
        raise ImportError(
            f"`what` must be a URL whose package is installed, got {path!r}: {error}.\n"
            "Hint: install that package, or pass `filesystem`."
        ) from error


@contextmanager
def _reading(where: object, part: str) -> Iterator[None]:
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


def _field(name: str, array: ZarrArray) -> Field:
    field, _ = array_column(name, np.empty((0, *array.shape[1:]), dtype=array.dtype))
    return field


def _check_plain(name: str, array: ZarrArray) -> None:
    """Check that numbers stand for themselves: xarray packs floats, dates and missing values."""
    attributes = dict(array.attrs)
    coded: dict[str, object] = {
        key: attributes[key] for key in ("scale_factor", "add_offset") if key in attributes
    }
    units = str(attributes.get("units", ""))
    if " since " in units or str(attributes.get("dtype", "")).startswith("timedelta"):
        coded["units"] = units
    marks: dict[str, object] = {
        key: attributes[key] for key in ("_FillValue", "missing_value") if key in attributes
    }
    # In version 2 of the format, xarray writes the mark as the fill value of the array itself.
    if "_ARRAY_DIMENSIONS" in attributes and array.fill_value is not None:
        marks["_FillValue"] = array.fill_value
    # NaN is what is missing among floats anyway.
    if array.dtype.kind in "iuf":
        coded |= {key: mark for key, mark in marks.items() if not _is_nan(mark)}
    for key, value in coded.items():
        raise ValueError(
            f"`{name}` must hold numbers that stand for themselves, got {key!r} of xarray, "
            f"{value!r}.\n"
            "Hint: open it with xarray.open_zarr(path), and pass the dataset to by.source; or "
            "leave the array out with `columns`."
        )


def _is_nan(mark: Any) -> bool:
    """Return whether a mark is NaN, which xarray writes as text in version 3 of the format."""
    if isinstance(mark, str):
        # The eight bytes of a double, or a name.
        return mark == "NaN" or b64decode(mark) == NAN_BYTES
    return bool(np.issubdtype(np.asarray(mark).dtype, np.floating) and np.isnan(mark))


def _arrays(opened: ZarrArray | Group) -> dict[str, ZarrArray]:
    if not hasattr(opened, "arrays"):
        return {VALUE: opened}
    # A group lists its arrays in the order of the storage, which may be any.
    return dict(sorted(opened.arrays()))
