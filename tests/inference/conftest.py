"""Programs made of a JAX density alone, for tests of the parts that stand on a program."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import pymc as pm
import pytest

from bayou.inference.evaluate import Block, Evaluator
from bayou.inference.layout import Layout
from bayou.inference.program import Program, compile_program

type Density = Callable[[jax.Array], jax.Array]
type ProgramOf = Callable[[Density, int], Program]


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
            density=lambda position, inputs, weights=None: density(position),
            compiled={},
        )

    return of


@pytest.fixture(scope="session")
def evaluator_of(program_of: ProgramOf) -> Any:
    """Return an evaluator of a density."""
    return lambda density, size: Evaluator(program_of(density, size), [Block((), 1.0, 1)])
