"""Models that Bambi builds: fitted, in batches, sampled, and predicted by Bambi."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayou as by
from tests.batching.all_rows import check_density

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    bambi = pytest.importorskip("bambi")

# Bambi and what it imports warn of their own.
pytestmark = pytest.mark.filterwarnings("default")
QUIET: dict[str, Any] = {"progressbar": False, "random_seed": 1}
# Means and standard deviations of 2 x 2,000 draws of bambi.Model.fit (PyMC's NUTS, Bambi 0.21).
OWN_SAMPLER = {"x": (1.998, 0.0637), "sigma": (0.994, 0.0510)}
# And the means that it predicts for x = 0 in group "a", and x = 3 in group "d".
OWN_PREDICTIONS = [0.252, 8.007]


def grouped_rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(3, 1, 200)
    group = rng.choice(list("abcd"), 200)
    effects = {"a": -0.8, "b": 0.0, "c": 0.3, "d": 0.9}
    effect = pd.Series(group).map(effects).to_numpy()
    return pd.DataFrame({"x": x, "group": group, "y": 1 + 2 * x + effect + rng.normal(size=200)})


def varied_rows() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=60), "time": rng.uniform(1, 5, 60)})
    frame["group"] = rng.choice(list("abcd"), 60)
    frame["level"] = rng.choice(list("pqr"), 60)
    frame["count"] = rng.poisson(2, 60)
    frame["positive"] = rng.gamma(2, 1, 60).clip(max=4)
    frame["side"] = np.where(frame["positive"] < 4, "none", "right")
    frame["y"] = frame["x"] + rng.normal(size=60)
    frame["won"], frame["tries"] = rng.binomial(10, 0.4, 60), 10
    return frame


MODELS: dict[str, dict[str, Any]] = {
    "y ~ x + (x|group)": {},
    "y ~ x + (1|group)": {"noncentered": False},
    "y ~ x * level": {},
    "y ~ bs(x, df=4)": {},
    "y ~ 0 + hsgp(x, m=5, c=1.5)": {},
    "count ~ x + offset(log(time))": {"family": "poisson"},
    "count ~ x": {"family": "zero_inflated_poisson"},
    "count ~ group": {"family": "hurdle_poisson"},
    "level ~ x": {"family": "categorical"},
    "p(won, tries) ~ x": {"family": "binomial"},
    "censored(positive, side) ~ x": {"family": "gamma", "link": "log"},
}


@pytest.mark.parametrize(
    "formula",
    [f if "offset" in f else pytest.param(f, marks=pytest.mark.slow) for f in MODELS],
)
def test_batches_of_its_models_have_the_density_of_their_rows(formula: str) -> None:
    model = bambi.Model(formula, varied_rows(), **MODELS[formula])
    model.build()
    check_density(model.backend.model)


def test_weights_within_a_density_are_refused() -> None:
    model = bambi.Model("weighted(y, time) ~ x", varied_rows())
    model.build()
    with pytest.raises(ValueError, match=r"but 'weighted\(y, time\)' cannot be evaluated"):
        by.fit(model=model, batch_size=10, **QUIET)


def test_a_model_must_be_built() -> None:
    model = bambi.Model("y ~ x", varied_rows())
    with pytest.raises(
        ValueError, match=r"got a Model of bambi that is not\.\nHint: call its `build"
    ):
        by.describe(model)
    model.build()
    assert "y" in str(by.describe(model))


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 50])
def test_a_fit_is_that_of_its_own_sampler(batch_size: int | None) -> None:
    model = bambi.Model("y ~ x + (1|group)", grouped_rows())
    model.build()
    fit = by.fit(model=model, batch_size=batch_size, **QUIET)
    assert by.verify(fit, model)
    trace = fit.sample(2000, random_seed=1)
    design = model.backend.distributional_components["mu"].design_matrix_without_intercept
    posterior = trace["posterior"].to_dataset()
    slopes = [posterior[name] for name in model.components["mu"].common_terms]
    shift = sum(mean * slope for mean, slope in zip(design.mean(axis=0), slopes, strict=True))
    posterior["Intercept"] = posterior["Intercept"] - shift
    for name, (mean, std) in OWN_SAMPLER.items():
        # Within a third of a posterior standard deviation.
        assert float(posterior[name].mean()) == pytest.approx(mean, abs=std / 3), name
    # Of the intercept and the effects, the data tell their sums apart.
    at_zero = (posterior["Intercept"] + posterior["1|group"].sel(group__factor_dim="a")).mean()
    assert float(at_zero) == pytest.approx(OWN_PREDICTIONS[0], abs=0.1)


@pytest.mark.slow
def test_it_predicts_from_fits_of_models_that_are_not_centred() -> None:
    model = bambi.Model("y ~ x + (1|group)", grouped_rows(), center_predictors=False)
    model.build()
    trace = by.fit(model=model, **QUIET).sample(1000, random_seed=1)
    new = pd.DataFrame({"x": [0.0, 3.0], "group": ["a", "d"]})
    predicted = model.predict(trace, data=new, inplace=False)
    means = predicted["posterior"]["mu"].mean(("chain", "draw"))
    np.testing.assert_allclose(means, OWN_PREDICTIONS, atol=0.1)


def test_the_model_may_be_the_first_argument() -> None:
    model = bambi.Model("y ~ x", grouped_rows().iloc[:40])
    with pytest.raises(ValueError, match=r"`model` must be built, .*\nHint: call its `build\(\)`"):
        by.fit(model)
    model.build()
    with pytest.raises(TypeError, match=r"`model` must be passed once, .*\nHint: leave one"):
        by.fit(model, model=model)
    fit = by.fit(model, n=20, tolerance=1e3, correction=None, **QUIET)
    assert by.verify(fit, model).matches
    assert "Intercept" in str(by.describe(model))
    assert by.sample(model, 10, tune=10, chains=1, **QUIET).posterior.sizes["draw"] == 10
    assert by.batched(model, batch_size=10).observed_RVs


@pytest.mark.slow
def test_calibrate() -> None:
    priors = {"x": bambi.Prior("Normal", mu=0, sigma=1)}
    model = bambi.Model("y ~ x", grouped_rows().iloc[:20], priors=priors)
    model.build()
    result = by.calibrate(model, 40, draws=100, tune=100, chains=2, **QUIET)
    assert bool(result)
