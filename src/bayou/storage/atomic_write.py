"""Files that are on the disk whole or not at all, also after the power went."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Write a file, or replace it; whoever reads it meanwhile finds all of the old or of the new.

    Parameters
    ----------
    file : Path
        In a folder that is there.
    content : bytes
        What it is to hold.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    sync(file.parent)  # Or the new name could be lost with the power.


def is_beside(path: Path, file: Path) -> bool:
    """Tell whether a path is what an interrupted :func:`write_whole` of a file left beside it."""
    process = path.name.removeprefix(f".{file.name}.")
    return path.parent == file.parent and process != path.name and process.isdecimal()


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder as a file, and writes names through by itself.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
