"""Workers on Ray: they hold, call, raise, die and are replaced."""

from __future__ import annotations

import os
import signal
import threading

import jax
import numpy as np
import pytensor
import pytest
import ray

from bayou.cluster.cores import usable_cores
from bayou.cluster.ray import Ray, own_host, ray_of, workers
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


def test_workers_hold_call_raise_die_and_are_replaced(two_cores: None) -> None:
    with workers(Ray(), lambda index: 10 * index) as pool:
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


def test_a_failed_start_is_told_by_each_call(two_cores: None) -> None:
    def start(index: int) -> int:
        return 1 // index

    with workers(Ray(1), start) as pool:
        for future in (pool.started(0), pool.submit(0, process)):
            with pytest.raises(ZeroDivisionError):
                pool.result(future)


def test_what_a_cluster_cannot_do_is_told_before_it_is_begun(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="must have 3 cores for 3 workers of 1, got 2"):
        workers(Ray(3), abs).__enter__()
    with pytest.raises(ValueError, match="must have 4 cores for 1 workers of 4, got 2"):
        workers(Ray(cpus_per_worker=4), abs).__enter__()
    with pytest.raises(ValueError, match="must be the one that this process is connected to"):
        workers(Ray(address="127.0.0.1:1"), abs).__enter__()
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"must pickle, .*got TypeError: cannot pickle '_thread"):
        workers(Ray(), lambda index: lock).__enter__()
    with workers(Ray(2), abs):
        monkeypatch.setattr("bayou.cluster.ray.RESERVE_SECONDS", 0.1)
        with pytest.raises(RuntimeError, match=r"1 cores free for 1 workers, got 0 after 0"):
            workers(Ray(1), abs).__enter__()


def test_a_cluster_has_several_names(two_cores: None) -> None:
    address = ray.get_runtime_context().gcs_address
    port = address.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", own_host()):
        with workers(Ray(1, address=f"{host}:{port}"), lambda index: index) as pool:
            assert len(pool) == 1
    for other in ("localhost:1", f"no.such.host.invalid:{port}", f"192.0.2.1:{port}"):
        with pytest.raises(ValueError, match=f"is connected to, '{address}', got '{other}'"):
            workers(Ray(address=other), abs).__enter__()


def test_a_full_store_is_told_with_its_size(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(value: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room for 1000000 bytes")

    size = ray.cluster_resources()["object_store_memory"] / 1e9
    text = f"between processes, {size:.2g} GB, got more: .*no room for 1000000 bytes"
    with workers(Ray(1), lambda index: index) as pool:
        monkeypatch.setattr(ray, "put", full)
        with pytest.raises(MemoryError, match=text) as found:
            pool.put(np.zeros(3))
    assert "\nHint: start Ray with more of it" in str(found.value)


@pytest.mark.parametrize("wrong", [3, ["ray"], object])
def test_cluster_is_a_name_an_address_or_ray(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"`cluster` must be None, \"ray\""):
        ray_of(wrong)


def test_what_cluster_means() -> None:
    assert ray_of(None) is None
    assert ray_of("ray") == Ray()
    assert ray_of("127.0.0.1:6379") == Ray(address="127.0.0.1:6379")
    assert ray_of(Ray(3)) == Ray(3)


def test_numbers_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="`num_workers` must be"):
        Ray(0)
    with pytest.raises(ValueError, match="`cpus_per_worker` must be"):
        Ray(cpus_per_worker=0)
