"""Which containers of a model have rows: by dims, by lengths, by what is asked for."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.prediction.graph.forward_graph import batches_of
from bayou.prediction.graph.row_containers import (
    RowContainers,
    find_row_containers,
    stored_values,
)


def found(model: pm.Model, *names: str, passed: tuple[str, ...] = ()) -> RowContainers:
    batches = batches_of(model)
    containers = {variable.name: variable for variable in model.data_vars} | batches
    return find_row_containers(
        model, names, containers, batches, [containers[name] for name in passed]
    )


def names_of(rows: RowContainers) -> list[str]:
    return [str(container.name) for container in rows.containers]


def test_containers_on_the_dim_of_the_observed_values() -> None:
    with pm.Model(coords={"group": range(3)}) as model:
        x, y = by.Data("x", np.zeros(3), dims="row"), by.Data("y_data", np.zeros(3), dims="row")
        level = by.Data("level", np.zeros(3), dims="group")
        pm.Normal("y", x + level.sum(), observed=y, dims="row")
    rows = found(model, "y")
    assert rows.dims == ("row",)
    assert names_of(rows) == ["x", "y_data"]


def test_containers_without_dims_are_told_by_their_lengths() -> None:
    with pm.Model() as model:
        x, y = by.Data("x", np.zeros((4, 2))), by.Data("y_data", np.zeros(4))
        by.Data("level", np.zeros(3))
        by.Data("scale", 1.0)
        pm.Normal("y", x.sum(axis=1), observed=y)
    rows = found(model, "y")
    assert rows.dims == ()
    assert names_of(rows) == ["x", "y_data"]


def test_minibatches_have_rows() -> None:
    with pm.Model() as model:
        x, y = by.Minibatch(np.arange(6.0), 2, name="x"), by.Minibatch(np.zeros(6), 2, name="z")
        pm.Normal("y", x, observed=y, total_size=6)
    rows = found(model, "y")
    assert sorted(names_of(rows)) == ["x", "z"]
    assert stored_values(x).tolist() == list(range(6))


def test_rows_are_those_of_the_variables_that_are_asked_for() -> None:
    with pm.Model() as model:
        for dim in ("flight", "port"):
            x = by.Data(f"x_{dim}", np.zeros(2), dims=dim)
            pm.Normal(f"y_{dim}", x, observed=x, dims=dim)
    assert names_of(found(model, "y_port")) == ["x_port"]
    with pytest.raises(
        ValueError, match=r"`var_names` must have rows of one dim, got .* \['flight', 'port'\]\.\n"
    ):
        found(model, "y_flight", "y_port")


def test_a_model_that_observes_nothing_has_the_rows_that_are_passed() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.zeros(2), dims="row")
        pm.Deterministic("mean", 2 * x)
    assert names_of(found(model, "mean", passed=("x",))) == ["x"]
