"""Evaluation on all rows: blocks add up to the whole, in groups of any size, as JAX has it."""

from dataclasses import dataclass

import jax
import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import bayou as by
from bayou.batching.batched import batched_program
from bayou.density.build import compile_program
from bayou.density.evaluator import GROUP_NUMBERS, GROUP_STEP, Block, Evaluator, _group_size
from bayou.density.program import Program
from bayou.models.inputs import storage_of

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


def blocks_of(program: Program, size: int, counted_rows: int | None = None) -> list[Block]:
    """Return all rows in blocks of a size, the last of them padded with rows of no weight."""
    storages = [storage_of(variable).get_value() for variable in program.fed]
    blocks = []
    for start in range(0, NUM_ROWS, size):
        rows = np.arange(start, start + size)
        weights = (rows < NUM_ROWS).astype(float)
        share = weights.sum() / NUM_ROWS
        inputs = tuple(data[np.minimum(rows, NUM_ROWS - 1)] for data in storages)
        blocks.append(Block(inputs, share, counted_rows or size, weights / weights.mean()))
    return blocks


@pytest.fixture(params=[1000, 13], ids="blocks of {}".format)
def evaluator(program: Program, request: pytest.FixtureRequest) -> Evaluator:
    return Evaluator(program, blocks_of(program, request.param))


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


@pytest.mark.parametrize("num_groups", [1, 8, 70])
def test_groups_of_any_size_compiled_once(program: Program, exact: Exact, num_groups: int) -> None:
    # A block that counts as more rows is evaluated for fewer positions at once.
    evaluator = Evaluator(program, blocks_of(program, NUM_ROWS, GROUP_NUMBERS * num_groups // 70))
    evaluator.densities(POSITIONS[:64])
    known = program.compiled.num_compilations()
    for count in (9, 16, 65, 70):
        values = evaluator.densities(POSITIONS[:count])
        np.testing.assert_allclose(values, exact.densities[:count], rtol=1e-10)
    assert program.compiled.num_compilations() == known


@given(st.integers(1, 500), st.integers(1, 64))
def test_groups_are_even_and_of_few_lengths(count: int, most: int) -> None:
    size = _group_size(count, most)
    assert 1 <= size <= most
    assert size == most or size % GROUP_STEP == 0
    # No more calls than with the longest groups.
    assert -(-count // size) <= -(-count // most)


def test_latent_variables_at_the_end_of_the_position() -> None:
    with pm.Model() as model:
        y = by.Data("outcome", Y.astype(float), dims="row")
        effect = pm.Normal("effect", pm.Normal("mu"), 2, dims="row")
        pm.Normal("y", effect, 1, observed=y, dims="row")
    _, program = batched_program(model, 10, None, validate=True)
    fed = [storage_of(variable).get_value()[:10] for variable in program.fed]
    block = Block((*fed, *program.data_values()), 1.0, 10)
    joint = Evaluator(program, [block], num_joint_rows=10)
    positions = RANDOM.normal(size=(3, 11))
    values, gradients = joint.gradients(positions)
    assert gradients.shape == (3, 11)
    mu, effects = positions[:, :1], positions[:, 1:]
    terms = stats.norm.logpdf(effects, mu, 2) + stats.norm.logpdf(Y[:10], effects, 1)
    expected = stats.norm.logpdf(mu[:, 0]) + NUM_ROWS / 10 * terms.sum(axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-8)
    slopes = NUM_ROWS / 10 * ((Y[:10] - effects) - (effects - mu) / 4)
    np.testing.assert_allclose(gradients[:, 1:], slopes, rtol=1e-8)


@pytest.mark.slow
def test_hessian_products_without_a_second_derivative_of_jax() -> None:
    with pm.Model() as model:
        lifetime = pm.Gamma.dist(pm.HalfNormal("shape"), 1)
        pm.Censored("y", lifetime, lower=None, upper=2.0, observed=[0.5, 1.0, 2.0, 2.0])
    program = compile_program(model)
    evaluator = Evaluator(program, [Block(program.data_values(), 1.0, 1)])
    position, step = np.array([0.3]), 1e-3
    with pytest.raises(NotImplementedError):
        jax.hessian(program.density)(position, program.data_values())
    gradients, products = evaluator.hessian_products(position, np.array([[1.0], [2.0]]))
    _, ((behind,), (here,), (ahead,)) = evaluator.gradients(position + step * np.c_[[-1, 0, 1]])
    np.testing.assert_allclose(gradients, [here])
    np.testing.assert_allclose(
        products[:, 0], (ahead - behind) / (2 * step) * np.array([1, 2]), rtol=1e-5
    )
