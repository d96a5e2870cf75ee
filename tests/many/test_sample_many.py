"""by.sample_many: each data set has the posterior that it has alone, whatever else is sampled."""

from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from bayou.many.data_sets.pending import seed_of
from tests.shops import SETTINGS, SHOPS, data_sets, labelled, sample_many, series, shop_model

# Draws are few, to be quick.
pytestmark = pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return the model of the shops, compiled once."""
    return shop_model()


def posterior(tree: xr.DataTree, key: Any) -> xr.Dataset:
    """Return the posterior of one data set, without what was filled up."""
    return tree["posterior"].to_dataset().sel(dataset=key, drop=True).dropna("row")


def test_results_depend_neither_on_the_others_nor_on_their_order(model: pm.Model) -> None:
    data = data_sets({"one": 4, "two": 7, "three": 2})
    tree = sample_many(data, model)
    assert tree.posterior.sizes == {"dataset": 3, "chain": 2, "draw": 30, "term": 2, "row": 7}
    backwards = sample_many(dict(reversed(data.items())), model)
    for key in data:
        alone = posterior(sample_many({key: data[key]}, model), key)
        xr.testing.assert_identical(posterior(tree, key), alone)
        xr.testing.assert_identical(posterior(backwards, key), alone)
        assert alone.sizes["row"] == len(data[key]["price"])


def test_results_are_those_of_one_data_set_at_a_time(model: pm.Model) -> None:
    data = data_sets({"one": 5})
    with model:
        by.set_data(data["one"])
        alone = by.sample(**SETTINGS | {"random_seed": seed_of("one", 3)})
    tree = sample_many(data, model)
    for name in ("b", "mean"):
        values = tree.posterior[name].sel(dataset="one").values
        np.testing.assert_array_equal(values, alone.posterior[name].values)
    assert list(tree.posterior.term.values) == ["level", "slope"]


def test_the_model_keeps_its_data(model: pm.Model) -> None:
    by.set_data(SHOPS, model=model)
    coords = dict(model.coords)
    sample_many(data_sets({"one": 3}), model)
    with pytest.warns(UserWarning, match="1 of 2 data sets failed: 'bad'"):
        sample_many(data_sets({"one": 3}) | {"bad": {"price": [1.0]}}, model)
    np.testing.assert_array_equal(model["price"].get_value(), SHOPS["price"])
    assert model.coords == coords
    assert model.dim_lengths["row"].eval() == 6


def test_groups_of_a_table(model: pm.Model) -> None:
    tree = sample_many(SHOPS, model, by="shop")
    assert tree.posterior["dataset"].values.tolist() == ["a", "b", "c"]
    assert tree["diagnostics"]["num_row"].values.tolist() == [2, 3, 1]
    for shop, rows in SHOPS.groupby("shop"):
        alone = sample_many({shop: rows.reset_index()}, model)
        xr.testing.assert_identical(posterior(tree, shop), posterior(alone, shop))


def test_data_without_keys_are_counted(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 3})
    tree = sample_many((values for values in data.values()), model)
    assert tree.posterior["dataset"].values.tolist() == [0, 1]
    assert tree.posterior["gain"].dtype == np.float64


def test_data_may_be_overwritten_once_they_are_handed_out(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 3, "three": 3})
    place = {"price": np.empty(3), "sold": np.empty(3)}

    def overwritten() -> Iterator[Any]:
        for values in data.values():
            for name, array in values.items():
                place[name][:] = array
            yield place

    tree = sample_many(overwritten(), model)
    expected = sample_many(data.values(), model)
    xr.testing.assert_identical(tree["posterior"].to_dataset(), expected["posterior"].to_dataset())


def test_failed_data_sets_cost_the_others_nothing(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 4})
    bad = {
        "unknown": {"cost": [1.0]},
        "uneven": {"price": [1.0, 2.0], "sold": [1.0]},
        "infinite": {"price": [1.0], "sold": [np.inf]},
    }
    with pytest.warns(UserWarning, match=r"3 of 5 data sets failed: 'unknown', 'uneven', 'inf"):
        tree = sample_many(bad | data, model)
    assert tree.posterior["dataset"].values.tolist() == ["one", "two"]
    errors = tree["diagnostics"]["error"].to_series()
    assert "ValueError: `new_data` must name data containers" in errors["unknown"]
    assert "ShapeError: Data containers that share the dim 'row'" in errors["uneven"]
    assert "-inf from 'observed'" in errors["infinite"]
    assert errors["one"] == ""
    assert np.isnan(tree["diagnostics"]["rhat"].sel(dataset="uneven"))
    assert (tree["diagnostics"]["rhat"].sel(dataset=["one", "two"]) < 2).all()
    with pytest.raises(ValueError, match="Each of the 3 data sets failed, 'unknown' with:"):
        sample_many(bad, model)


@pytest.mark.parametrize(
    ("data", "settings", "text"),
    [
        ({"one": {}}, {"draws": 0}, "`draws` must be"),
        ({"one": {}}, {"sampler": "stan"}, "`sampler` must be"),
        ({"one": {}}, {"random_seed": -1}, "`random_seed` must be"),
        (iter(()), {}, "got an iterable without any"),
    ],
)
def test_refusals(model: pm.Model, data: Any, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        sample_many(data, model, **settings)


@pytest.mark.parametrize("on_disk", [False, True])
def test_labels_are_those_of_the_data(tmp_path: Path, on_disk: bool) -> None:
    model = labelled(["m", "n"])

    def labels(*parts: dict[str, Any]) -> Any:
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr" if on_disk else None
        for number in range(len(parts)) if on_disk else [len(parts) - 1]:
            data = {key: value for part in parts[: number + 1] for key, value in part.items()}
            tree = sample_many(data, model, out=out, draws=2, tune=2, chains=1)
        found = tree.posterior
        return found["row"].values.tolist() if "row" in found.coords else None

    assert labels({"a": series("n", "m")}) == ["n", "m"]
    assert labels({"a": series("n", "m")}, {"b": series("n", "m")}) == ["n", "m"]
    assert labels({"a": series("n", "m")}, {"b": series("m", "n")}) is None
    assert labels({"a": series("m", "n")}, {"b": series("n", "m")}) is None
    assert labels({"a": series("m", "n")}, {"b": series("m")}) is None
    assert labels({"a": series("x")}, {"b": series("x")}) == ["x"]
    assert labels({"a": {"y": [1.0, 2.0]}}, {"b": series("m", "n")}) == ["m", "n"]
    assert labels({"a": {"y": [1.0]}}, {"b": series("m", "n")}) is None
    by.set_data(series("n", "m"), model=model)
    assert labels({"a": {"y": [1.0, 2.0]}}) == ["n", "m"]


def test_labels_of_a_failed_data_set_do_not_count() -> None:
    bad = {"y": pd.Series([np.inf], index=["z"])}
    with pytest.warns(UserWarning, match="1 of 2 data sets failed"):
        tree = sample_many({"bad": bad, "a": series("n", "m")}, labelled(["m", "n"]))
    assert tree.posterior["row"].values.tolist() == ["n", "m"]


def test_groups_bring_the_labels_of_their_rows() -> None:
    frame = pd.DataFrame({"shop": [1, 2, 1, 2], "y": 1.0}, index=pd.Index([*"abcd"], name="row"))
    with pm.Model() as model:
        y = by.Data("y", frame[:2], columns="y", export_index_as_coords=True)
        pm.Normal("observed", pm.Normal("z", dims="row"), 1, observed=y, dims="row")
    tree = sample_many(frame, model, by="shop")
    assert "row" not in tree.posterior.coords
    tree = sample_many(frame[frame["shop"] == 2], model, by="shop")
    assert tree.posterior["row"].values.tolist() == ["b", "d"]


def test_a_series_of_data_sets_has_its_index_for_keys(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 4})
    tree = sample_many(pd.Series(list(data.values()), index=list(data)), model)
    xr.testing.assert_identical(
        tree["posterior"].to_dataset(), sample_many(data, model)["posterior"].to_dataset()
    )


def test_an_error_of_a_mapping_is_that_of_one_data_set(model: pm.Model) -> None:
    class Files(UserDict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            if key == "two":
                raise OSError("no such file")
            return super().__getitem__(key)

    with pytest.warns(UserWarning, match="1 of 3 data sets failed: 'two'"):
        tree = sample_many(Files(data_sets({"one": 3, "two": 4, "three": 2})), model)
    assert tree["diagnostics"]["error"].sel(dataset="two") == "OSError: no such file"


def test_doubtful_results_are_counted_once() -> None:
    with pm.Model() as model:
        y = by.Data("y", [0.0], dims="row")
        mu = pm.Normal("mu")
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    match = r"Results of 2 of 2 data sets are doubtful: 2 with R-hat above 1.01\.\nHint"
    with pytest.warns(by.ConvergenceWarning, match=match) as found:
        sample_many({"a": {"y": [1.0]}, "b": {"y": [2.0]}}, model, draws=4, chains=4)
    assert len(found) == 1
