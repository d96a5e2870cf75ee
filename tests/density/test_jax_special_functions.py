"""Special functions in JAX: their values and derivatives are those of SciPy and of calculus."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.typing import NDArray
from scipy import special

from bayou.density.build import compile_program
from bayou.density.jax_function import jax_function

# On both sides of where JAX and PyTensor go from one formula to another.
POINTS = np.array([-800.0, -40.0, -20.0, -5.0, -1.0, 0.0, 0.5, 1.0, 2.25, 2.5, 18.0, 40.0, 800.0])


def derivatives(
    function: Callable[[pt.TensorVariable], pt.TensorVariable], points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Return values, first and second derivatives of an elementwise function."""
    x = pt.dvector("x")
    of_arrays = jax_function([x], [function(x)], {})

    def value(points: jax.Array) -> jax.Array:
        return of_arrays(points)[0]

    def slope(points: jax.Array) -> jax.Array:
        return jax.grad(lambda each: value(each).sum())(points)

    _, curvature = jax.jvp(slope, (points,), (np.ones_like(points),))
    return np.asarray(value(points)), np.asarray(slope(points)), np.asarray(curvature)


def test_derivatives_of_erfcx() -> None:
    points = POINTS[(POINTS > -25) & (POINTS < 3)]
    values, slopes, curvatures = derivatives(pt.erfcx, points)
    exact = special.erfcx(points)
    exact_slopes = 2 * points * exact - 2 / np.sqrt(np.pi)
    np.testing.assert_allclose(values, exact, rtol=1e-13)
    np.testing.assert_allclose(slopes, exact_slopes, rtol=1e-12)
    np.testing.assert_allclose(curvatures, 2 * exact + 2 * points * exact_slopes, rtol=1e-11)


@pytest.mark.slow
def test_derivatives_of_erfcx_far_out() -> None:
    points = np.array([40.0, 1e3, 1e6])
    _, slopes, curvatures = derivatives(pt.erfcx, points)
    # The first terms of the asymptotic series of erfcx, differentiated.
    inverse = 1 / points**2
    series = 1 - 3 / 2 * inverse + 15 / 4 * inverse**2
    np.testing.assert_allclose(slopes, -inverse * series / np.sqrt(np.pi), rtol=1e-8)
    series = 2 - 6 * inverse + 45 / 2 * inverse**2
    np.testing.assert_allclose(curvatures, inverse / points * series / np.sqrt(np.pi), rtol=1e-7)


def test_derivatives_of_softplus_are_finite_everywhere() -> None:
    values, slopes, curvatures = derivatives(pt.softplus, POINTS)
    chances = special.expit(POINTS)
    np.testing.assert_allclose(values, np.logaddexp(0, POINTS), rtol=1e-14)
    np.testing.assert_allclose(slopes, chances, rtol=1e-14)
    # Of PyTensor's formulas: the one from 18 on lacks exp(-2 x), of which 5e-16 is left in this.
    exact = chances * special.expit(-POINTS)
    np.testing.assert_allclose(curvatures, exact, rtol=1e-12, atol=5e-16)


@pytest.mark.slow
def test_gradients_of_the_incomplete_beta_function() -> None:
    inputs = a, b, x = pt.dvectors("a", "b", "x")
    gradients = pytensor.grad(pt.betainc(a, b, x).sum(), inputs[:2])
    values = np.array([1.0, 2.0, 3.5]), np.array([0.5, 2.0, 1.0]), np.array([0.1, 0.5, 0.9])
    found = jax_function(inputs, gradients, {})(*values)
    step = 1e-6
    for index, gradient in enumerate(found):
        ahead, behind = (
            special.betainc(
                *(each + sign * step * (place == index) for place, each in enumerate(values))
            )
            for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient, (ahead - behind) / (2 * step), rtol=1e-7)


def test_splines_of_interpolated_densities() -> None:
    knots = np.linspace(0, 6, 50)
    value = pt.dvector("value")
    density = pm.logp(pm.Interpolated.dist(knots, np.exp(-knots)), value)
    points = np.array([-1.0, 0.0, 0.05, 0.4, 3.0, 6.0, 7.0])
    function = jax_function([value], [density], {})
    expected = pytensor.function([value], density, mode="FAST_COMPILE")(points)
    np.testing.assert_allclose(function(points)[0], expected, rtol=1e-12)
    # The density is linear between the knots.
    inside = np.array([0.05, 0.4, 3.0])
    slopes = jax.grad(lambda points: jax.numpy.exp(function(points)[0]).sum())(inside)
    left = np.floor(inside / knots[1]).astype(int)
    heights = np.exp(-knots) / np.trapezoid(np.exp(-knots), knots)
    np.testing.assert_allclose(slopes, np.diff(heights)[left] / knots[1], rtol=1e-6)


def test_values_and_derivatives_of_ive() -> None:
    orders, x = pt.drow("orders"), pt.dcol("x")
    of_arrays = jax_function([orders, x], [pt.ive(orders, x)], {})
    known = np.array([[0.0, 1, 2, 9, 30, 39]])
    points = np.array([[-3.0], [0.0], [1e-3], [0.5], [20.0], [159.0], [161.0], [1e4]])
    both = jax.jit(
        lambda at: jax.jvp(lambda x: of_arrays(known, x)[0], (at,), (jnp.ones_like(at),))
    )
    values, slopes = both(points)
    exact = special.ive(known, points)
    np.testing.assert_allclose(values, exact, rtol=1e-11)
    neighbours = (special.ive(known - 1, points) + special.ive(known + 1, points)) / 2
    np.testing.assert_allclose(slopes, neighbours - np.sign(points) * exact, rtol=1e-6, atol=1e-13)
    # Neither series holds: no number is better than a wrong one.
    assert np.isnan(of_arrays(np.array([[0.5, 61.0]]), np.array([[1e3]]))[0]).all()


@pytest.mark.slow
def test_density_of_a_periodic_process() -> None:
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        kernel = pm.gp.cov.Periodic(1, 1.0, ls=scale)
        process = pm.gp.HSGPPeriodic(m=3, scale=1.0, cov_func=kernel)
        level = process.prior("level", np.linspace(0, 2, 9)[:, None])
        pm.Normal("o", level, 0.1, observed=np.arange(9.0))
    program = compile_program(model)
    start = model.initial_point()
    moved = {name: value + 0.1 for name, value in start.items()}
    position = np.concatenate([np.ravel(moved[name]) for name in program.layout.names])
    both = jax.jit(jax.value_and_grad(program.density))
    density, slope = both(position, program.data_values())
    np.testing.assert_allclose(density, model.compile_logp()(moved), rtol=1e-10)
    np.testing.assert_allclose(slope, model.compile_dlogp()(moved), rtol=1e-8)
