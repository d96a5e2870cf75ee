"""PyMC3's functions that draw take its arguments, and return its traces and dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import bayou.pymc3 as pm
from bayou.pymc3.multi_trace import MultiTrace

pytestmark = pytest.mark.filterwarnings("ignore:The draws are doubtful")
QUIET: Any = {"progressbar": False, "random_seed": 1}
RUN: Any = {"draws": 300, "tune": 300, "chains": 2, **QUIET}


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        x = pm.Data("x", [1.0, 2.0, 3.0])
        slope = pm.Normal("slope", 0, sd=10)
        pm.Normal("y", slope * x, 0.1, observed=np.array([2.0, 4.0, 6.0]))
    return model


@pytest.fixture(scope="module")
def trace(model: pm.Model) -> MultiTrace:
    found = pm.sample(model=model, init=None, **RUN)
    assert isinstance(found, MultiTrace)
    return found


def test_a_trace_or_a_tree(model: pm.Model, trace: MultiTrace) -> None:
    assert trace["slope"].mean() == pytest.approx(2, abs=0.02)
    tree = pm.sample(model=model, init="jitter+adapt_diag", return_inferencedata=True, **RUN)
    assert isinstance(tree, xr.DataTree)
    np.testing.assert_array_equal(tree.posterior["slope"].values.ravel(), trace["slope"])
    kept = pm.sample(
        model=model, discard_tuned_samples=False, return_inferencedata=True, cores=1, **RUN
    )
    assert kept.warmup_posterior.sizes["draw"] == 300


def test_a_step_method_of_pymc(model: pm.Model) -> None:
    with model:
        trace = pm.sample(300, pm.Slice(), tune=100, chains=1, **QUIET)
    assert trace["slope"].shape == (300,)
    assert trace["slope"].mean() == pytest.approx(2, abs=0.05)


def test_predictions_follow_new_data(model: pm.Model, trace: MultiTrace) -> None:
    with model:
        pm.set_data({"x": [10.0, 20.0]})
        for function in (pm.sample_posterior_predictive, pm.fast_sample_posterior_predictive):
            found = function(trace, 500, var_names=["slope", "y"], random_seed=1)
            assert found["y"].shape == (500, 2)
            np.testing.assert_allclose(found["y"].mean(axis=0), [20, 40], atol=0.3)
            np.testing.assert_array_equal(found["slope"], trace["slope"][:500])
        assert pm.sample_posterior_predictive(trace, 700, **QUIET)["y"].shape == (700, 2)
        found = pm.sample_posterior_predictive(trace, keep_size=True, **QUIET)
        assert found["y"].shape == (2, 300, 2)
        prior = pm.sample_prior_predictive(50, random_seed=1)
        assert (prior["y"].shape, prior["slope"].shape) == ((50, 2), (50,))
        pm.set_data({"x": [1.0, 2.0, 3.0]})


WRONG = [
    ({"init": "nuts"}, r"`init` must be one of \['auto', .*, None\], got 'nuts'\.\nHint"),
    ({"discard_tuned_samples": False}, r"`discard_tuned_samples` must be True unless return_inf"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_arguments(model: pm.Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pm.sample(model=model, **RUN, **options)


def test_samples_and_sizes_exclude_each_other(model: pm.Model, trace: MultiTrace) -> None:
    with pytest.raises(ValueError, match=r"`samples` must be None with keep_size=True, got 5\.\nH"):
        pm.sample_posterior_predictive(trace, 5, model, keep_size=True)
