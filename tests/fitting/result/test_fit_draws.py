"""Draws from an approximation: reproducible, named, of the present data, with known densities."""

from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayou as by
from bayou.fitting.result import fit_draws
from bayou.fitting.result.fit_draws import constrained_draws, coordinate_draws, key_seed


@pytest.fixture(scope="module")
def fit() -> by.Fit:
    with pm.Model(coords={"side": ["left", "right"]}):
        shift = by.Data("shift", 1.0)
        mu = pm.Normal("mu", dims="side")
        scale = pm.HalfNormal("scale")
        pm.Deterministic("shifted", mu + shift, dims="side")
        pm.Normal("y", mu, scale, observed=np.ones((5, 2)))
        return by.fit(10, random_seed=1, progressbar=False, correction=None)


def draws_of(fit: by.Fit, names: Any = None, seed: int = 1) -> dict[str, np.ndarray]:
    chosen = None if names is None else frozenset(names)
    return constrained_draws(fit.program, fit.approximation, 300, seed, chosen)


def test_draws_are_in_the_space_of_the_model(fit: by.Fit) -> None:
    draws = draws_of(fit)
    assert {name: values.shape for name, values in draws.items()} == {
        "mu": (1, 300, 2),
        "scale": (1, 300),
        "shifted": (1, 300, 2),
    }
    assert (draws["scale"] > 0).all()
    np.testing.assert_allclose(draws["shifted"], draws["mu"] + 1)


def test_deterministics_use_the_present_data(fit: by.Fit) -> None:
    by.set_data({"shift": 3.0}, model=fit.model)
    draws = draws_of(fit)
    by.set_data({"shift": 1.0}, model=fit.model)
    np.testing.assert_allclose(draws["shifted"], draws["mu"] + 3)


def test_some_variables_are_those_of_all(fit: by.Fit) -> None:
    [(name, some)] = draws_of(fit, ["mu"]).items()
    assert name == "mu"
    np.testing.assert_array_equal(some, draws_of(fit)["mu"])
    assert not np.array_equal(some, draws_of(fit, ["mu"], seed=2)["mu"])


def test_draws_are_those_of_the_guide_and_any_number_compiles_once(fit: by.Fit) -> None:
    before = fit.program.compiled.num_compilations()
    few, many = (
        constrained_draws(fit.program, fit.approximation, count, 1, frozenset({"scale"}))
        for count in (3, 20_000)
    )
    after = fit.program.compiled.num_compilations()
    assert [after[key] for key in after if key not in before] == [1]
    assert few["scale"].shape == (1, 3)
    logs, name = np.log(many["scale"]), "scale_log__"
    sd = float(fit.std[name])
    assert logs.mean() == pytest.approx(float(fit.mean[name]), abs=0.03 * sd)
    assert logs.std() == pytest.approx(sd, rel=0.02)


def test_large_deterministics_are_computed_with_the_draws(
    fit: by.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = np.random.default_rng(1).normal(size=(50, fit.program.layout.size))
    known = replace(fit.approximation, resampled=positions)
    in_groups = constrained_draws(fit.program, known, 50, 1, None)
    monkeypatch.setattr(fit_draws, "MAX_NUMBERS", 0)
    for name, values in constrained_draws(fit.program, known, 50, 1, None).items():
        np.testing.assert_allclose(in_groups[name], values)


def test_coordinates_have_the_density_of_the_guide(fit: by.Fit) -> None:
    coordinates, densities = coordinate_draws(fit.program, fit.approximation, 50, 1)
    guide, params = fit.approximation.guide, fit.approximation.params
    exact = stats.norm.logpdf(coordinates, guide.mean(params), guide.std(params)).sum(axis=1)
    np.testing.assert_allclose(densities, exact)


def test_seeds_as_pymc_takes_them(fit: by.Fit) -> None:
    assert key_seed(7) == np.random.SeedSequence(7).generate_state(1)[0]
    assert key_seed([1, 2]) == key_seed(np.array([1, 2])) != key_seed([2, 1])
    assert key_seed(None) != key_seed(None)
    generator = np.random.default_rng(1)
    assert key_seed(generator) != key_seed(generator)
    one, other = (
        fit.sample(5, random_seed=np.random.default_rng(3)).posterior["mu"] for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
    for call in (fit.sample, fit.khat, fit.elbo_estimate, fit.summary):
        with pytest.raises(ValueError, match=r"`random_seed` must be None, a whole .*got -1"):
            call(random_seed=-1)


def test_draws_that_no_memory_holds_are_refused(fit: by.Fit) -> None:
    for draw in (fit.sample, fit.khat):
        with pytest.raises(ValueError, match=r"`draws` must fit in half of the free memory, .*\nH"):
            draw(10**12)


TOO_LARGE = "`draws` must fit in half of the free memory.*\n.*do without 'mean', the largest"


@pytest.fixture
def model_of_rows() -> pm.Model:
    """Return a model of which 100 draws take 0.8 MB, and those of the slope alone 0.8 kB."""
    with pm.Model() as model:
        x = by.Data("x", np.linspace(0, 1, 1000), dims="row")
        mean = pm.Deterministic("mean", pm.Normal("slope") * x, dims="row")
        pm.Normal("y", mean, 1, observed=np.linspace(0, 1, 1000), dims="row")
    return model


def test_values_of_rows_must_fit(model_of_rows: pm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = by.fit(model=model_of_rows, random_seed=1, progressbar=False)
    monkeypatch.setattr("bayou.feeding.memory.free_memory", lambda: 10**6)
    for draw in (fit.sample, fit.summary):
        with pytest.raises(ValueError, match=TOO_LARGE):
            draw(100)
    assert set(fit.sample(100, var_names="slope").posterior) == {"slope"}
    assert list(fit.summary(100, var_names=["slope"]).index) == ["slope"]


@pytest.mark.slow
def test_chains_do_without_values_of_rows(
    model_of_rows: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayou.feeding.memory.free_memory", lambda: 10**6)
    options: dict[str, Any] = {"model": model_of_rows, "progressbar": False, "random_seed": 1}
    with pytest.raises(ValueError, match=TOO_LARGE):
        by.sample(25, **options)
    with pytest.raises(ValueError, match=TOO_LARGE):
        by.posterior(draws=25, **options)
    options |= {"var_names": ["slope"], "compute_convergence_checks": False}
    assert set(by.sample(25, **options).posterior) == {"slope"}
