"""How many cores this process is to use: those that it may run on, or the share of a worker."""

from __future__ import annotations

import os

_share: int | None = None


def usable_cores() -> int:
    """Return how many threads of this process are to compute at a time."""
    if _share is not None:
        return _share
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def use_cores(number: int) -> None:
    """Have this process, which has not computed yet, use so many cores.

    Workers of one machine would otherwise each start as many threads as there are cores.
    """
    global _share  # noqa: PLW0603
    _share = number
    # What XLA makes its threads by, once it computes.
    os.environ["NPROC"] = str(number)
