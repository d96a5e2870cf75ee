"""New data are matched to containers by the names of columns or of containers, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pymc.model.transform.optimization import freeze_dims_and_data

import bayou as by
from tests.prediction.small_models import (
    NEW,
    NEW_GROUP,
    X,
    bernoulli,
    flights,
    late_model,
    posterior,
    predictions,
    regression,
)


def test_columns_that_are_coords_are_matched_by_name_too() -> None:
    frame = flights(30)[["distance", "hour"]].rename_axis("feature", axis="columns")
    with pm.Model() as model:
        x = by.Data("x", frame, dims=("flight", "feature"), export_index_as_coords=True)
        b = pm.Normal("b", dims="feature")
        pm.Deterministic("mu", x @ b, dims="flight")
        pm.Normal("y", model["mu"], observed=frame["hour"].values, dims="flight")
    tree, new = posterior(), flights(5)
    mu = predictions(model, tree, {"x": new[["hour", "distance"]]}, var_names="mu").predictions[
        "mu"
    ]
    np.testing.assert_allclose(mu.values, tree["b"].values @ new[["distance", "hour"]].values.T)
    assert list(mu["flight"].values) == list(new.index)
    with pytest.raises(ValueError, match=r"a frame without \['hour'\]\.\nHint: the columns are"):
        predictions(model, tree, {"x": new[["distance"]]}, var_names="mu")


DATA: dict[str, tuple[Any, str]] = {
    "lacking": (
        {"x": NEW},
        r"`data` must have rows for the containers \['group_of'\], got \['x'\]",
    ),
    "lengths": (
        {"x": NEW, "group_of": [0, 1]},
        r"the same number of rows for all containers, got 7 in 'x', 2 in 'group_of'",
    ),
    "axes": ({"x": NEW[:, 0], "group_of": NEW_GROUP}, r"`data\['x'\]` must have as many axes"),
    "no rows": ({"x": NEW[:0], "group_of": NEW_GROUP[:0]}, "`data` must have at least one row"),
    "nothing": ({}, r"`data` must map names of containers to rows for \['x', 'group_of'\]"),
    "table": (pd.DataFrame({"a": [1.0]}), r"`data` must map names .* got a DataFrame\.\nHint: "),
    "missing": ({"x": NEW * np.nan, "group_of": NEW_GROUP}, "must hold no missing values"),
    "width": ({"x": NEW[:, :1], "group_of": NEW_GROUP}, r"`data` must fit the model"),
    "index": ({"x": NEW, "group_of": NEW_GROUP + 3}, r"`data` must fit the model"),
}


@pytest.mark.parametrize(("data", "message"), DATA.values(), ids=DATA)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictions(regression(bernoulli), posterior(), data)


def test_rows_of_two_dims_are_refused() -> None:
    with pm.Model() as model:
        b = pm.Normal("b", shape=2)
        for name in ("flight", "port"):
            x = by.Data(f"x_{name}", X[:, 0], dims=name)
            pm.Normal(f"y_{name}", b[0] * x, observed=x, dims=name)
    with pytest.raises(ValueError, match=r"must have rows of one dim, got .* \['flight', 'port'\]"):
        predictions(model, posterior(), {"x_flight": [1.0], "x_port": [1.0]})
    found = predictions(model, posterior(), {"x_port": [1.0]}, var_names="y_port").predictions
    assert found["y_port"].sizes["port"] == 1


def test_containers_without_rows_take_new_values() -> None:
    with pm.Model(coords={"group": ["A", "B"]}) as model:
        level = by.Data("level", [1.0, 2.0], dims="group")
        group = by.Data("group_of", [0, 1, 1], dims="row")
        b = pm.Normal("b", shape=2)
        pm.Deterministic("mu", (level * b)[group], dims="row")
        pm.Normal("y", model["mu"], observed=by.Data("y_data", [1.0, 2.0, 3.0], dims="row"))
    tree, data = posterior(), {"group_of": [1, 0], "level": [10.0, 20.0]}
    found = predictions(model, tree, data, var_names="mu").predictions["mu"]
    np.testing.assert_allclose(found.values, tree["b"].values[..., ::-1] * [20, 10])
    kept = predictions(model, tree, {"group_of": [1, 0]}, var_names="mu").predictions["mu"]
    np.testing.assert_allclose(kept.values, tree["b"].values[..., ::-1] * [2, 1])


def test_text_is_coded_by_the_table_of_its_container() -> None:
    model, tree = late_model(flights(30)), posterior()
    rows = {"x": flights(2), "code": ["UA", "AA"]}
    found = predictions(model, tree, rows, var_names="mu").predictions["mu"]
    codes = predictions(model, tree, rows | {"code": np.array([2, 0])}, var_names="mu")
    assert np.array_equal(found.values, codes.predictions["mu"].values)
    with pytest.raises(ValueError, match="must hold only categories of the dim 'carriers'"):
        predictions(model, tree, rows | {"code": ["UA", "XX"]})


def test_lacking_columns_are_listed() -> None:
    model = late_model(flights(30))
    with pytest.raises(ValueError, match=r"'hour' \(for 'x'\), 'carrier' \(for 'code'\)"):
        predictions(model, posterior(), flights(5)[["distance"]])


@pytest.mark.parametrize("code", [-1, 3])
def test_codes_of_no_category_are_refused(code: int) -> None:
    rows = {"x": flights(2), "code": [0, code]}
    message = (
        r"`data\['code'\]`, of data container 'code', must hold codes from 0 to 2, of 'AA', 'DL', "
        rf"'UA', got {code} in row 1\.\nHint: pass the categories themselves"
    )
    with pytest.raises(ValueError, match=message):
        predictions(late_model(flights(30)), posterior(), rows)


def test_data_without_rows_are_refused_by_name() -> None:
    model, none = late_model(flights(30)), flights(30).iloc[:0]
    for data, what in ((none, "`data`"), ({"x": none, "code": []}, r"`data\['x'\]`")):
        with pytest.raises(
            ValueError, match=rf"^{what} must have at least one row, got .*\nHint: check the filter"
        ):
            predictions(model, posterior(), data)


def test_rows_with_missing_values_are_not_left_out() -> None:
    with pm.Model() as model:
        x = by.Data("x", {"x": [1.0, np.nan, 2.0]}, columns="x", dims="row", missing="drop")
        b = pm.Normal("b", shape=2)
        pm.Normal("y", b[0] * x, observed=by.Data("y_data", [1.0, 2.0]), dims="row")
    message = (
        r"got some: 'x' in row 1\.\nHint: missing='drop' is for the rows that are fitted: .*na"
    )
    with pytest.raises(ValueError, match=message):
        predictions(model, posterior(), {"x": [1.0, None]})


def panel(dims: tuple[str, str]) -> pm.Model:
    """Return a model of an effect of each geo, on data with these dims."""
    with pm.Model(coords={"geo": range(3), "date": range(4)}) as model:
        x = pm.Data("x", np.ones((3, 4) if dims[0] == "geo" else (4, 3)), dims=dims)
        effect = pm.Normal("effect", dims="geo")
        mean = effect[:, None] * x if dims[0] == "geo" else effect * x
        pm.Normal("o", mean, 1, observed=x, dims=dims)
    return model


def test_new_rows_along_another_dim_than_the_first_are_refused() -> None:
    model = panel(("geo", "date"))
    fit = by.fit(model=model, random_seed=1, progressbar=False)
    with pytest.raises(
        ValueError,
        match=r"(?s)first dim of what is observed, 'geo', got the same 3 and another length of "
        r"'date' in 'x'\. 'effect' would be drawn anew\.\nHint: write the model with 'date'",
    ):
        by.predict(fit, {"x": np.ones((3, 2))}, random_seed=1, progressbar=False)
    new_geos = {"x": np.ones((2, 4))}
    tree = by.predict(fit, new_geos, random_seed=1, progressbar=False)
    assert tree["predictions"].attrs["drawn_from_prior"] == ["effect"]


def test_data_of_a_frozen_model_are_refused() -> None:
    model = panel(("date", "geo"))
    frozen = freeze_dims_and_data(model)
    fit = by.fit(model=frozen, random_seed=1, progressbar=False)
    new = {"x": np.ones((2, 3))}
    with pytest.raises(
        ValueError, match=r"(?s)`model` must have containers .* got the frozen 'x', .*\nHint: pass"
    ):
        by.predict(fit, new, random_seed=1, progressbar=False)
    tree = by.predict(fit, new, model=model, random_seed=1, progressbar=False)
    assert tree["predictions"]["o"].shape == (1, 1000, 2, 3)
