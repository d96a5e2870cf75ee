"""The data of a model by name: each once, in one order, with what observes it."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor

import bayou as by
from bayou.provenance.named_inputs import (
    is_length,
    key_of,
    model_inputs,
    names_of,
    parents_of,
    variables_of,
)


def test_containers_come_first_and_arrays_last() -> None:
    with pm.Model() as model:
        y = by.Data("y_data", np.zeros(3))
        by.Data("unused", np.zeros(3))
        weights = pytensor.shared(np.ones(3), name="weights")
        pm.Normal("plain", 0, 1, observed=np.zeros(2))
        pm.Normal("y", weights.sum(), observed=y)
    found = model_inputs(model)
    assert [data.name for data in found] == ["y_data", "unused", "weights", "plain"]
    assert [data.role for data in found] == ["observed", "input", "input", "observed"]
    assert [data.observed_by for data in found] == [("y",), (), (), ("plain",)]


def test_a_container_that_is_drawn_from_is_listed_once() -> None:
    with pm.Model() as model:
        x = by.Minibatch(np.arange(6.0), 2, name="x")
        pm.Normal("y", x.sum(), observed=x, total_size=6)
    [data] = model_inputs(model)
    assert (data.name, data.role, data.observed_by) == ("x", "minibatch", ("y",))
    assert data.variable is not data.storage


def test_names_that_are_taken_are_numbered() -> None:
    with pm.Model() as model:
        shared = [pytensor.shared(np.ones(3), name="mu") for _ in range(2)]
        mu = pm.Normal("mu")
        pm.Deterministic("sum", mu + shared[0].sum() + shared[1].sum())
    assert [data.name for data in model_inputs(model)] == ["mu 2", "mu 3"]


def test_parents_are_the_nearest_names() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.zeros(3), dims="row")
        b = pm.Normal("b")
        mean = pm.Deterministic("mean", 2 * (b * x), dims="row")
        pm.Normal("y", mean, observed=np.zeros(3), dims="row")
        pm.Potential("count", pm.math.log(x.shape[0]))
    names = names_of(model, model_inputs(model))
    parents = {
        variable.name: [names[key] for key in parents_of(variable, names)]
        for variable in variables_of(model)
    }
    assert parents == {"b": [], "mean": ["b", "x"], "y": ["mean"], "count": []}


def test_clones_of_a_minibatch_have_one_key() -> None:
    x = by.Minibatch(np.arange(6.0), 2)
    clone = x.owner.clone_with_new_inputs(x.owner.inputs).outputs[x.index]
    assert clone is not x
    assert key_of(clone) == key_of(x)
    other = by.Minibatch(np.arange(6.0), 2)
    assert key_of(other) != key_of(x)


def test_lengths_of_dims_are_no_data() -> None:
    with pm.Model(coords={"group": range(3)}) as model:
        pm.Normal("b", dims="group")
    assert is_length(model, model.dim_lengths["group"])
    assert model_inputs(model) == ()
