"""The free memory, and the default number of rows of a source that are resident."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bayou.sources.base.source import Source

# The part of the free memory for resident rows. The rest is for the blocks that are decoded, for
# what is computed, and for other programs.
SHARE = 0.25
# Taken as free where the system does not say, which is on Windows: a quarter of it fits any machine
# that runs JAX.
FALLBACK_BYTES = 2 * 2**30
# The root of the files by which Linux tells about memory.
ROOT = Path("/")
# The files of control groups, of version 2 and of version 1: the limit and the use in bytes, and
# the name of the cache of files within `memory.stat`.
CGROUP_FILES = {
    "sys/fs/cgroup": ("memory.max", "memory.current", "inactive_file"),
    "sys/fs/cgroup/memory": (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


def default_window(source: Source, names: Sequence[str] | None = None) -> int:
    """Return the default of `in_memory_size`: how many rows of a source are resident.

    Parameters
    ----------
    source : Source
        The rows.
    names : sequence of str, optional
        The fields to keep in memory; by default all that are not text.

    Returns
    -------
    int
        The number of all rows, if they fit into a quarter of the free memory; else the number of
        rows that fit into it. At least 2.
    """
    fields = [field for field in source.fields.values() if field.dtype != object]
    if names is not None:
        fields = [source.fields[name] for name in names]
    row_bytes = max(1, sum(field.row_bytes for field in fields))
    window = max(2, int(SHARE * free_memory()) // row_bytes)
    return window if source.num_rows is None else max(2, min(window, source.num_rows))


def check_draws(num_draws: int, sizes: Mapping[str, int], num_more: int = 0) -> None:
    """Check that draws fit in half of the free memory.

    Parameters
    ----------
    num_draws : int
        The number of draws, of all chains.
    sizes : mapping of str to int
        The floats of a draw, by variable.
    num_more : int, default 0
        The floats that come with a draw besides.

    Raises
    ------
    ValueError
        If they do not.
    """
    free = free_memory()
    needed = 8 * num_draws * max(1, sum(sizes.values()) + num_more)
    if needed <= free / 2:
        return
    hint = "ask for fewer; 1000 give means to 3% of a standard deviation."
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if len(sizes) > 1 and 16 * num_draws * sizes[largest] > needed:
        hint += f" Or do without {largest!r}, the largest: `var_names` has the names to keep."
    raise ValueError(
        f"`draws` must fit in half of the free memory, {free / 2e9:.1f} GB, got {num_draws} "
        f"draws of {needed / 1e9:.1f} GB.\nHint: {hint}"
    )


def free_memory(root: Path = ROOT) -> int:
    """Return the bytes of memory that this process can take without swapping.

    On Linux, that is the least of what the machine and the control groups of the process, such as
    those of a container, leave. On macOS, it is all physical memory; on Windows, a fixed number.

    Parameters
    ----------
    root : Path
        The root of the files by which Linux tells about memory.
    """
    return min([_machine_memory(root), *_group_memory(root)])


def _machine_memory(root: Path) -> int:
    """Return the free memory of the machine."""
    try:
        lines = (root / "proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _memory_without_proc()
    [available] = [line for line in lines if line.startswith("MemAvailable:")]
    return int(available.split()[1]) * 1024


def _memory_without_proc() -> int:
    """Return the free memory, or else all memory, of a machine that is not a Linux machine."""
    # Windows has no `sysconf`; macOS does not count available pages.
    names = getattr(os, "sysconf_names", {})
    pages = next((name for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES") if name in names), None)
    if pages is None:
        return FALLBACK_BYTES
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")


def _group_memory(root: Path) -> Iterator[int]:
    """Yield the free memory of each control group that this process is in and that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    # Lines are "hierarchy:controllers:path". A group is bound by the limits of its parents too.
    # Within a container, the path may be that outside of it, so that only its root is there.
    paths = {Path(line.split(":", 2)[2].lstrip("/")) for line in lines}
    for mount, (limit, usage, cache) in CGROUP_FILES.items():
        for folder in {parent for path in paths for parent in (path, *path.parents)}:
            free = _free_in_group(root / mount / folder, limit, usage, cache)
            if free is not None:
                yield free


def _free_in_group(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """Return the free memory of a control group, None if it has no limit."""
    try:
        limit_text, usage_text, statistics = (
            (folder / name).read_text(encoding="utf-8") for name in (limit, usage, "memory.stat")
        )
    except OSError:
        return None
    if limit_text.strip() == "max":
        return None
    # The cache of files counts as used, but the system drops it when memory is needed.
    cached = dict(line.split() for line in statistics.splitlines()).get(cache, "0")
    return max(0, int(limit_text) - int(usage_text) + int(cached))
