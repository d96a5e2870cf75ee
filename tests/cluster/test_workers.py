from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import jax
import numpy as np
import pytensor
import pytest
import ray
from threadpoolctl import threadpool_info

from bayou.cluster.cores import usable_cores
from bayou.cluster.ray import Ray
from bayou.cluster.workers import Workers, start_workers
from bayou.errors import WorkerDiedError


def process(held: int) -> tuple[int, int]:
    return held, os.getpid()


def add(held: int, other: int) -> int:
    return held + other


def fail(held: int) -> None:
    raise ValueError(f"held {held}")


def die(held: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def surroundings(held: int) -> tuple[int, bool, str]:
    return usable_cores(), bool(jax.config.jax_enable_x64), pytensor.config.mode


def blas_threads(held: int) -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_workers_have_a_state_and_are_called_and_replaced(two_cores: None) -> None:
    mode = pytensor.config.change_flags(mode="FAST_COMPILE")
    with mode, start_workers(Ray(), lambda index: 10 * index) as pool:
        assert len(pool) == 2
        found = [pool.result(pool.submit(index, process)) for index in range(2)]
        assert [held for held, _ in found] == [0, 10]
        assert len({pid for _, pid in found} | {os.getpid()}) == 3
        assert pool.result(pool.submit(1, add, 5)) == 15
        assert pool.result(pool.submit(1, surroundings)) == (
            1,
            bool(jax.config.jax_enable_x64),
            "FAST_COMPILE",
        )
        assert pool.result(pool.submit(1, blas_threads)) == {1}
        with pytest.raises(ValueError, match="held 10"):
            pool.result(pool.submit(1, fail))
        with pytest.raises(WorkerDiedError):
            pool.result(pool.submit(1, die))
        pool.replace(1)
        futures = [pool.submit(index, process) for index in range(2)]
        held, pid = pool.result(futures[1])
        assert held == 10
        assert pid != found[1][1]
        assert pool.result(futures[0]) == found[0]


def test_each_call_raises_the_error_of_the_start(two_cores: None) -> None:
    def start(index: int) -> int:
        return 1 // index

    with start_workers(Ray(1), start) as pool:
        for future in (pool.started(0), pool.submit(0, process)):
            with pytest.raises(ZeroDivisionError):
                pool.result(future)


def test_cores_and_pickling_are_checked_before_workers_start(two_cores: None) -> None:
    with pytest.raises(ValueError, match="must have 3 cores for 3 workers of 1, got 2"):
        start_workers(Ray(3), abs).__enter__()
    with pytest.raises(ValueError, match="must have 4 cores for 1 workers of 4, got 2"):
        start_workers(Ray(cpus_per_worker=4), abs).__enter__()
    lock = threading.Lock()
    with pytest.raises(TypeError, match="must be picklable, got TypeError: cannot pickle"):
        start_workers(Ray(), lambda index: lock).__enter__()
    text = r"1 free cores for 1 workers, got 0 after 0\.1 seconds"
    with start_workers(Ray(2), abs), pytest.raises(RuntimeError, match=text):
        start_workers(Ray(1), abs, reserve_seconds=0.1).__enter__()


def test_the_error_of_a_full_store_has_its_size(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(value: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room for 1000000 bytes")

    size = ray.cluster_resources()["object_store_memory"] / 1e9
    text = f"between processes, {size:.2g} GB, got more: .*no room for 1000000 bytes"
    with start_workers(Ray(1), lambda index: index) as pool:
        monkeypatch.setattr(ray, "put", full)
        with pytest.raises(MemoryError, match=text) as found:
            pool.put(np.zeros(3))
    assert "\nHint: start Ray with more of it" in str(found.value)


def test_a_cluster_that_is_gone_costs_no_result() -> None:
    def gone(_: object) -> None:
        raise ConnectionError("no head")

    pool = SimpleNamespace(_actors=["worker"], _ray=SimpleNamespace(kill=gone), _reserved=None)
    with pytest.warns(UserWarning, match=r"may still run: ConnectionError: no head\.\nHint: look"):
        Workers.close(pool)
