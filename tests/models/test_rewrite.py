"""The model over all rows: its density is that of the same model written with the data."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest

import bayou as by
from bayou.models.rewrite import full_data_model
from bayou.models.total_size import minibatch_scales

X = np.random.default_rng(0).normal(size=200)
Y = np.random.default_rng(1).normal(size=200)
POINT = {"slope_log__": np.array(0.7)}


def regression(x: Any, y: Any, total_size: int | None = None) -> pm.Model:
    with pm.Model() as model:
        slope = pm.HalfNormal("slope", initval=3.0)
        mean = pm.Deterministic("mean", slope * x)
        pm.Potential("pull", -((mean - x).sum() ** 2))
        pm.Normal("y", mean, 1, observed=y, total_size=total_size)
    return model


def batches(kind: str) -> Any:
    if kind == "bayou":
        return by.Minibatch(X, 10), by.Minibatch(Y, 10)
    return pm.Minibatch(pytensor.shared(X), pytensor.shared(Y), batch_size=10)


def log_density(model: pm.Model) -> float:
    return float(model.compile_logp()(POINT))


@pytest.mark.parametrize("kind", ["bayou", "pymc"])
@pytest.mark.parametrize("total_size", [None, 200])
@pytest.mark.filterwarnings("ignore:total_size not provided")
def test_density_is_that_of_all_rows(kind: str, total_size: int | None) -> None:
    batched = regression(*batches(kind), total_size)
    expected = log_density(regression(X, Y))
    assert log_density(full_data_model(batched)) == pytest.approx(expected, rel=1e-12)
    assert log_density(batched) != pytest.approx(expected, rel=1e-3)


def test_integers_that_pymc_casts() -> None:
    counts = np.random.default_rng(2).poisson(3, size=200)

    def poisson(observed: Any) -> pm.Model:
        with pm.Model() as model:
            pm.Poisson("counts", pm.HalfNormal("slope"), observed=observed, total_size=200)
        return model

    batched = poisson(by.Minibatch(counts, 10))
    expected = log_density(poisson(counts))
    assert log_density(full_data_model(batched)) == pytest.approx(expected, rel=1e-12)


def test_later_data_count() -> None:
    x, y = batches("bayou")
    function = full_data_model(regression(x, y, total_size=200)).compile_logp()
    x.set_value(X[::-1])
    y.set_value(Y + 1)
    expected = log_density(regression(X[::-1], Y + 1))
    assert float(function(POINT)) == pytest.approx(expected, rel=1e-12)


def test_names_transforms_and_starting_values_stay() -> None:
    model = regression(*batches("bayou"), 200)
    whole = full_data_model(model)
    assert [variable.name for variable in whole.unobserved_RVs] == ["slope", "mean"]
    assert [variable.name for variable in whole.potentials] == ["pull"]
    assert [value.name for value in whole.value_vars] == ["slope_log__"]
    assert whole.value_vars == model.value_vars
    assert list(whole.rvs_to_initial_values.values()) == [3.0]


def test_model_without_minibatches_is_whole() -> None:
    model = regression(X, Y, total_size=200)
    assert full_data_model(model) is model
    assert minibatch_scales(model) == {}


def test_scales_compare_total_sizes_with_the_rows_in_memory() -> None:
    x, y = by.Minibatch(X, 10), by.Minibatch(Y, 10)
    assert minibatch_scales(regression(x, y, total_size=200)) == {"y": 1.0}
    assert minibatch_scales(regression(x, y, total_size=1000)) == {"y": 5.0}
