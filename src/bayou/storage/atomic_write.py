"""Files that appear complete or not at all, also after a loss of power.

The content goes into a temporary file beside the path, is flushed to the disk, and is renamed,
which replaces the old file at once. The cost is two flushes, of the file and of its folder.
"""

from __future__ import annotations

import os
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file, or replace it. A reader gets all of the old content or all of the new one.

    Parameters
    ----------
    file : Path
        The file, in a folder that exists.
    content : bytes
        Its new content.

    Raises
    ------
    OSError
        If the content cannot be written. The old file is then as it was.
    """
    # The numbers keep processes and threads that write the same file from sharing a temporary one.
    temporary = file.with_name(f".{file.name}.{os.getpid()}{get_ident()}")
    try:
        with temporary.open("wb") as opened:
            opened.write(content)
            opened.flush()
            # Before the rename: some filesystems write the new name first, and the content later.
            os.fsync(opened.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    # The new name is in the folder, which has a place on the disk of its own.
    flush_to_disk(file.parent)


def is_temporary(path: Path, file: Path) -> bool:
    """Return whether a path is a temporary file that :func:`write_atomically` of a file left.

    Only a process that was killed leaves one.
    """
    numbers = path.name.removeprefix(f".{file.name}.")
    return path.parent == file.parent and numbers != path.name and numbers.isdecimal()


def flush_to_disk(path: Path) -> None:
    """Write what the system caches of a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder as a file, and writes names through by itself.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
