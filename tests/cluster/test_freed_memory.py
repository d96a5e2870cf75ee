"""Freed memory goes back to the system."""

import platform
from pathlib import Path

import numpy as np
import pytest

from bayou.cluster.freed_memory import release_memory


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_below_what_is_still_used_is_given_back() -> None:
    arrays = [np.zeros(2_000) for _ in range(5_000)]
    # The last one keeps the heap from shrinking.
    last = arrays.pop()
    arrays.clear()
    before = resident_pages()
    release_memory()
    assert last.size == 2_000
    assert (before - resident_pages()) * 4096 > 20_000_000


def test_it_may_be_called_at_any_time() -> None:
    release_memory()
    release_memory()
