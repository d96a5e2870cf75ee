"""The number of cores that this process uses: those that it may run on, or a worker's share."""

from __future__ import annotations

import os

# Set in workers alone, by `use_cores`.
_share: int | None = None


def usable_cores() -> int:
    """Return the number of threads that this process may compute with at a time."""
    if _share is not None:
        return _share
    # Linux says which cores a process may run on; macOS and Windows do not.
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def use_cores(number: int) -> None:
    """Set the number of cores of this process, before it computes for the first time.

    Without it, each worker of a machine would start as many threads as the machine has cores.
    """
    global _share  # noqa: PLW0603
    _share = number
    # XLA takes the size of its thread pool from this variable when it starts, and only then.
    os.environ["NPROC"] = str(number)
