"""The cache of compiled functions, and the numbers of rows that they are compiled for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.density.compiled_functions import BlockSizes, CompiledFunctions, FunctionKey


@dataclass(frozen=True)
class Sum(FunctionKey):
    size: int


@dataclass(frozen=True)
class Product(FunctionKey):
    size: int


def test_a_function_is_compiled_once_for_a_key() -> None:
    compiled, made = CompiledFunctions(), []

    def make() -> Any:
        made.append(1)
        return jax.jit(jnp.sum)

    function = compiled.get_or_compile(Sum(3), make)
    assert compiled.get_or_compile(Sum(3), make) is function
    assert compiled.get_or_compile(Sum(4), make) is not function
    assert len(made) == 2


def test_keys_of_two_modules_are_never_equal() -> None:
    compiled = CompiledFunctions()
    one = compiled.get_or_compile(Sum(3), lambda: jax.jit(jnp.sum))
    assert compiled.get_or_compile(Product(3), lambda: jax.jit(jnp.prod)) is not one
    assert Sum(3) != Product(3)


def test_compilations_are_counted_by_shapes() -> None:
    compiled = CompiledFunctions()
    function = compiled.get_or_compile(Sum(0), lambda: jax.jit(lambda x: jnp.sum(2 * x)))
    ahead = jax.jit(jnp.prod).lower(jnp.ones(2)).compile()
    compiled.get_or_compile(Product(2), lambda: ahead)
    assert compiled.num_compilations() == {Sum(0): 0, Product(2): 1}
    for length in (2, 3, 3):
        function(jnp.ones(length))
    assert compiled.num_compilations() == {Sum(0): 2, Product(2): 1}


def test_threads_that_ask_at_once_compile_once() -> None:
    compiled, made, barrier = CompiledFunctions(), [], threading.Barrier(4)

    def make() -> Any:
        time.sleep(0.02)
        made.append(1)
        return jnp.sum

    def ask(_: int) -> Any:
        barrier.wait()
        return compiled.get_or_compile(Sum(1), make)

    with ThreadPoolExecutor(4) as pool:
        assert len({id(function) for function in pool.map(ask, range(4))}) == 1
    assert len(made) == 1


def test_what_is_compiled_may_ask_for_another_function() -> None:
    compiled = CompiledFunctions()

    def outer() -> Any:
        return compiled.get_or_compile(Product(1), lambda: jnp.prod)

    assert compiled.get_or_compile(Sum(1), outer) is jnp.prod


def test_a_compilation_that_fails_is_tried_again() -> None:
    compiled = CompiledFunctions()

    def fail() -> Any:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        compiled.get_or_compile(Sum(1), fail)
    assert compiled.get_or_compile(Sum(1), lambda: jnp.sum) is jnp.sum


def test_a_size_in_use_is_taken_if_it_fits() -> None:
    sizes = BlockSizes()
    everything = {"fits": lambda size: True, "cost": lambda size: size}
    assert sizes.choose(100, **everything) == 100
    assert sizes.choose(50, **everything) == 100
    assert sizes.choose(50, fits=lambda size: size < 80, cost=lambda size: size) == 50
    assert sizes.choose(70, **everything) == 50
    assert sizes.choose(70, fits=lambda size: True, cost=lambda size: -size) == 100


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_all_sizes_that_were_chosen_stay_in_use(defaults: list[int]) -> None:
    sizes, chosen = BlockSizes(), set()
    for default in defaults:
        chosen.add(
            sizes.choose(default, fits=lambda size, least=default: size >= least, cost=float)
        )
    assert sizes.choose(10**6, fits=lambda size: True, cost=float) == min(chosen)
    assert sizes.choose(10**6, fits=lambda size: True, cost=lambda size: -size) == max(chosen)
