"""Processes that compute together: means over them, the same to the last bit in each."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from bayou.cluster.connection import host_address
from bayou.cluster.jax_processes import Team, free_port, join_team
from bayou.cluster.ray import Ray
from bayou.cluster.workers import start_workers

SCALES = np.logspace(-8, 8, 200)


def address(held: int) -> str:
    return f"{host_address()}:{free_port()}"


def own_values(index: int) -> np.ndarray:
    return np.random.default_rng(index).normal(size=200) * SCALES


def compute(index: int, address: str) -> Any:
    team = join_team(address, index, 2)

    def means(own: dict[str, jax.Array], factor: jax.Array) -> Any:
        def step(_: int, last: jax.Array) -> jax.Array:
            last, count = team.mean((last + factor * own["values"], own["count"]))
            return last + 0 * count

        return jax.lax.fori_loop(0, 3, step, 0 * own["values"]), team.mean(own["count"])

    together = team.compile(means)
    own = {"values": own_values(index), "count": np.array(index)}
    found = together(own, 2.0)
    again = together(own, 2.0)
    # What is computed alone is not waited for by the other.
    alone = jax.jit(lambda value: value + 1)(np.array(index))
    return [np.asarray(value) for value in (*found, *again, alone)]


def test_a_team_of_one_computes_what_the_function_does() -> None:
    team = Team(0, 1)

    def function(own: dict[str, Any], factor: Any) -> Any:
        mean = team.mean({"a": own["a"], "b": own["b"] * factor})
        return mean, factor + 1

    own = {"a": np.arange(3.0), "b": np.ones((2, 2))}
    mean, factor = team.compile(function)(own, 2.0)
    np.testing.assert_array_equal(mean["a"], own["a"])
    np.testing.assert_array_equal(mean["b"], 2 * own["b"])
    assert factor == 3
    assert isinstance(factor, jax.Array)


@pytest.mark.slow
def test_a_mean_has_the_same_bits_in_all_processes() -> None:
    with start_workers(Ray(2), lambda index: index) as pool:
        place = pool.result(pool.submit(0, address))
        futures = [pool.submit(index, compute, place) for index in range(2)]
        one, other = (pool.result(future) for future in futures)
    values, count, *again, alone = one
    expected = 6 * np.mean([own_values(0), own_values(1)], axis=0)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=0)
    assert count == 0.5
    np.testing.assert_array_equal(values, again[0])
    np.testing.assert_array_equal(values, other[0])
    assert (alone, other[-1]) == (1, 2)


def test_a_process_that_has_computed_cannot_join() -> None:
    jax.devices()
    with pytest.raises(RuntimeError, match="before any JAX"):
        join_team("127.0.0.1:1", 0, 1)


def test_ports_are_free() -> None:
    assert 0 < free_port() < 2**16
