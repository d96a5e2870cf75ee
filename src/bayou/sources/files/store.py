"""The store that :func:`bayou.shuffle` writes: a folder with one .npy file a field and a manifest.

Rows are taken through memory maps, at the cost of the pages that they are on. Blocks are read as
usual files, so that a pass over the rows keeps one block in memory and no pages of a map.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from bayou.errors import SourceError
from bayou.sources.base.field import Field, choose_fields
from bayou.sources.base.row_numbers import check_rows, even_blocks
from bayou.sources.base.source import Source
from bayou.storage.atomic_write import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table

FORMAT = "bayou store"
VERSION = 1
MANIFEST = "manifest.json"
# A block has so many bytes, as many as reading holds.
BLOCK_BYTES = 8 * 2**20
# Files are checked, and written by a shuffle, so many bytes at a time.
PIECE_BYTES = 16 * 2**20


class FieldEntry(TypedDict):
    """The entry of a field in a manifest; its file has `bytes` bytes, and the checksum `crc32`."""

    name: str
    dtype: str
    shape: list[int]
    categories: list[str] | None
    file: str
    bytes: NotRequired[int]
    crc32: NotRequired[int]


class Manifest(TypedDict):
    """The manifest of a store; `made` says which rows it was written from."""

    format: str
    version: int
    num_rows: int
    fields: list[FieldEntry]
    made: NotRequired[object]


class Store(Source):
    """Rows on disk in random order, which are taken by their numbers at the speed of the disk.

    :func:`bayou.shuffle` writes a store and returns it. :func:`bayou.scan` opens one by the path of
    its folder.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : mapping of str to JSON values
        The description of the files: fields, number of rows, sizes and checksums.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> rows = by.source({"x": np.arange(10.0)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rows"
    ...     store = by.shuffle(rows, path, random_seed=1, progressbar=False)
    ...     store.random_access, by.scan(path).num_rows
    (True, 10)
    """

    def __init__(self, path: Path, manifest: Manifest, arrays: Table) -> None:
        self.path = path
        self.manifest = manifest
        self._fields = {entry["name"]: _field(entry) for entry in manifest["fields"]}
        self._entries = {entry["name"]: entry for entry in manifest["fields"]}
        self._arrays = arrays
        self._num_rows: int = manifest["num_rows"]
        row_bytes = sum(field.row_bytes for field in self._fields.values())
        self._block_rows = max(1, BLOCK_BYTES // max(1, row_bytes))
        self._blocks = even_blocks(self._num_rows, self._block_rows)

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[str]]:
        """Pickle the path. The files are mapped again when the store is unpickled."""
        return open_store, (str(self.path),)

    @property
    def where(self) -> str:
        """The path of the folder."""
        return str(self.path)

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name, in the order of the manifest."""
        return self._fields

    @property
    def blocks(self) -> Sequence[int]:
        """The number of rows of each block, which has up to 8 MiB."""
        return self._blocks

    @property
    def num_rows(self) -> int:
        """The number of rows of all blocks."""
        return self._num_rows

    def null_counts(self) -> Mapping[str, int | None]:
        """Return 0 for each field: rows with nulls are not written to a store."""
        return dict.fromkeys(self._fields, 0)

    @property
    def random_access(self) -> bool:
        """True, since rows are taken from memory maps."""
        return True

    def read(self, block: int, names: Sequence[str]) -> Iterator[Table]:
        """Yield the rows of a block as one table.

        Raises
        ------
        SourceError
            If a file of the store is gone, or shorter than it was.
        """
        first, count = block * self._block_rows, self._blocks[block]
        yield {
            field.name: self._rows(field, first, count)
            for field in choose_fields(self._fields, names)
        }

    def take(self, rows: NDArray[np.int64], names: Sequence[str]) -> Table:
        """Return rows by their numbers, in any order."""
        check_rows(rows, self._num_rows)
        return {
            field.name: np.take(self._arrays[field.name], rows, axis=0)
            for field in choose_fields(self._fields, names)
        }

    def _rows(self, field: Field, first: int, count: int) -> NDArray[Any]:
        entry = self._entries[field.name]
        file = self.path / entry["file"]
        if not file.is_file():
            raise _missing(file, field.name)
        size = count * int(np.prod(field.shape, dtype=np.int64))
        # Counted from the end: the length of the header depends on the version of NumPy.
        offset = entry["bytes"] - (self._num_rows - first) * field.row_bytes
        values: NDArray[Any] = np.fromfile(file, field.dtype, size, offset=offset)
        if values.nbytes != count * field.row_bytes:
            raise SourceError(
                f"`{file}` must not change while it is read, got {values.nbytes} of the "
                f"{count * field.row_bytes} bytes of rows {first} to {first + count - 1} of the "
                f"field `{field.name}`.\nHint: restore the file, or write the store again."
            )
        return values.reshape(count, *field.shape)


def open_store(path: str | Path, *, verify: bool = False) -> Store:
    """Open a store that :func:`bayou.shuffle` wrote.

    Parameters
    ----------
    path : str or Path
        The folder.
    verify : bool, default False
        Read all files and compare their checksums. Their sizes are always compared.

    Returns
    -------
    Store
        A source with random access. It can be pickled.

    Raises
    ------
    FileNotFoundError
        If there is no store at the path, or an unfinished one.
    SourceError
        If a file of the store is missing, or is not as it was written.
    ValueError
        If the store has a later version of the format.
    """
    folder = Path(path).absolute()
    manifest = read_manifest(folder)
    arrays = {
        entry["name"]: _open_field(folder / entry["file"], entry, manifest["num_rows"], verify)
        for entry in manifest["fields"]
    }
    return Store(folder, manifest, arrays)


def is_store(path: str | Path) -> bool:
    """Return whether there is a store at the path, complete or not."""
    return (Path(path) / MANIFEST).is_file()


def field_entry(index: int, field: Field) -> FieldEntry:
    """Return the entry of a field in the manifest, without the size and checksum of its file."""
    # The number makes file names differ, whatever is left of the names of the fields.
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", field.name)[:60]
    return {
        "name": field.name,
        "dtype": field.dtype.str,
        "shape": list(field.shape),
        "categories": None if field.categories is None else list(field.categories),
        "file": f"{index:04d}-{readable}.npy",
    }


def array_header(field: Field, num_rows: int) -> bytes:
    """Return the header of the .npy file of a field: all bytes before the values."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file,
        {"descr": field.dtype.str, "fortran_order": False, "shape": (num_rows, *field.shape)},
    )
    return file.getvalue()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a store.

    Raises
    ------
    FileNotFoundError
        If there is no store in the folder.
    SourceError
        If the manifest is damaged.
    ValueError
        If it has a later version of the format.
    """
    file = folder / MANIFEST
    if not file.is_file():
        unfinished = folder.name.endswith(".partial") or _partial(folder).is_dir()
        raise FileNotFoundError(
            f"`path` must be a store that by.shuffle wrote, got {str(folder)!r}, which has no "
            f"{MANIFEST}.\nHint: "
            + (
                "the shuffle is unfinished; call by.shuffle again with the same arguments."
                if unfinished
                else "check the name, and the folder that the program runs in."
            )
        )
    try:
        manifest: Manifest = json.loads(file.read_text(encoding="utf-8"))
        known = manifest["format"] == FORMAT and manifest["version"] <= VERSION
        # Every key that is used later is looked up here, where a missing one becomes an error.
        checked = known and [
            (_field(entry), entry["file"], entry["bytes"], entry["crc32"], manifest["num_rows"])
            for entry in manifest["fields"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"`{file}` must be a manifest as bayou wrote it, got one that cannot be read "
            f"({type(error).__name__}: {error}).\n"
            "Hint: it was changed or damaged; restore it, or write the store again."
        ) from error
    if not checked:
        raise ValueError(
            f"`{file}` must be of the format {FORMAT!r}, version at most {VERSION}, got "
            f"{manifest['format']!r}, version {manifest['version']}.\n"
            "Hint: open it with a later version of bayou."
        )
    return manifest


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file that is on the disk complete or not at all."""
    write_atomically(file, json.dumps(content, indent=1).encode())


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")


def _field(entry: FieldEntry) -> Field:
    categories = entry["categories"]
    return Field(
        entry["name"],
        np.dtype(entry["dtype"]),
        tuple(entry["shape"]),
        None if categories is None else tuple(categories),
    )


def _open_field(file: Path, entry: FieldEntry, num_rows: int, verify: bool) -> NDArray[Any]:
    """Map the values of a field, after a check of the file."""
    if not file.is_file():
        raise _missing(file, entry["name"])
    size = file.stat().st_size
    if size != entry["bytes"]:
        raise _damaged(file, f"{size} bytes, of {entry['bytes']} by the manifest")
    try:
        # A plain array: rows taken from a memmap would be memmaps themselves, though in memory.
        mapped: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (ValueError, EOFError) as error:
        raise _damaged(file, "a header that cannot be read") from error
    field = _field(entry)
    if (mapped.dtype, mapped.shape) != (field.dtype, (num_rows, *field.shape)):
        raise _damaged(file, "another dtype or shape than by the manifest")
    if verify and _checksum(file) != entry["crc32"]:
        raise _damaged(file, "another checksum than by the manifest")
    return mapped


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def _missing(file: Path, name: str) -> SourceError:
    return SourceError(
        f"`{file}` must hold the field `{name}` of the store, got no such file.\n"
        "Hint: restore the file, or write the store again."
    )


def _damaged(file: Path, what: str) -> SourceError:
    return SourceError(
        f"`{file}` must be as it was written, got {what}.\n"
        "Hint: the file was cut short, changed or damaged; restore it, or write the store again."
    )
