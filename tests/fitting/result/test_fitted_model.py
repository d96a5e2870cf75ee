"""Fits in pickles: copies with their model, in other processes too, and what is refused."""

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.fitting.guides.mean_field import MeanField

RANDOM = np.random.default_rng(0)
DATA = RANDOM.normal(2.0, 1.0, size=60)
PRECISION = 60 + 1 / 100
QUIET: dict[str, Any] = {"random_seed": 1, "progressbar": False}


def model_of(values: Any = DATA) -> pm.Model:
    with pm.Model() as model:
        data = by.Data("data", values, dims="row")
        mu = pm.Normal("mu", 0, 10)
        # Its density is a function without a name, which plain pickle does not know.
        pm.CustomDist(
            "y", mu, logp=lambda value, mean: -0.5 * (value - mean) ** 2, observed=data, dims="row"
        )
    return model


@pytest.fixture(scope="module")
def fit() -> by.Fit:
    return by.fit(model=model_of(), **QUIET)


def spawned_mean(fit: by.Fit) -> float:
    return float(fit.sample(200, random_seed=3).posterior["mu"].mean())


COPIES: dict[str, Callable[[by.Fit], by.Fit]] = {
    "pickle": lambda fit: pickle.loads(pickle.dumps(fit)),
    "cloudpickle": lambda fit: pickle.loads(cloudpickle.dumps(fit)),
    "deepcopy": copy.deepcopy,
    "twice": lambda fit: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(fit)))),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_the_fit(fit: by.Fit, copied: Callable[[by.Fit], by.Fit]) -> None:
    again = copied(fit)
    assert type(again) is by.Fit
    assert repr(again) == repr(fit)
    assert "program" not in vars(again)
    assert again.mean.equals(fit.mean)
    assert float(again.mean["mu"]) == pytest.approx(DATA.sum() / PRECISION, abs=1e-3)
    assert again.sample(50, random_seed=2).posterior.equals(fit.sample(50, random_seed=2).posterior)
    assert again.khat(200, random_seed=1) == pytest.approx(fit.khat(200, random_seed=1), abs=1e-6)
    assert by.verify(again, model=again.model)
    assert again.model is not fit.model
    # The copy has its own data.
    with again.model:
        by.set_data({"data": np.zeros(3)})
    assert fit.model["data"].get_value().shape == (60,)


@pytest.mark.slow
def test_a_fit_goes_to_another_process(fit: by.Fit) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(spawned_mean, (fit,)) == spawned_mean(fit)


def test_a_fit_in_batches_with_values_of_rows() -> None:
    with pm.Model() as model:
        data = by.Data("data", DATA, dims="row")
        mu = pm.Normal("mu", 0, 10)
        effect = pm.Normal("effect", 0, 1, dims="row")
        pm.Normal("y", mu + effect, 1, observed=data, dims="row")
    fit = by.fit(200, model=model, batch_size=20, correction=None, **QUIET)
    again = pickle.loads(pickle.dumps(fit))
    assert again.program.batching == (20, "row")
    assert again.std.equals(fit.std)
    assert again.sample(20, random_seed=2).posterior.equals(fit.sample(20, random_seed=2).posterior)


def test_a_fit_without_the_check_of_its_rows(tmp_path: Any) -> None:
    with pm.Model() as model:
        data = by.Data("data", DATA, dims="row")
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu + data.mean(), 1, observed=data, dims="row")
    with pytest.warns(UserWarning, match="`validate=False`"):
        fit = by.fit(20, model=model, batch_size=20, validate=False, correction=None, **QUIET)
    assert pickle.loads(pickle.dumps(fit)).mean.equals(fit.mean)
    fit.save(tmp_path / "fit")
    assert by.load(tmp_path / "fit", model=model).mean.equals(fit.mean)


def test_a_guide_of_ones_own_is_pickled() -> None:
    class Own(MeanField):
        pass

    fit = by.fit(10, Own(), model=model_of(), correction=None, **QUIET)
    again = pickle.loads(pickle.dumps(fit))
    assert type(again.approximation.guide).__name__ == "Own"
    assert again.mean.equals(fit.mean)


def test_what_cannot_be_pickled_is_refused(fit: by.Fit) -> None:
    copied = copy.deepcopy(fit)
    copied.model.lock = threading.Lock()
    with pytest.raises(
        TypeError, match=r"the guide of a fit must be picklable.*lock.*\nHint: fit.save"
    ):
        pickle.dumps(copied)


def test_other_attributes_are_missing_as_usual(fit: by.Fit) -> None:
    with pytest.raises(AttributeError, match="'Fit' object has no attribute 'means'"):
        fit.means  # noqa: B018
    with pytest.raises(AttributeError, match="'Fit' object has no attribute 'means'"):
        copy.deepcopy(fit).means  # noqa: B018
