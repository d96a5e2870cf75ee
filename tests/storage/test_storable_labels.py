"""Labels of dims in results: any that a model can have, in forms that files can hold."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.storage.storable_labels import storable_labels

DAYS = pd.date_range("2020-01-01", periods=3)
LABELS: dict[str, tuple[Any, list[Any]]] = {
    "text": (["a", "b/c", "d"], ["a", "b/c", "d"]),
    "numbers": (np.array([3, 1, 2]), [3, 1, 2]),
    "booleans": ((True, False), [True, False]),
    "dates and times": (DAYS, list(DAYS.to_numpy())),
    "durations": (pd.timedelta_range("1D", periods=2), list(np.array([1, 2], "m8[D]"))),
    "tuples": (pd.MultiIndex.from_product([["x", "y"], [1]]), ["('x', 1)", "('y', 1)"]),
    "intervals": (pd.interval_range(0, 2), ["(0, 1]", "(1, 2]"]),
    "periods": (pd.period_range("2020-01", periods=2, freq="M"), ["2020-01", "2020-02"]),
    "time zone": (
        DAYS[:1].tz_localize("Europe/Paris"),
        ["2020-01-01 00:00:00+01:00"],
    ),
    "days": ([dt.date(2020, 1, 1)], ["2020-01-01"]),
    "categories": (pd.Categorical(["u", "v"]), ["u", "v"]),
    "several types": ([1, "a", None, 2.5, ("t", 1)], ["1", "a", "None", "2.5", "('t', 1)"]),
    "alike": ([1, "1"], ["1", "'1'"]),
    "none": ([], []),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_what_files_hold(kind: str) -> None:
    labels, expected = LABELS[kind]
    found = storable_labels(labels)
    assert found.ndim == 1
    assert list(found) == expected
    # The same again, so that labels of a result are those of the model.
    np.testing.assert_array_equal(storable_labels(found), found)
    np.testing.assert_array_equal(storable_labels(tuple(labels)), found)


GROUPS = {
    "tuples": pd.MultiIndex.from_product([["x", "y"], [1, 2]]),
    "intervals": pd.interval_range(0, 4),
    "periods": pd.period_range("2020-01", periods=4, freq="M"),
    "dates and times": pd.date_range("2020-01-01", periods=4),
    "several types": [1, "a", None, ("t", 1)],
}


@pytest.mark.parametrize("kind", GROUPS)
def test_results_go_through_files(kind: str, tmp_path: Path) -> None:
    group_of = np.arange(40) % 4
    y = group_of + np.random.default_rng(0).normal(0, 0.1, size=40)
    quiet: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    with pm.Model(coords={"group": GROUPS[kind]}) as model:
        group = by.Data("group_of", group_of, dims="row")
        effect = pm.Normal("effect", 0, 5, dims="group")
        pm.Normal("y", effect[group], 0.1, observed=by.Data("data", y, dims="row"), dims="row")
    fit = by.fit(model=model, **quiet)
    labels = storable_labels(GROUPS[kind])
    np.testing.assert_allclose(fit.mean["effect"].sel(group=labels[2]), 2, atol=0.1)
    fit.save(tmp_path / "fit")
    assert by.load(tmp_path / "fit", model=model).mean.equals(fit.mean)
    tree = fit.sample(20, random_seed=1)
    tree.to_zarr(tmp_path / "tree.zarr", consolidated=False)
    with xr.open_datatree(tmp_path / "tree.zarr", engine="zarr", consolidated=False) as opened:
        xr.testing.assert_equal(opened["posterior"].to_dataset(), tree["posterior"].to_dataset())
        assert by.verify(opened, model)
        again = by.predict(opened, {"group_of": [2, 0], "data": [0.0, 0.0]}, model=model, **quiet)
    new = by.predict(tree, {"group_of": [2, 0], "data": [0.0, 0.0]}, model=model, **quiet)
    np.testing.assert_array_equal(new.predictions["y"], again.predictions["y"])
    np.testing.assert_allclose(new.predictions["y"].mean(("chain", "draw")), [2, 0], atol=0.2)
    assert pickle.loads(pickle.dumps(new)).identical(new)
    data = {"one": {"group_of": group_of, "data": y}}
    many = by.fit_many(data, model=model, draws=100, out=tmp_path / "many.zarr", **quiet)
    np.testing.assert_array_equal(many.posterior["group"], labels)


def test_dims_that_trees_take_for_paths_are_refused_before_anything_runs() -> None:
    with pm.Model(coords={"r/w": range(3)}) as model:
        data = by.Data("data", np.zeros(3), dims="r/w")
        pm.Normal("y", pm.Normal("mu"), 1, observed=data, dims="r/w")
    quiet: dict[str, Any] = {"random_seed": 1, "progressbar": False}
    fit = by.fit(model=model, **quiet)
    match = r"`model` must have dims without '/' in their names, got 'r/w', .*\nHint: rename"
    with pytest.raises(ValueError, match=match):
        by.predict(fit, {"data": [1.0]}, model=model, **quiet)
    for many in (by.fit_many, by.sample_many):
        with pytest.raises(ValueError, match=match):
            many({"a": {"data": [1.0, 2.0]}}, model=model, **quiet)
