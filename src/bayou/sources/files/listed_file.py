"""A file as it was when it was listed: opened for reading, and refused once it has changed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs

from bayou.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class File:
    """A file as it was when it was listed.

    Attributes
    ----------
    filesystem : pyarrow.fs.FileSystem
        The filesystem.
    path : str
        The path there.
    size : int
        The size in bytes.
    modified : int or None
        The time of the last change in nanoseconds. None if the filesystem does not have it.
    keys : tuple of (str, str or None)
        The names and values of the columns that its folders stand for (``year=2013``), outermost
        first. None is null.
    """

    filesystem: fs.FileSystem
    path: str
    size: int
    modified: int | None
    keys: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether the file is on a filesystem of this machine."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def open(self) -> pa.NativeFile:
        """Open the file for reading, to be closed by a ``with`` statement."""
        return self.filesystem.open_input_file(self.path)

    def check(self) -> None:
        """Check that the file is the one that was listed.

        Raises
        ------
        SourceError
            If it is gone, or has another size or time of change.
        """
        info = self.filesystem.get_file_info(self.path)
        if info.type != fs.FileType.File:
            raise SourceError(
                f"`{self.path}` must stay while it is read, got no such file any more.\n"
                "Hint: put it back, or open the source again."
            )
        if (info.size, info.mtime_ns) != (self.size, self.modified):
            raise SourceError(
                f"`{self.path}` must not change while it is read, got {info.size} bytes changed "
                f"at {info.mtime}; it was opened with {self.size}.\n"
                "Hint: open the source again, and write new files beside the old ones."
            )


DAMAGED = "the file is damaged or has another format; write it again."


@contextmanager
def reading(file: File, part: str, hint: str = DAMAGED) -> Iterator[None]:
    """Turn errors of Arrow and of the operating system into errors that name file and part.

    Parameters
    ----------
    file : File
        The file that is read.
    part : str
        The part of it, such as "row group 3 (rows 300 to 399)".
    hint : str, optional
        What to do. By default, that the file is damaged.

    Raises
    ------
    SourceError
        If the body of the ``with`` statement raises such an error.
    """
    try:
        yield
    except SourceError:
        raise
    # Arrow decodes the names of columns when they are asked for.
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        # A file that was replaced fails in any way; that it was replaced is what to say.
        file.check()
        raise damage_error(file.path, part, error, hint) from error


def damage_error(where: object, part: str, error: Exception, hint: str) -> SourceError:
    """Return the error for stored rows that cannot be decoded.

    Parameters
    ----------
    where : object
        The path.
    part : str
        The part that was read, such as "metadata".
    error : Exception
        The error that decoding it raised.
    hint : str
        What to do.
    """
    reason = " ".join(str(error).split()).rstrip(" .")
    return SourceError(
        f"`{where}` must be readable, got an error in its {part}: {reason}.\nHint: {hint}"
    )
