"""Programs made of a JAX density alone, for tests of the parts that stand on a program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from bayou.inference.evaluate import Block, Evaluator
from bayou.inference.program import Layout, Program

type Density = Callable[[jax.Array], jax.Array]


def program_of(density: Density, size: int) -> Program:
    return Program(
        layout=Layout(("x",), ((size,),), (False,)),
        fed=(),
        data=(),
        density=lambda position, inputs: density(position),
        terms=lambda position, inputs: {"x": density(position)},
        constrain=lambda position, inputs: {"x": position},
        start=lambda seed: np.zeros(size),
        fingerprint="of a density alone",
    )


def evaluator_of(density: Density, size: int) -> Evaluator:
    return Evaluator(program_of(density, size), [Block((), 1.0, 1)])


@pytest.fixture(name="program_of")
def _program_of() -> Any:
    return program_of


@pytest.fixture(name="evaluator_of")
def _evaluator_of() -> Any:
    return evaluator_of
