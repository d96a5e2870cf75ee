"""JAX's gradients where they are finite, and those of PyTensor where they are not."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.fitting.rows.gradient_choice import choose_gradients, program_with_graph_gradients


def masked_model() -> pm.Model:
    """A model whose branch that is not taken has an infinite slope."""
    with pm.Model() as model:
        x = by.Data("x", np.array([0.0, 1.0, 2.0]), dims="row")
        s = pm.HalfNormal("s")
        pm.Potential("p", pt.switch(x > 0, -0.5 * pt.log(s * x) ** 2, 0.0), dims="row")
    return model


def test_gradients_without_branches_are_those_of_jax() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("x", np.zeros(3), dims="row"))
    program = compile_program(model)
    assert choose_gradients(model, program, np.zeros((2, 1)), 0) is program
    assert program_with_graph_gradients(model, program) is None


def test_gradients_of_branches_that_are_not_taken_are_those_of_pytensor() -> None:
    model = masked_model()
    program = choose_gradients(model, compile_program(model), np.zeros((2, 1)), 0)
    assert program.options.graph_gradients
    assert program_with_graph_gradients(model, program) is None


def test_draws_from_the_prior_are_tried_beside_the_positions() -> None:
    with pm.Model() as model:
        a = pm.Normal("a", 50, 1, initval=0.0)
        # JAX's gradient of the branch that is not taken is NaN above 40 alone.
        pm.Potential("p", pt.switch(a < 40, 0.0, pt.switch(a > 0, 0.0, pt.sqrt(40 - a))))
    program = compile_program(model)
    assert choose_gradients(model, program, np.zeros((2, 1)), 0).options.graph_gradients


@pytest.mark.slow
def test_a_failed_line_search_is_tried_again_with_other_gradients() -> None:
    y = np.clip(np.random.default_rng(0).normal(size=30), -1.5, 1.5)
    with pm.Model():
        mu, sigma, nu = pm.Normal("mu"), pm.HalfNormal("sigma"), pm.HalfNormal("nu")
        rows = by.Data("y", y, dims="row")
        pm.ExGaussian("o", mu=mu, sigma=sigma, nu=nu, observed=rows, dims="row")
        fit = by.fit(random_seed=1, progressbar=False)
    assert fit.converged
    posterior = fit.sample(4000, random_seed=1).posterior
    # Means and standard deviations of by.sample, 4 chains of 1,000 draws.
    nuts = {"mu": (-0.468, 0.260), "sigma": (0.680, 0.145), "nu": (0.402, 0.255)}
    for name, (mean, std) in nuts.items():
        assert abs(float(posterior[name].mean()) - mean) < 0.5 * std
