from __future__ import annotations

import os
import signal

import pytest

from bayou.cluster.ray import Ray, WorkerDiedError, ray_of, workers


def process(held: int) -> tuple[int, int]:
    return held, os.getpid()


def add(held: int, other: int) -> int:
    return held + other


def fail(held: int) -> None:
    raise ValueError(f"held {held}")


def die(held: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_hold_call_raise_die_and_are_replaced() -> None:
    with workers(Ray(2), lambda index: 10 * index) as pool:
        assert len(pool) == 2
        found = [pool.result(pool.submit(index, process)) for index in range(2)]
        assert [held for held, _ in found] == [0, 10]
        assert len({pid for _, pid in found} | {os.getpid()}) == 3
        assert pool.result(pool.submit(1, add, 5)) == 15
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
