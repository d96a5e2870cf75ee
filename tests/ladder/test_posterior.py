"""by.posterior: the cheapest rung that passes its checks, and what the result says of it."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayou as by

OBSERVED = np.array([2.0, 3.0, 4.0])


@pytest.fixture(scope="module")
def normal() -> pm.Model:
    """Return a conjugate model of a mean."""
    with pm.Model(coords={"side": ["a", "b"]}) as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Deterministic("twice", 2 * mu)
        pm.Normal("x", mu, 1, observed=OBSERVED)
    return model


@pytest.fixture(scope="module")
def tree(normal: pm.Model) -> xr.DataTree:
    return by.posterior(normal, random_seed=1, progressbar=False)


def test_fit_that_passes_is_the_answer(tree: xr.DataTree) -> None:
    precision = 3 + 1 / 100
    assert tree.attrs["rung"] == "fit"
    assert tree.attrs["verdict"] == "good"
    draws = tree.posterior["mu"]
    assert draws.shape == (1, 4000)
    sd = precision**-0.5
    assert float(draws.mean()) == pytest.approx(9 / precision, abs=0.05 * sd)
    assert float(draws.std()) == pytest.approx(sd, rel=0.04)
    errors = json.loads(tree.attrs["errors"])
    assert set(errors) == {"mu"}
    assert all(value < 0.05 for value in errors["mu"].values())
    [rung] = json.loads(tree.attrs["rungs"])
    assert (rung["rung"], rung["verdict"]) == ("fit", "good")
    assert tree.posterior.attrs["rung"] == "fit"
    assert "x" in tree.observed_data


def test_same_seed_has_the_same_bits_and_names_are_chosen(
    normal: pm.Model, tree: xr.DataTree
) -> None:
    again = by.posterior(normal, var_names=["twice"], random_seed=1, progressbar=False)
    assert list(again.posterior) == ["twice"]
    np.testing.assert_array_equal(again.posterior["twice"], tree.posterior["twice"])


def test_result_is_verified(normal: pm.Model, tree: xr.DataTree) -> None:
    assert by.verify(tree, normal)


def test_budget_that_ends_says_so_once(normal: pm.Model) -> None:
    with pytest.warns(by.ConvergenceWarning) as caught:
        short = by.posterior(normal, 1e-9, random_seed=1, progressbar=False)
    [warning] = caught
    assert "No rung passed its checks within the budget of 1e-09 s." in str(warning.message)
    assert "Hint: the attributes `rungs` and `errors`" in str(warning.message)
    assert short.attrs["verdict"] == "doubtful"
    assert short.attrs["reason"].endswith("; the budget ended")
    assert short.posterior["mu"].shape == (1, 4000)


def test_model_that_nuts_refuses_keeps_its_fit() -> None:
    def items() -> Iterator[np.ndarray]:
        random = np.random.default_rng(1)
        while True:
            yield random.normal(3, 1, size=50)

    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        batch = by.generator(items())
        pm.Deterministic("residual", batch - mu)
        pm.Normal("x", mu, 1, observed=batch, total_size=1000)
    with (
        pytest.warns(by.ConvergenceWarning, match=r"which is not checked: .*NUTS failed"),
        pytest.warns(UserWarning, match="no draws of 'residual', which depend on a minibatch"),
    ):
        result = by.posterior(model, random_seed=1, progressbar=False)
    assert result.attrs["verdict"] == "not checked"
    assert float(result.posterior["mu"].mean()) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "`budget` must be a number of seconds above 0, or None, got 0."),
        ({"draws": 0}, "`draws` must be a whole number of at least 1, got 0."),
        ({"chains": 1}, "`chains` must be a whole number of at least 2, got 1."),
        ({"var_names": ["nu"]}, "`var_names` must be names of free variables or deterministics"),
        ({"compress": "much"}, '`compress` must be "auto", True or False'),
    ],
)
def test_arguments_are_checked(normal: pm.Model, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        by.posterior(model=normal, progressbar=False, **arguments)


def test_discrete_variables_are_refused() -> None:
    with pm.Model() as model:
        pm.Bernoulli("z", 0.5)
    with pytest.raises(TypeError, match="must have only continuous free variables"):
        by.posterior(model, progressbar=False)


@pytest.mark.slow
def test_model_that_cannot_be_fitted_is_sampled() -> None:
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        # JAX has no arrays whose length depends on values.
        pm.Potential("positive", -(x[x > 0] ** 2).sum())
    result = by.posterior(model, random_seed=1, progressbar=False)
    assert result.attrs["verdict"] == "good"
    assert result.attrs["rung"] == "nuts"
    failed, passed = json.loads(result.attrs["rungs"])
    assert (failed["rung"], failed["verdict"], passed["rung"]) == ("fit", "failed", "nuts")
    # Half of a normal of variance 1, and half of one of variance 1/3.
    narrow = 3**-0.5
    mean = (narrow**2 - 1) / (1 + narrow) * np.sqrt(2 / np.pi)
    draws = result.posterior["x"].to_numpy()
    assert draws.mean() == pytest.approx(mean, abs=0.04)
    assert draws.var() == pytest.approx((1 + narrow**3) / (1 + narrow) - mean**2, rel=0.06)


@pytest.mark.slow
def test_two_modes_are_as_frequent_as_in_the_posterior() -> None:
    with pm.Model() as model:
        root = pm.Normal("root", 0.3, 2)
        pm.Normal("square", root**2, 0.5, observed=4.0)
    result = by.posterior(model, random_seed=2, progressbar=False)
    grid = np.linspace(-6, 6, 20001)
    density = np.exp(-0.5 * ((grid - 0.3) / 2) ** 2 - 0.5 * ((grid**2 - 4) / 0.5) ** 2)
    density /= density.sum()
    mean = density @ grid
    sd = np.sqrt(density @ (grid - mean) ** 2)
    draws = result.posterior["root"]
    assert result.attrs["rung"] == "nuts"
    assert result.attrs["verdict"] == "good"
    assert len(result.attrs["mode_masses"]) == 2
    assert float(draws.mean()) == pytest.approx(mean, abs=0.05 * sd)
    assert float(draws.std()) == pytest.approx(sd, rel=0.03)
    assert "searches from other starts lead elsewhere" in result.attrs["rungs"]


@pytest.mark.slow
def test_funnel_is_climbed_to_longer_chains() -> None:
    effects = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    errors = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        # A normal would be fitted as offsets, which needs no chains.
        theta = pm.Flat("theta", shape=8)
        pm.Potential("prior", pm.logp(pm.Normal.dist(mu, tau), theta))
        pm.Normal("y", theta, errors, observed=effects)
    result = by.posterior(model, random_seed=1, progressbar=False)
    # Quadrature over mu and tau, with theta integrated out.
    grid_mu, grid_tau = np.linspace(-25, 35, 301)[:, None, None], np.geomspace(1e-3, 150, 600)
    variance = errors**2 + grid_tau[:, None] ** 2
    logs = -0.5 * ((effects - grid_mu) ** 2 / variance + np.log(variance)).sum(-1)
    logs += -0.5 * (grid_mu[..., 0] / 5) ** 2 - np.log1p((grid_tau / 5) ** 2) + np.log(grid_tau)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = (weights * grid_tau).sum()
    sd = np.sqrt((weights * (grid_tau - mean) ** 2).sum())
    draws = result.posterior["tau"]
    assert result.attrs["verdict"] == "good"
    assert result.attrs["rung"] in {"nuts", "longer nuts"}
    assert result.attrs["rhat"] < 1.01
    assert result.attrs["ess"] > 400
    assert float(draws.mean()) == pytest.approx(mean, abs=0.08 * sd)
    assert float(draws.std()) == pytest.approx(sd, rel=0.08)


def test_ctrl_c_ends_the_climb_with_what_there_is(
    normal: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bayou.ladder.climb.find_modes", interrupted)
        kept = by.posterior(normal, random_seed=1, progressbar=False)
    assert (kept.attrs["rung"], kept.attrs["verdict"]) == ("fit", "good")
    assert kept.attrs["reason"].endswith("other modes were not sought: the keyboard stopped it")
    monkeypatch.setattr("bayou.fitting.checks.check._check", interrupted)
    with pytest.warns(by.ConvergenceWarning, match="the keyboard stopped the check"):
        kept = by.posterior(normal, random_seed=1, progressbar=False)
    assert (kept.attrs["rung"], kept.attrs["verdict"]) == ("fit", "not checked")
    assert kept.attrs["reason"].endswith("the keyboard ended the climb")
    assert kept.posterior.sizes["draw"] == 4000
