"""Locks between processes, on any system, so that two of them never write to one path at a time.

The lock of a path is a file beside it, ``{name}.lock``, which is removed with the lock. The system
frees the lock of a process that dies; the file that such a process leaves behind locks nothing.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lock_file(path: Path) -> Path:
    """Return the file that locks a path, the same for all links to the path."""
    target = path.resolve()
    return target.with_name(f"{target.name}.lock")


@contextmanager
def locked(path: Path, busy: Exception) -> Iterator[None]:
    """Hold the lock of a path, without waiting for it.

    Parameters
    ----------
    path : Path
        A file or folder, which need not exist, in a folder that exists.
    busy : Exception
        Raised if the lock is held, by another process or by another call of this one.

    Raises
    ------
    OSError
        If the file of the lock cannot be written.
    """
    file = lock_file(path)
    # Each call opens the file by itself, so that two threads exclude each other too.
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        # Removed while it is locked: a process that has opened the file already sees that its name
        # is gone, and does not take it. Windows removes no open file; there, `release` removes it.
        with suppress(OSError):
            file.unlink()
        lock.release()
