"""The source of .npy and .npz files.

Arrays that are stored without compression are mapped into memory, so that taking rows costs the
pages that they are on. Compressed members of .npz files are read into memory as a whole.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.sources.base.field import choose_fields
from bayou.sources.in_memory.array import ArraySource, array_column, from_columns, named_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.sources.base.field import Table

# The header of a member of a zip file ends in the lengths of its name and of its extra field, which
# follow, and then come the bytes of the member.
_LOCAL_HEADER = struct.Struct("<26xHH")


class NpySource(ArraySource):
    """The array of a .npy file, or the arrays of a .npz file.

    Parameters
    ----------
    path : str or Path
        The file. The fields are those of a structured array, else the members of a .npz file, else
        "value". The first axis is the row.
    columns : sequence of str, optional
        The fields to read. By default all.

    Raises
    ------
    ValueError
        If the file is incomplete, holds Python objects, or has no such fields.
    """

    def __init__(self, path: str | Path, columns: Sequence[str] | None = None) -> None:
        self._path = Path(path).absolute()
        self._columns = columns
        try:
            arrays = _arrays(self._path)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} must be a complete .npy or .npz file of numbers, got an error: {error}\n"
                "Hint: write it again with numpy.save or numpy.savez, without Python objects."
            ) from error
        members = {name: array_column(name, array) for name, array in arrays.items()}
        if columns is not None:
            choose_fields({name: field for name, (field, _) in members.items()}, columns)
            members = {name: members[name] for name in columns}
        arrays_source = from_columns(members, "refuse")
        super().__init__(arrays_source.fields, arrays_source._values, arrays_source.num_rows)

    def __reduce__(self) -> tuple[type[NpySource], tuple[object, ...]]:
        """Pickle the path. The file is mapped again when the source is unpickled."""
        return NpySource, (self._path, self._columns)

    @property
    def where(self) -> str:
        """The path of the file."""
        return str(self._path)


def _arrays(path: Path) -> Table:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if not is_zip:
        return named_arrays(np.load(path, mmap_mode="r", allow_pickle=False))
    arrays = {}
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as loaded:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            array = _mapped(path, info) if info.compress_type == zipfile.ZIP_STORED else None
            arrays[name] = loaded[name] if array is None else array
    # The fields of one structured array, as of a .npy file.
    [only, *others] = arrays.values() or [np.empty(0)]
    return arrays if others or only.dtype.names is None else named_arrays(only)


def _mapped(path: Path, info: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Map a member that is stored without compression.

    NumPy maps no member of a .npz file. None if the version of the header is not 1.0, as for dtypes
    with very many fields: such a member is read into memory.
    """
    with path.open("rb") as file:
        file.seek(info.header_offset)
        file.seek(sum(_LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))), 1)
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds Python objects")
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if is_fortran else "C")
