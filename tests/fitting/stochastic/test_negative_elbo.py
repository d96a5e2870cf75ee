"""The loss: minus the ELBO, whose gradient has no noise where the guide is exact."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayou.fitting.guides import Guide
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.stochastic.negative_elbo import RowNormals, negative_elbo

CENTER, STD = np.array([1.0, -2.0]), np.array([0.5, 3.0])
FRAME = Frame(np.array([0.3, 0.1]), np.array([2.0, 0.5]))


@pytest.fixture(scope="module")
def program(program_of: Any) -> Any:
    return program_of(lambda x: jnp.sum(jax.scipy.stats.norm.logpdf(x, CENTER, STD)), 2)


def loss_of(program: Any, guide: Guide, params: Any, seed: int = 0, draws: int = 1) -> Any:
    noise = guide.noise(jax.random.key(seed), draws, 2, None)
    return negative_elbo(program, guide, FRAME, params, noise, ())


def exact(guide: Guide) -> Any:
    """Return the parameters with which the guide is the density, in the coordinates."""
    location = (CENTER - FRAME.origin) / FRAME.factor
    return guide.init(jnp.asarray(location), jnp.asarray(STD / FRAME.factor))


@pytest.mark.parametrize("guide", [MeanField(), FullRank()], ids=repr)
def test_an_exact_guide_has_a_constant_loss_and_no_gradient(program: Any, guide: Guide) -> None:
    params = exact(guide)
    for seed in range(3):
        # The evidence is one; the loss lacks the volume of the frame.
        loss, gradient = jax.value_and_grad(lambda p, s=seed: loss_of(program, guide, p, s))(params)
        assert float(loss) == pytest.approx(FRAME.log_determinant, abs=1e-12)
        for leaf in jax.tree.leaves(gradient):
            np.testing.assert_allclose(leaf, 0, atol=1e-12)


@pytest.mark.parametrize("guide", [MeanField(), FullRank(), LowRank(1)], ids=repr)
def test_it_is_the_divergence_of_another_guide(program: Any, guide: Guide) -> None:
    params = guide.init(jnp.zeros(2), jnp.ones(2))
    noise = guide.noise(jax.random.key(1), 4000, 2, None)
    coordinates = jax.vmap(lambda draw: guide.transport(params, draw))(noise)
    densities = jax.vmap(lambda draw: guide.log_density(params, draw))(coordinates)
    model = stats.norm.logpdf(FRAME.positions(np.asarray(coordinates)), CENTER, STD).sum(axis=1)
    loss = float(loss_of(program, guide, params, seed=1, draws=4000))
    assert loss == pytest.approx(float(np.mean(densities - model)))


def test_the_density_of_rows_is_scaled_to_all(program_of: Any) -> None:
    plain = program_of(jnp.sum, 2)

    class WithRows:
        def density(self, position: Any, inputs: Any, weights: Any) -> Any:
            [values] = inputs
            return plain.density(position, ()) + 10 * jnp.sum(values)

    guide = MeanField()
    params = guide.init(jnp.zeros(2), jnp.ones(2))
    noise = guide.noise(jax.random.key(0), 3, 2, None)
    rows = MeanFieldParams(jnp.ones((4, 1)), jnp.zeros((4, 1)))
    row_noise = jax.random.normal(jax.random.key(1), (3, 4, 1))
    program: Any = WithRows()
    loss = negative_elbo(
        program, guide, FRAME, params, noise, (), None, RowNormals(rows, row_noise, 5.0)
    )
    expected = np.mean(
        [
            float(guide.log_density(params, draw))
            + 5 * stats.norm.logpdf(1 + row_draw, 1, 1).sum()
            - float(jnp.sum(FRAME.positions(np.asarray(draw))))
            - 10 * (1 + row_draw).sum()
            for draw, row_draw in zip(noise, np.asarray(row_noise), strict=True)
        ]
    )
    assert float(loss) == pytest.approx(expected)
