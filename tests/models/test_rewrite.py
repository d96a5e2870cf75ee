"""Rebuilt models: with all data in the place of minibatches, the density is that of all rows."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest

import bayou as by
from bayou.models.rewrite import (
    full_data_model,
    model_graphs,
    rebuild_model,
    rebuild_variables,
    same_structure,
    stored_data,
    structure_of,
)
from bayou.models.scaling.total_size import minibatch_scales

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


def test_what_depends_on_a_replaced_variable_is_built_again() -> None:
    x, offset = pytensor.shared(X, name="x"), pytensor.shared(2.0, name="offset")
    doubled, other = 2 * x, offset + 1
    total = doubled.sum() + other
    rebuilt = rebuild_variables([total, other], {x: pytensor.shared(np.ones(3))})
    assert float(rebuilt[total].eval()) == 9
    assert other not in rebuilt
    assert doubled in rebuilt
    assert float(total.eval()) == pytest.approx(2 * X.sum() + 3)


@pytest.mark.parametrize("total_size", [None, 400, (400, None), (None, 8), (400, 8)])
def test_a_rebuilt_total_size_scales_as_before(total_size: Any) -> None:
    data = pytensor.shared(np.outer(Y, [1.0, 2.0]), name="data")
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu * data, 1, observed=data * 3, total_size=total_size)
    copy = pytensor.shared(data.get_value())
    rebuilt = rebuild_model(model, rebuild_variables(model_graphs(model), {data: copy}))
    point = {"mu": np.array(0.3)}
    expected = float(model.compile_logp()(point))
    assert float(rebuilt.compile_logp()(point)) == pytest.approx(expected, rel=1e-12)
    # It takes the copy: the data of the model do not reach it.
    data.set_value(data.get_value()[:5])
    assert float(rebuilt.compile_logp()(point)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:Data in y contains missing values")
def test_imputed_values_stay_variables() -> None:
    x = pytensor.shared(np.arange(6.0), name="x")
    with pm.Model(check_bounds=False) as model:
        pm.Normal("y", pm.Normal("slope") * x, 1, observed=np.ma.masked_less(np.arange(6.0), 2))
    rebuilt = rebuild_model(model, rebuild_variables(model_graphs(model), {x: x + 0}))
    assert [variable.name for variable in rebuilt.free_RVs] == ["slope", "y_unobserved"]
    assert [variable.name for variable in rebuilt.deterministics] == ["y"]
    assert rebuilt.check_bounds is False
    point = model.initial_point()
    expected = float(model.compile_logp()(point))
    assert float(rebuilt.compile_logp()(point)) == pytest.approx(expected)


def test_stored_data_are_those_of_each_minibatch() -> None:
    x, y = batches("pymc")
    data = stored_data([x + y])
    assert data.keys() == {x, y}
    np.testing.assert_array_equal(data[x].eval(), X)
    np.testing.assert_array_equal(data[y].eval(), Y)


def test_a_change_of_a_model_changes_its_structure() -> None:
    model = regression(X, Y)
    before = structure_of(model)
    assert same_structure(before, structure_of(model))
    assert not same_structure(before, structure_of(regression(X, Y)))
    with model:
        pm.Deterministic("half", model["slope"] / 2)
    changed = structure_of(model)
    assert not same_structure(before, changed)
    model.rvs_to_initial_values[model["slope"]] = 4.0
    assert not same_structure(changed, structure_of(model))
    # Equal numbers are the same, whatever object they are.
    moved = structure_of(model)
    model.rvs_to_initial_values[model["slope"]] = float("4")
    assert same_structure(moved, structure_of(model))
