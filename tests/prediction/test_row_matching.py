"""New data are matched to containers by the names of columns or of containers, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
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


def panel(dims: tuple[str, str], *effects: str) -> pm.Model:
    """Return a model of the sum of effects of geos and dates, which are 1, 2, ... in the tests."""
    lengths = {"geo": 3, "date": 4}
    coords = {"geo": ["a", "b", "c"], "date": range(4)}
    with pm.Model(coords=coords) as model:
        mean = x = pm.Data("x", np.zeros([lengths[dim] for dim in dims]), dims=dims)
        for name in effects or ("geo",):
            effect = pm.Normal(f"{name}_effect", dims=name)
            mean += effect[:, None] if dims[0] == name else effect
        pm.Deterministic("mean", mean, dims=dims)
        pm.Normal("o", mean, 1, observed=x, dims=dims)
    return model


def effects_of(model: pm.Model) -> xr.Dataset:
    """Return draws of the effects, all alike: 1, 2, 3 for geos, 10, 20, 30, 40 for dates."""
    values = {"geo": np.arange(1.0, 4), "date": 10 * np.arange(1.0, 5)}
    return xr.Dataset(
        {
            variable.name: (("chain", "draw", dim), np.tile(values[dim], (1, 4, 1)))
            for variable in model.free_RVs
            for dim in model.named_vars_to_dims[variable.name]
        },
        coords={dim: list(model.coords[dim]) for dim in model.coords},
    )


def panel_mean(model: pm.Model, values: Any) -> tuple[xr.DataArray, list[str]]:
    """Return the first draw of the mean for new values of x, and what was drawn from the prior."""
    found = predictions(model, effects_of(model), {"x": values}, var_names="mean").predictions
    mean = found["mean"].isel(chain=0, draw=0).transpose("geo", "date")
    return mean, found.attrs["drawn_from_prior"]


@pytest.mark.parametrize("dims", [("geo", "date"), ("date", "geo")])
@pytest.mark.parametrize("effects", [("geo",), ("geo", "date")])
@pytest.mark.parametrize("new", [{}, {"date": 2}, {"geo": 2}, {"geo": 2, "date": 2}])
def test_variables_keep_their_draws_where_their_dim_did_not_change(
    dims: tuple[str, str], effects: tuple[str, ...], new: dict[str, int]
) -> None:
    lengths = {"geo": 3, "date": 4} | new
    values = np.zeros([lengths[dim] for dim in dims])
    model = panel(dims, *effects)
    if len(effects) == 2 and len(new) != 1:
        words = (
            r"must have new rows along one dim, got other lengths or labels of .* were fitted\.\nHi"
            if new
            else r"must tell along which of the dims .* their rows are new, .*\nHint: .*DataArray"
        )
        with pytest.raises(ValueError, match=rf"(?s)^`data` {words}"):
            panel_mean(model, values)
        return
    mean, from_prior = panel_mean(model, values)
    # With equal lengths and one effect, its dim is taken for the one that did not change.
    assert from_prior == [f"{dim}_effect" for dim in effects if dim in new]
    if effects == ("geo",) and "geo" not in new:
        np.testing.assert_allclose(mean.isel(date=-1), [1, 2, 3])
    assert dict(mean.sizes) == lengths


def test_kept_and_drawn_effects_add_up() -> None:
    model = panel(("geo", "date"), "geo", "date")
    mean, from_prior = panel_mean(model, np.zeros((3, 2)))
    assert from_prior == ["date_effect"]
    np.testing.assert_allclose(mean - mean.isel(geo=0), [[0, 0], [1, 1], [2, 2]], atol=1e-12)
    assert abs(mean[0, 0] - mean[0, 1]) > 0.01


def test_labels_tell_which_dim_is_new_and_in_which_order_the_other_is() -> None:
    model = panel(("geo", "date"), "geo", "date")
    values = np.arange(12.0).reshape(4, 3)
    array = xr.DataArray(values, coords={"date": [4, 5, 6, 7], "geo": ["c", "b", "a"]})
    frame = pd.DataFrame(values.T, index=["c", "b", "a"], columns=[4, 5, 6, 7])
    for new in (array, frame):
        mean, from_prior = panel_mean(model, new)
        assert from_prior == ["date_effect"]
        # Of geo "a": the last column of values, and an effect of 1; of "c": the first, and 3.
        expected = (values[:, 2] + 1) - (values[:, 0] + 3)
        np.testing.assert_allclose(mean[0] - mean[2], expected, atol=1e-12)
        assert mean["date"].to_numpy().tolist() == [4, 5, 6, 7]
        assert mean["geo"].to_numpy().tolist() == ["a", "b", "c"]
    same = xr.DataArray(np.zeros((3, 4)), coords={"geo": ["a", "b", "c"], "date": range(4)})
    with pytest.raises(ValueError, match="got the lengths and labels that the model has"):
        panel_mean(model, same)


def test_a_container_of_the_second_dim_alone_has_rows_of_it() -> None:
    with pm.Model(coords={"geo": range(3), "date": range(4)}) as model:
        x = pm.Data("x", np.arange(4.0), dims="date")
        effect = pm.Normal("geo_effect", dims="geo")
        observed = pm.Data("y", np.zeros((3, 4)), dims=("geo", "date"))
        mean = pm.Deterministic("mean", effect[:, None] + x, dims=("geo", "date"))
        pm.Normal("o", mean, 1, observed=observed, dims=("geo", "date"))
    mean_of_new, from_prior = panel_mean(model, [100.0, 200.0])
    assert from_prior == []
    np.testing.assert_allclose(mean_of_new, np.add.outer([1, 2, 3], [100, 200]))


def test_outcomes_of_one_dim_and_of_two_have_rows_of_the_dim_in_common() -> None:
    with pm.Model(coords={"geo": range(3), "date": range(4)}) as model:
        x = pm.Data("x", np.zeros((3, 4)), dims=("geo", "date"))
        effect = pm.Normal("geo_effect", dims="geo")
        pm.Normal("o", effect[:, None] + x, 1, observed=x, dims=("geo", "date"))
        pm.Normal("total", (effect[:, None] + x).sum(0), 1, observed=np.zeros(4), dims="date")
    found = predictions(model, effects_of(model), {"x": np.zeros((3, 2))}).predictions
    assert dict(found["o"].sizes) == {"chain": 1, "draw": 4, "geo": 3, "date": 2}
    assert found["total"].sizes["date"] == 2


def test_outcomes_that_were_observed_in_a_copy_are_predicted() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.arange(6.0), dims="row")
        mu = pm.Normal("mu")
        pm.Normal("y", mu + x, 0.01, dims="row")
        pm.Deterministic("twice", 2 * x, dims="row")
    trace = xr.Dataset({"mu": (("chain", "draw"), np.full((1, 3), 5.0))})
    observed = pm.observe(model, {"y": np.arange(6.0)})
    for of in (model, observed):
        found = predictions(of, trace, {"x": [10.0, 20.0]}).predictions
        assert list(found.data_vars) == ["y"]
        assert found.attrs["drawn_from_prior"] == []
        np.testing.assert_allclose(found["y"][0, 0], [15, 25], atol=0.1)
    with pytest.raises(ValueError, match=r"must be among \['twice', 'y'\], got \['mu'\]"):
        predictions(model, trace, {"x": [10.0]}, var_names="mu")


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
