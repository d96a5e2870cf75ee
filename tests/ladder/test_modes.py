"""Modes that searches from other starts find, and their masses."""

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.ladder.mode_masses import mode_masses
from bayou.ladder.modes import Modes, find_modes


@pytest.fixture(scope="module")
def two_modes() -> tuple[by.Fit, Modes]:
    """Return a fit of the root of a number, which is positive or negative, and its modes."""
    with pm.Model():
        root = pm.Normal("root", 0.3, 2)
        pm.Normal("square", root**2, 0.5, observed=4.0)
        fit = by.fit(random_seed=1, progressbar=False)
    return fit, find_modes(fit, 1)


def test_both_modes_are_found(two_modes: tuple[by.Fit, Modes]) -> None:
    fit, modes = two_modes
    assert modes.fits[0] is fit
    places = [float(each.mean["root"]) for each in modes.fits]
    np.testing.assert_allclose(places, [places[0], -places[0]], atol=0.02)
    assert not modes.may_be_more
    text = modes.text(fit)
    assert text.startswith("the fit is at (root = ")
    assert "other modes are at (root = " in text


def test_masses_are_those_of_quadrature(two_modes: tuple[by.Fit, Modes]) -> None:
    _, modes = two_modes
    grid = np.linspace(-6, 6, 20001)
    density = np.exp(-0.5 * ((grid - 0.3) / 2) ** 2 - 0.5 * ((grid**2 - 4) / 0.5) ** 2)
    positive = density[grid > 0].sum() / density.sum()
    masses = mode_masses(modes.fits, 1)
    assert masses is not None
    found = [mass for mass, fit in zip(masses, modes.fits, strict=True) if fit.mean["root"] > 0]
    assert found == [pytest.approx(positive, abs=0.01)]


def test_one_mode_is_the_fit() -> None:
    with pm.Model():
        mu = pm.Normal("mu", 0, 10)
        sigma = pm.HalfNormal("sigma", 5)
        pm.Normal("y", mu, sigma, observed=[1.0, 2.0, 4.0, 3.0])
        fit = by.fit(random_seed=1, progressbar=False)
    compiled = fit.program.compiled.num_compilations()
    modes = find_modes(fit, 1)
    assert modes.fits == [fit]
    assert modes.obstacle is None
    assert fit.program.compiled.num_compilations() == compiled


def test_searches_that_cost_too_much_are_left_out() -> None:
    with pm.Model():
        mu = pm.Normal("mu", 0, 10)
        y = by.Data("y", np.zeros(400_000), dims="row")
        pm.Normal("observed", mu, 1, observed=y, dims="row")
        fit = by.fit(random_seed=1, compress=False, progressbar=False)
    assert find_modes(fit, 1).obstacle == (
        "searches from other starts cost too much on so many rows"
    )
