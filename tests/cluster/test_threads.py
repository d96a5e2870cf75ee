"""Threads of BLAS are shared while computations run side by side, and are as before afterwards."""

from __future__ import annotations

import sys
from threading import Thread

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (loads a BLAS of its own)
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from bayou.cluster import threads
from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limit_threads, limited_threads


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {library["num_threads"] for library in threadpool_info()}


@pytest.mark.parametrize(("num_parallel", "cores", "limit"), [(4, 8, 2), (8, 8, 1), (9, 8, 1)])
def test_cores_are_shared(num_parallel: int, cores: int, limit: int) -> None:
    with threadpool_limits(8):
        with limited_threads(num_parallel, cores):
            assert blas_threads() == {limit}
        assert blas_threads() == {8}


def test_all_usable_cores_by_default() -> None:
    with threadpool_limits(usable_cores() + 1), limited_threads(1):
        assert blas_threads() == {usable_cores()}


def test_threads_are_back_after_an_error() -> None:
    with threadpool_limits(3):
        with pytest.raises(RuntimeError), limited_threads(2, 2):
            raise RuntimeError
        assert blas_threads() == {3}


def test_what_is_lower_stays() -> None:
    with threadpool_limits(1), limited_threads(1, 8):
        assert blas_threads() == {1}


def test_limits_overlap() -> None:
    with threadpool_limits(8):
        first, second = limited_threads(2, 8), limited_threads(1, 2)
        first.__enter__()
        second.__enter__()
        assert blas_threads() == {2}
        first.__exit__(None, None, None)
        assert blas_threads() == {2}
        second.__exit__(None, None, None)
        assert blas_threads() == {8}


def test_libraries_are_looked_for_again_with_new_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[None] = []

    class Counted(ThreadpoolController):
        def __init__(self) -> None:
            searches.append(None)
            super().__init__()

    monkeypatch.setattr(threads, "_limits", threads._Limits())
    monkeypatch.setattr(threads, "ThreadpoolController", Counted)
    for number in (1, 1, 2):
        monkeypatch.setitem(sys.modules, f"bayou_test_module_{number}", sys)
        with threadpool_limits(8), limited_threads(1, 5):
            assert blas_threads() == {5}
        assert len(searches) == number


def test_limits_hold_in_other_threads() -> None:
    found: set[int] = set()
    with threadpool_limits(8), limited_threads(4, 8):
        thread = Thread(target=lambda: found.update(blas_threads()))
        thread.start()
        thread.join()
    assert found == {2}


def test_a_limit_for_the_life_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_limits", threads._Limits())
    with threadpool_limits(8):
        limit_threads(3)
        with limited_threads(1, 5):
            assert blas_threads() == {3}
        assert blas_threads() == {3}
