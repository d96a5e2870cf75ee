"""Densities that JAX compiles: the numbers of Numba's code, for all chains at once."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.fitting.guides.coordinates import Frame
from bayou.nuts.compiled.bound_density import BoundDensity
from bayou.nuts.compiled.compiled_density import compiled_density

RNG = np.random.default_rng(3)
DESIGN = RNG.normal(size=(60, 3))
OUTCOME = (RNG.random(60) < 0.4).astype(int)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", DESIGN, dims=("row", "column"))
        weight = pm.Normal("weight", 0, 1, dims="column")
        scale = pm.HalfNormal("scale")
        pm.Deterministic("double", 2 * scale)
        pm.Bernoulli("y", logit_p=(x * weight).sum(axis=1) * scale, observed=OUTCOME)
    return model


@pytest.fixture(scope="module")
def bound(model: pm.Model) -> BoundDensity:
    return compiled_density(model).bind(backend="jax", num_lanes=2)


POSITIONS = RNG.normal(size=(5, 4))


def by_hand(positions: np.ndarray) -> np.ndarray:
    """Return the log density of the model, written in NumPy."""
    weights, scale = positions[:, :3], np.exp(positions[:, 3:])
    logits = weights @ DESIGN.T * scale
    constants = -1.5 * np.log(2 * np.pi) + 0.5 * np.log(2 / np.pi)
    prior = -(weights**2).sum(axis=1) / 2 - scale[:, 0] ** 2 / 2 + positions[:, 3] + constants
    return prior + (OUTCOME * logits - np.logaddexp(0, logits)).sum(axis=1)


def test_density_gradient_and_draw(bound: BoundDensity) -> None:
    values, gradients = bound.gradients(POSITIONS)
    np.testing.assert_allclose(values, by_hand(POSITIONS), rtol=1e-12)
    for axis in range(4):
        step = 1e-5 * np.eye(4)[axis]
        slope = (by_hand(POSITIONS + step) - by_hand(POSITIONS - step)) / 2e-5
        np.testing.assert_allclose(gradients[:, axis], slope, rtol=1e-6, atol=1e-7)
    draw = bound.nutpie_model._make_expand_func(0, 0, 0)(POSITIONS[0])["draws"]
    scale = np.exp(POSITIONS[0, 3])
    np.testing.assert_allclose(draw, [*POSITIONS[0, :3], scale, 2 * scale], rtol=1e-12)


@pytest.mark.parametrize("factor", [np.tril(RNG.normal(size=(4, 4))), np.arange(1.0, 5)])
def test_coordinates(bound: BoundDensity, factor: np.ndarray) -> None:
    frame = Frame(np.arange(4.0) / 10, factor)
    values, gradients = bound.gradients(frame.positions(POSITIONS))
    in_frame = bound.in_frame(frame).gradients(POSITIONS)
    np.testing.assert_allclose(in_frame[0], values, rtol=1e-12)
    np.testing.assert_allclose(in_frame[1], frame.gradients(gradients), rtol=1e-10, atol=1e-10)


def test_a_result_does_not_depend_on_the_other_chains(bound: BoundDensity) -> None:
    values, gradients = bound.gradients(POSITIONS)
    for number in (0, 1):
        alone = bound.gradients(POSITIONS[number : number + 1])
        assert (alone[0][0], *alone[1][0]) == (values[number], *gradients[number])


def test_parameters_out_of_range_have_no_density() -> None:
    with pm.Model() as model:
        # A Laplace of a negative scale has a number where PyMC's check is left out.
        pm.Laplace("y", 0, pm.Normal("b"), observed=[1.0])
    values, _ = compiled_density(model).bind(backend="jax").gradients(np.array([[-1.0], [1.0]]))
    assert values[0] == -np.inf
    assert values[1] == pytest.approx(-0.5 * np.log(2 * np.pi) - 0.5 - np.log(2) - 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The draws are doubtful")
def test_same_seed_gives_the_same_draws(model: pm.Model) -> None:
    settings: dict[str, Any] = {"random_seed": 1, "progressbar": False, "draws": 300, "tune": 300}
    first, second = (by.sample(model=model, backend="jax", **settings) for _ in range(2))
    assert first.sample_stats.attrs["backend"] == "jax"
    np.testing.assert_array_equal(first.posterior["weight"], second.posterior["weight"])
    numba = by.sample(model=model, backend="numba", **settings)
    assert numba.sample_stats.attrs["backend"] == "numba"
    spread = first.posterior["weight"].std(("chain", "draw"))
    apart = first.posterior["weight"].mean(("chain", "draw")) - numba.posterior["weight"].mean(
        ("chain", "draw")
    )
    assert float(abs(apart / spread).max()) < 0.2


def test_choice() -> None:
    with pm.Model() as light:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("data", np.zeros(10)))
    chosen = compiled_density(light).graphs.choose_backend
    assert chosen([np.zeros(10)]) == "numba"
    assert chosen([np.zeros((30_000, 2))]) == "jax"
    with pm.Model() as product:
        pm.Normal("y", DESIGN @ pm.Normal("w", shape=3), 1, observed=np.zeros(60))
    assert compiled_density(product).graphs.choose_backend([]) == "jax"
    with pytest.raises(ValueError, match=r"`backend` must be one of .*, got 'c'\.\nHint"):
        by.sample(model=light, backend="c")


def test_code_is_for_the_number_of_rows() -> None:
    # The draws take no data, so that the text of their code is that of any number of rows.
    for num_rows in (60, 20):
        with pm.Model() as regression:
            x = by.Data("x", DESIGN[:num_rows], dims=("row", "column"))
            weight = pm.Normal("weight", 0, 1, dims="column")
            pm.Normal("y", x @ weight, 1, observed=np.zeros(num_rows))
        of_rows = compiled_density(regression).bind(backend="jax", num_lanes=1)
        draw = of_rows.nutpie_model._make_expand_func(0, 0, 0)(POSITIONS[0, :3])["draws"]
        np.testing.assert_allclose(draw, POSITIONS[0, :3], rtol=1e-12)
