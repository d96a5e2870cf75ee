"""Evaluation on all rows: blocks add up to the whole, in groups of any size, as JAX has it."""

from dataclasses import dataclass, replace

import jax
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayou as by
from bayou.density import evaluator as evaluate
from bayou.density.build import compile_program
from bayou.density.compiled_functions import BlockSizes
from bayou.density.evaluator import Evaluator
from bayou.density.program import Program
from bayou.fitting.rows.all_rows import all_row_blocks

NUM_ROWS = 90
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(NUM_ROWS, 3))
Y = (RANDOM.random(NUM_ROWS) < 0.4).astype("int64")
# More than a group, and no multiple of one.
POSITIONS = RANDOM.normal(size=(70, 4))
DIRECTIONS = RANDOM.normal(size=(70, 4))


@pytest.fixture(scope="module")
def program() -> Program:
    with pm.Model() as model:
        x, y = by.Minibatch(X, 10), by.Minibatch(Y, 10)
        intercept = pm.Normal("intercept", 0, 2)
        slopes = pm.Normal("slopes", shape=3)
        logits = intercept + x @ slopes
        pm.Bernoulli("y", logit_p=logits, observed=y, total_size=NUM_ROWS)
    return compile_program(model)


@pytest.fixture(params=[1000, 13], ids="blocks of {}".format)
def evaluator(program: Program, request: pytest.FixtureRequest) -> Evaluator:
    program = replace(program, block_sizes=BlockSizes())
    blocks = list(all_row_blocks(program, request.param))
    assert len(blocks) == -(-NUM_ROWS // request.param)
    assert sum(block.share for block in blocks) == pytest.approx(1)
    assert sum(np.count_nonzero(block.weights) for block in blocks) == NUM_ROWS
    assert len({block.inputs[0].shape for block in blocks}) == 1
    return Evaluator(program, blocks)


@dataclass(frozen=True)
class Exact:
    """The density of all rows at once, at each of the positions."""

    densities: np.ndarray
    gradients: np.ndarray
    hessians: np.ndarray


@pytest.fixture(scope="module")
def exact(program: Program) -> Exact:
    inputs = tuple(variable.owner.inputs[0].get_value() for variable in program.fed)

    def density(position: jax.Array) -> jax.Array:
        return program.density(position, inputs)

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(density)))(POSITIONS)
    hessians = jax.jit(jax.vmap(jax.hessian(density)))(POSITIONS)
    return Exact(values, gradients, hessians)


def test_the_whole_is_the_exact_density(exact: Exact) -> None:
    logits = POSITIONS[:, :1] + POSITIONS[:, 1:] @ X.T
    expected = (
        stats.norm.logpdf(POSITIONS[:, 0], 0, 2)
        + stats.norm.logpdf(POSITIONS[:, 1:]).sum(axis=1)
        + stats.bernoulli.logpmf(Y, 1 / (1 + np.exp(-logits))).sum(axis=1)
    )
    np.testing.assert_allclose(exact.densities, expected, rtol=1e-10)


def test_blocks_add_up_to_the_whole(exact: Exact, evaluator: Evaluator) -> None:
    values, gradients = evaluator.gradients(POSITIONS)
    gradient, products = evaluator.hessian_products(POSITIONS[5], DIRECTIONS)
    np.testing.assert_allclose(evaluator.densities(POSITIONS), exact.densities, rtol=1e-10)
    np.testing.assert_allclose(values, exact.densities, rtol=1e-10)
    np.testing.assert_allclose(gradients, exact.gradients, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, exact.gradients[5], rtol=1e-10, atol=1e-10)
    expected = DIRECTIONS @ exact.hessians[5]
    np.testing.assert_allclose(products, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("numbers", [1, 500, 10**6])
def test_groups_of_any_size_compiled_once(
    program: Program, exact: Exact, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    monkeypatch.setattr(evaluate, "GROUP_NUMBERS", numbers)
    blocks = all_row_blocks(program)
    evaluator = Evaluator(program, blocks)
    evaluator.densities(POSITIONS[:64])
    known = program.compiled.num_compilations()
    for count in (9, 16, 65, 70):
        found = evaluator.densities(POSITIONS[:count])
        np.testing.assert_allclose(found, exact.densities[:count], rtol=1e-10)
    assert program.compiled.num_compilations() == known
