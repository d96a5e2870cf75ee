"""Data: its place in the model, in results and in copies."""

from __future__ import annotations

import copy

import cloudpickle
import numpy as np
import pymc as pm
import pytest
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.data import Data
from tests.containers.helpers import INTEGERS, TABLE


def test_registers_where_pymc_looks() -> None:
    with pm.Model() as model:
        x = Data("x", [[1.0, 2.0]], dims=("row", "column"), coords={"column": ["a", "b"]})
    assert isinstance(x, SharedVariable)
    assert model["x"] is x
    assert model.data_vars == [x]
    assert model.named_vars_to_dims["x"] == ("row", "column")
    assert model.coords == {"row": None, "column": ("a", "b")}
    assert {dim: length.eval() for dim, length in model.dim_lengths.items()} == {
        "row": 1,
        "column": 2,
    }


def test_results_show_the_value_and_the_coords() -> None:
    with pm.Model():
        x = Data("x", TABLE, export_index_as_coords=True)
        late = Data("late", [0, 1], dims="flight")
        b = pm.Normal("b", dims="feature")
        pm.Bernoulli("obs", logit_p=x @ b, observed=late, dims="flight")
        results = pm.sample_prior_predictive(3)
    constant = results["constant_data"]["x"]
    assert constant.dims == ("flight", "feature")
    np.testing.assert_array_equal(constant, TABLE)
    assert constant.coords["flight"].values.tolist() == [7, 9]
    assert constant.coords["feature"].values.tolist() == ["distance", "hour"]
    assert results["prior"]["b"].coords["feature"].values.tolist() == ["distance", "hour"]
    assert results["prior_predictive"]["obs"].coords["flight"].values.tolist() == [7, 9]
    assert results["observed_data"]["obs"].values.tolist() == [0, 1]


@pytest.mark.parametrize("name", [*INTEGERS, "float32"])
def test_every_dtype_is_observed(name: str) -> None:
    with pm.Model() as model:
        y = Data("y", np.array([0, 1], dtype=name))
        mu = pm.Normal("mu")
        pm.Normal("obs", mu, 1, observed=y)
    expected = -0.5 * np.log(2 * np.pi) * 3 - 0.5
    np.testing.assert_allclose(model.compile_logp()({"mu": 0.0}), expected)


def test_model_argument_stands_for_the_context() -> None:
    model = pm.Model()
    assert Data("x", [1.0], model=model) is model["x"]


def test_name_carries_the_prefix_of_the_model() -> None:
    with pm.Model() as model, pm.Model("sub"):
        x = Data("x", [1.0, 2.0], dims="row")
    assert x.name == "sub::x"
    assert model["sub::x"] is x
    assert model.named_vars_to_dims["sub::x"] == ("row",)


def test_copies_of_the_model_keep_the_container() -> None:
    with pm.Model() as model:
        Data("x", TABLE, export_index_as_coords=True)
    for twin in (copy.copy(model), cloudpickle.loads(cloudpickle.dumps(model))):
        assert twin["x"] is not model["x"]
        assert twin["x"].tag.export_index_as_coords
        assert twin.coords == model.coords


def test_outside_of_a_context_is_refused() -> None:
    with pytest.raises(
        TypeError,
        match=r"^`model` must be passed outside of a `with model:` block, got None\.\n"
        r"Hint: write the call inside `with pm\.Model\(\) as model:`, or pass `model=model`\.$",
    ):
        Data("x", [1.0])


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match="`model` must be a PyMC model, got "):
        Data("x", [1.0], model="model")
