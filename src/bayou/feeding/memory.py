"""How much memory is free, and how many rows of a source are to be resident in it by default."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bayou.sources.base.source import Source

# The part of the free memory that rows may take.
SHARE = 0.25
# Where the files of the system begin.
ROOT = Path("/")
# Where control groups of version 2, and of 1, say their limit, their use, and what of it is cache.
CGROUP_FILES = {
    "sys/fs/cgroup": ("memory.max", "memory.current", "inactive_file"),
    "sys/fs/cgroup/memory": (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


def default_window(source: Source, names: Sequence[str] | None = None) -> int:
    """Return how many rows of a source are resident if nothing else is asked for.

    Parameters
    ----------
    source : Source
        The rows.
    names : sequence of str, optional
        The fields that are wanted; by default all but text.

    Returns
    -------
    int
        All rows, if they take a quarter of the free memory at most, else as many as do; at least 2.
    """
    wanted = [field for field in source.fields.values() if field.dtype != object]
    if names is not None:
        wanted = [source.fields[name] for name in names]
    row_bytes = max(1, sum(field.row_bytes for field in wanted))
    window = max(2, int(SHARE * free_memory()) // row_bytes)
    return window if source.num_rows is None else max(2, min(window, source.num_rows))


def free_memory(root: Path = ROOT) -> int:
    """Return the bytes that can be taken without swapping, by the machine's and the group's limits.

    Parameters
    ----------
    root : Path
        Where the files of the system begin.
    """
    return min([_machine(root), *_groups(root)])


def _machine(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _machine_without_proc()
    [available] = [line for line in lines if line.startswith("MemAvailable:")]
    return int(available.split()[1]) * 1024


def _machine_without_proc() -> int:
    """Return the free bytes of a machine without /proc: macOS, which tells all of them, Windows."""
    if sys.platform == "win32":
        # MEMORYSTATUSEX: its length and the load in percent, of 32 bits each, then seven sizes of
        # 64 bits, the second of which is the free physical memory.
        status = (ctypes.c_uint64 * 8)(64)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status[2])
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[int]:
    """Yield what is left to each control group that this process is in."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    paths = {Path(line.split(":", 2)[2].lstrip("/")) for line in lines}
    for mount, (limit, usage, cache) in CGROUP_FILES.items():
        top = root / mount
        for folder in {parent for path in paths for parent in (path, *path.parents)}:
            left = _left(top / folder, limit, usage, cache)
            if left is not None:
                yield left


def _left(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    try:
        most, used, stat = (
            (folder / name).read_text(encoding="utf-8") for name in (limit, usage, "memory.stat")
        )
    except OSError:
        return None
    if most.strip() == "max":
        return None
    # What is cached of files counts as used, and makes way.
    cached = dict(line.split() for line in stat.splitlines()).get(cache, "0")
    return max(0, int(most) - int(used) + int(cached))
