"""Fixtures that tests of several folders share: a Ray cluster, programs of a JAX density."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import pymc as pm
import pytest

from bayou.density.build import compile_program
from bayou.density.compiled_functions import CompiledFunctions
from bayou.density.evaluator import Block, Evaluator
from bayou.density.flat_position import Layout
from bayou.density.program import Program
from tests.warm_workers import WarmWorkers

type Density = Callable[[jax.Array], jax.Array]
type ProgramOf = Callable[[Density, int], Program]


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    """Connect this process to a cluster of two cores, of its own."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        # They give way to all other processes by default, so that a busy machine runs none.
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"os\.fork", RuntimeWarning)
            ray.init("local", num_cpus=2, log_to_driver=False, logging_level=logging.ERROR)
        yield
        ray.shutdown()


@pytest.fixture
def collect_garbage() -> Iterator[Callable[[], object]]:
    """Return a function that frees what a test has left, without a look at all that was before."""
    gc.freeze()
    yield gc.collect
    gc.unfreeze()


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[WarmWorkers]:
    """Return two worker processes that stay for the session, to be passed as `start_workers`."""
    workers = WarmWorkers(2)
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def program_of() -> ProgramOf:
    """Return a program of one variable without data, with another density in its place."""
    with pm.Model() as model:
        pm.Flat("x")
    plain = compile_program(model)

    def of(density: Density, size: int) -> Program:
        return replace(
            plain,
            layout=Layout(("x",), ((size,),), (False,)),
            functions=replace(plain.functions, terms=lambda position: [density(position)]),
            compiled=CompiledFunctions(),
        )

    return of


@pytest.fixture(scope="session")
def evaluator_of(program_of: ProgramOf) -> Any:
    """Return an evaluator of a density."""
    return lambda density, size: Evaluator(program_of(density, size), [Block((), 1.0, 1)])
