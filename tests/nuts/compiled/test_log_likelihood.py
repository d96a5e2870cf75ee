"""The log likelihood of each observation is the density of its distribution."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import bayou as by
from bayou.nuts.compiled import log_likelihood as module
from bayou.nuts.compiled.log_likelihood import log_likelihood, num_observations


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", [1.0, 2.0, 3.0], dims="row")
        slope, scale = pm.Normal("slope"), pm.HalfNormal("scale")
        pm.Normal("y", slope * x, scale, observed=[1.0, 1.0, 4.0], dims="row")
        batch = by.Minibatch(np.arange(4.0), 2)
        pm.Poisson("n", scale, observed=batch, total_size=4)
        pm.Potential("other", -(slope**2))
    return model


def test_densities_are_those_of_scipy(model: pm.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    # Groups of three draws, the last of which overlaps the one before.
    monkeypatch.setattr(module, "GROUP_NUMBERS", 21)
    random = np.random.default_rng(0)
    slope, scale = random.normal(size=(2, 4)), random.gamma(2, size=(2, 4))
    found = log_likelihood(model, {"slope": slope, "scale": scale, "unused": slope})
    mean = slope[..., None] * [1, 2, 3]
    expected = stats.norm.logpdf([1, 1, 4], mean, scale[..., None])
    np.testing.assert_allclose(found["y"], expected, rtol=1e-10)
    counts = stats.poisson.logpmf(np.arange(4), scale[..., None])
    np.testing.assert_allclose(found["n"], counts, rtol=1e-10)
    assert num_observations(model) == 7


def test_models_without_observations_are_refused() -> None:
    with pm.Model() as model:
        pm.Potential("p", -(pm.Normal("x") ** 2))
    with pytest.raises(ValueError, match=r"`log_likelihood` must be False for a model without obs"):
        num_observations(model)
