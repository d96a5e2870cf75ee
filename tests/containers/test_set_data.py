"""set_data: new values, in the model and in what was compiled of it; all or none."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.exceptions import ShapeError
from pymc.model.transform.optimization import freeze_model

from bayou.containers.data import Data
from bayou.containers.set_data import set_data
from tests.containers.helpers import (
    assert_same,
    contents_of,
    frame_of,
    regression,
    series_of,
    set_data_refuses,
)


def test_logp_lengths_coords_and_results_are_the_new_ones() -> None:
    model = regression()
    x, y = np.full((5, 2), 2.0), np.arange(5.0)
    set_data({"x": x, "y": y}, coords={"row": list("abcde")}, model=model)
    assert {dim: int(length.eval()) for dim, length in model.dim_lengths.items()} == {
        "feature": 2,
        "row": 5,
    }
    assert model.coords["row"] == tuple("abcde")
    logp = model.compile_logp()({"b": np.array([0.5, 0.25])})
    residuals = np.concatenate([y - 1.5, [0.5, 0.25]])
    np.testing.assert_allclose(logp, -0.5 * (residuals**2 + np.log(2 * np.pi)).sum())
    results = pm.sample_prior_predictive(2, model=model)
    np.testing.assert_array_equal(results["constant_data"]["x"], x)
    np.testing.assert_array_equal(results["observed_data"]["obs"], y)
    assert results["prior_predictive"]["obs"].coords["row"].values.tolist() == list("abcde")


def test_the_context_is_the_model() -> None:
    with regression() as model:
        set_data({"y": [5.0, 6.0, 7.0]})
    assert model["y"].get_value().tolist() == [5.0, 6.0, 7.0]


def test_the_model_may_be_the_second_argument_as_in_pymc() -> None:
    pymcs, ours = (
        list(inspect.signature(function).parameters.values())
        for function in (pm.set_data, set_data)
    )
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in pymcs
    ]
    model = regression()
    set_data({"y": [5.0, 6.0, 7.0]}, model)
    assert model["y"].get_value().tolist() == [5.0, 6.0, 7.0]


def test_the_value_is_copied() -> None:
    with pm.Model():
        x = Data("x", [1.0, 2.0])
        value = np.array([3.0, 4.0])
        set_data({"x": value})
        value[0] = 9.0
    assert x.get_value().tolist() == [3.0, 4.0]


def test_containers_of_pymc_are_updated() -> None:
    with pm.Model() as model:
        pm.Data("x", np.array([1, 2]), dims="row", coords={"row": ["a", "b"]})
        pm.Data("n", 2.0)
        set_data({"x": [3, 4, 5], "n": 3}, coords={"row": ["a", "b", "c"]})
    assert model["x"].get_value().tolist() == [3, 4, 5]
    assert model["x"].dtype == "int32"
    assert model["n"].get_value() == 3.0


def test_nothing_to_set_is_no_change() -> None:
    model = regression()
    before = contents_of(model)
    set_data({}, model=model)
    assert_same(contents_of(model), before)


def test_names_resolve_as_in_the_model() -> None:
    with pm.Model() as model:
        with pm.Model("sub") as sub:
            x = Data("x", [1.0, 2.0], dims="row")
            set_data({"x": [3.0]})
            assert x.get_value().tolist() == [3.0]
            set_data({"sub::x": [4.0, 5.0]}, coords={"row": ["a", "b"]})
        set_data({"sub::x": [6.0]}, coords={"row": ["c"]})
    assert x.get_value().tolist() == [6.0]
    assert model.coords["row"] == ("c",)
    set_data_refuses(sub, ValueError, "once, got 'sub::x' twice", {"x": [1.0], "sub::x": [1.0]})


def test_exact_casts_are_made() -> None:
    with pm.Model() as model:
        Data("count", np.array([1, 2], dtype="int8"))
        Data("real", [0.5, 1.5])
        Data("flag", [True, False])
        set_data({"count": [3.0, 4.0], "real": [3, 4], "flag": [0, 1]})
    assert [(v.get_value().dtype.name, v.get_value().tolist()) for v in model.data_vars] == [
        ("int8", [3, 4]),
        ("float64", [3.0, 4.0]),
        ("bool", [False, True]),
    ]


def test_floats_round_to_floatx() -> None:
    with pytensor.config.change_flags(floatX="float32"), pm.Model() as model:
        x = Data("x", [1.0])
        set_data({"x": np.array([0.1])})
        assert x.get_value().tolist() == [float(np.float32(0.1))]
        set_data_refuses(model, ValueError, r"float32 can represent, got 1e\+300", {"x": [1e300]})


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (np.array([1, 2]), [1.0, 2.5], r"int64 can represent, got 2\.5 \(float64\) in row 1"),
        (np.array([1], dtype="int8"), [1, 300], r"int8 can represent, got 300 \(int64\) in row 1"),
        ([0.5], [2**53 + 1], r"float64 can represent, got 9007199254740993 \(int64\) in row 0"),
        ([True], [2], r"bool can represent, got 2 \(int64\) in row 0"),
        (
            np.ones((1, 2), dtype=int),
            pd.DataFrame({"a": [1, 2], "b": [1.0, 2.5]}),
            r"\(column 'b'\) must hold values that int64 can represent, got 2\.5 \(float64\) in",
        ),
    ],
)
def test_lossy_casts_are_refused(old: Any, new: Any, match: str) -> None:
    with pm.Model() as model:
        Data("x", old)
    set_data_refuses(model, ValueError, r"^`new_data\['x'\]` .*" + match, {"x": new})


def test_missing_and_other_values_are_refused() -> None:
    model = regression()
    set_data_refuses(
        model,
        ValueError,
        r"^`new_data\['y'\]` must hold no missing values, got 1: in row 1",
        {"x": np.ones((3, 2)), "y": [1.0, np.nan, 2.0]},
    )
    set_data_refuses(
        model, TypeError, r"`new_data\['y'\]` must hold numbers", {"y": ["a", "b", "c"]}
    )


@pytest.mark.parametrize(
    "twin_of", [copy.copy, lambda model: cloudpickle.loads(cloudpickle.dumps(model))]
)
def test_copies_of_a_model_are_updated_alone(twin_of: Any) -> None:
    with pm.Model() as model:
        Data("x", series_of(["a", "b"]), export_index_as_coords=True)
        y = Data("y", frame_of(["a", "b"]), dims=("row", "column"))
        pm.Normal("obs", y.sum(axis=1), 1.0, observed=[1.0, 2.0])
    twin = twin_of(model)
    before = contents_of(model)
    set_data({"x": series_of(["c"]), "y": np.ones((1, 3))}, model=twin)
    assert_same(contents_of(model), before)
    assert twin.coords == {"row": ("c",), "column": None}
    assert {dim: int(length.eval()) for dim, length in twin.dim_lengths.items()} == {
        "row": 1,
        "column": 3,
    }


def test_a_copy_takes_new_containers_after_the_original_changed() -> None:
    with pm.Model() as model:
        Data("x", [1.0, 2.0], dims="row")
    twin = copy.copy(model)
    set_data({"x": [1.0]}, model=model)
    Data("y", [3.0, 4.0], dims="row", model=twin)
    set_data_refuses(twin, ShapeError, "got 2 in 'x', 1 in 'y'", {"y": [1.0]})


def test_a_frozen_model_takes_new_values() -> None:
    model = regression()
    frozen = freeze_model(model)
    set_data({"y": [5.0, 6.0, 7.0]}, frozen)
    assert frozen["y"].get_value().tolist() == [5.0, 6.0, 7.0]
    assert model["y"].get_value().tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(TypeError, match="a model that takes new variables, got a FrozenModel"):
        Data("z", [1.0], model=frozen)


def test_unknown_names_are_refused() -> None:
    model = regression()
    for name in ("z", "a/b", "a:", 3):
        set_data_refuses(
            model,
            ValueError,
            rf"^`new_data` must name data containers of the model, got {name!r}\.\n"
            r"Hint: the model has 'x', 'y'\.$",
            {"x": np.zeros((3, 2)), name: [1.0]},
        )
    set_data_refuses(
        pm.Model(), ValueError, "Hint: the model has none; create one with `Data`", {"x": 1}
    )


def test_names_of_other_variables_are_refused() -> None:
    with regression() as model:
        pm.Deterministic("twice", 2 * model["b"])
        pm.Potential("penalty", -(model["b"] ** 2).sum())
        model.add_named_variable(pt.constant(1.0, name="one"))
    for name, what in {
        "b": "free random variable",
        "obs": "observed random variable",
        "twice": "deterministic",
        "penalty": "potential",
        "one": "TensorConstant",
    }.items():
        set_data_refuses(
            model,
            TypeError,
            f"^`new_data` must name data containers, got '{name}', a {what}",
            {"x": np.zeros((3, 2)), name: [1.0]},
        )


def test_new_data_must_be_a_mapping() -> None:
    set_data_refuses(regression(), TypeError, "must be a mapping .*, got a str", "x")


def test_outside_of_a_context_is_refused() -> None:
    with pytest.raises(TypeError, match="`model` must be passed outside of a `with model:` block"):
        set_data({"x": [1.0]})


def test_a_failure_half_way_is_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = regression()
    before = contents_of(model)

    def fail(value: Any) -> None:
        monkeypatch.undo()
        raise MemoryError("no room")

    monkeypatch.setattr(model["y"], "set_value", fail)
    with pytest.raises(MemoryError, match="no room"):
        set_data({"x": np.zeros((1, 2)), "y": [1.0]}, coords={"row": ["a"]}, model=model)
    assert_same(contents_of(model), before)


def test_what_is_no_model_is_refused() -> None:
    no_model: Any = 3
    with pytest.raises(TypeError, match=r"^`model` must be a PyMC model, got 3\.\nHint: "):
        set_data({"x": [1.0]}, no_model)
