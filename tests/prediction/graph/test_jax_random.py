"""Draws by keys have the distributions that PyTensor draws from."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytensor.tensor.random.basic as basic
import pytest
from pytensor.graph.fg import FunctionGraph
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.tensor.random.op import RandomVariable
from scipy.stats import ks_2samp

from bayou.density.prng import noise_key
from bayou.models.random_variables import random_nodes
from bayou.prediction.graph.jax_random import SAMPLERS, draw_by_key

NUM_DRAWS = 4000
PARAMETERS: dict[type, tuple[Any, ...]] = {
    basic.NormalRV: (1.0, 2.0),
    basic.HalfNormalRV: (1.0, 2.0),
    basic.LogNormalRV: (0.2, 0.5),
    basic.UniformRV: (-1.0, 3.0),
    basic.ExponentialRV: (2.0,),
    basic.LaplaceRV: (1.0, 2.0),
    basic.LogisticRV: (1.0, 2.0),
    basic.GumbelRV: (1.0, 2.0),
    basic.CauchyRV: (1.0, 2.0),
    basic.HalfCauchyRV: (1.0, 2.0),
    basic.WeibullRV: (1.5,),
    basic.ParetoRV: (3.0, 2.0),
    basic.TriangularRV: (-1.0, 0.5, 2.0),
    basic.BernoulliRV: (0.3,),
    basic.CategoricalRV: ([0.1, 0.6, 0.3],),
    basic.GeometricRV: (0.3,),
    basic.MvNormalRV: ([0.0, 1.0], [[1.0, 0.6], [0.6, 2.0]]),
}


def test_all_are_tested() -> None:
    assert PARAMETERS.keys() == SAMPLERS.keys()


@pytest.mark.parametrize("kind", PARAMETERS, ids=lambda kind: kind.__name__)
def test_draws_are_distributed_as_those_of_pytensor(kind: type[RandomVariable]) -> None:
    parameters = [np.asarray(value) for value in PARAMETERS[kind]]
    op = kind(method="cholesky") if kind is basic.MvNormalRV else kind()
    expected = np.asarray(op.rng_fn(np.random.default_rng(1), *parameters, (NUM_DRAWS,)))
    by_key = SAMPLERS[kind](noise_key(1), expected.shape, *map(jax.numpy.asarray, parameters))
    drawn = np.asarray(by_key).astype(expected.dtype)
    assert drawn.shape == expected.shape
    columns = zip(drawn.reshape(NUM_DRAWS, -1).T, expected.reshape(NUM_DRAWS, -1).T, strict=True)
    for ours, theirs in columns:
        assert ks_2samp(ours, theirs).pvalue > 1e-4
    if drawn.ndim > 1:
        assert np.cov(drawn.T) == pytest.approx(np.cov(expected.T), abs=0.2)


def test_chances_of_none_and_of_all_are_kept() -> None:
    chances = jax.numpy.array([0.0, 1.0] * 5000)
    drawn = np.asarray(SAMPLERS[basic.BernoulliRV](noise_key(1), (10_000,), chances))
    assert np.array_equal(drawn, np.arange(10_000) % 2 == 1)
    certain = jax.numpy.array([[0.0, 1.0, 0.0]] * 10_000)
    assert set(np.asarray(SAMPLERS[basic.CategoricalRV](noise_key(1), (10_000,), certain))) == {1}


def test_chances_by_their_logits() -> None:
    logits = np.repeat([-800.0, -2.0, 0.0, 1.5, 40.0, np.inf], 100_000).reshape(6, -1)

    def drawn(chance: Any) -> Any:
        [node] = random_nodes([pm.Bernoulli.dist(chance)])
        key = pt.lscalar("key")
        by_logit = jax_funcify(FunctionGraph([key], [draw_by_key(node, key, 3, logits.shape)]))
        return np.asarray(by_logit(noise_key(1))[0])

    values = drawn(pt.sigmoid(pt.constant(logits)))
    # The same numbers as by the chances, but for rounding.
    assert (values != drawn(1 / (1 + pt.exp(-pt.constant(logits))))).mean() < 1e-5
    chances = 1 / (1 + np.exp(-np.array([-2.0, 0.0, 1.5])))
    np.testing.assert_allclose(values[1:4].mean(axis=1), chances, atol=0.005)
    assert not values[0].any()
    assert values[4:].all()
