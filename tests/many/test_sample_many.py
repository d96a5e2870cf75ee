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
import zarr

import bayou as by
from bayou.many import nutpie_runs
from bayou.many.data_sets.pending import seed_of
from bayou.many.results import zarr_folder
from tests.shops import SETTINGS, SHOPS, data_sets, sample_many, shop_model

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


def test_out_is_what_memory_would_hold(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets({f"{number:02}": 1 + number % 3 for number in range(34)})
    expected = sample_many(data, model)
    for part in (slice(0, 2), slice(0, 34)):
        found = sample_many(dict([*data.items()][part]), model, out=tmp_path / "many.zarr")
    read = xr.open_datatree(tmp_path / "many.zarr", engine="zarr", consolidated=False)
    for tree in (found, read):
        for group in ("posterior", "sample_stats"):
            xr.testing.assert_equal(tree[group].to_dataset(), expected[group].to_dataset())
    names = list(expected["diagnostics"].to_dataset().drop_vars("seconds"))
    xr.testing.assert_equal(
        found["diagnostics"].to_dataset()[names], expected["diagnostics"].to_dataset()[names]
    )
    assert list(found.posterior) == list(expected.posterior)


def test_an_interrupted_run_goes_on(
    model: pm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_sets({f"{number:02}": 1 + number % 3 for number in range(20)})
    out = tmp_path / "many.zarr"

    def interrupted() -> Iterator[Any]:
        yield from [*data.values()][:7]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_many(interrupted(), model, out=out)
    kept = zarr.open_group(out, mode="r").attrs["bayou"]["counts"]["posterior"]
    assert 4 <= kept <= 7

    real = zarr_folder.write_rows

    def killed(group: Any, name: str, *rest: Any) -> Any:
        if name == "energy":
            raise MemoryError("killed in the middle of a batch")
        return real(group, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_folder, "write_rows", killed)
        with pytest.raises(MemoryError):
            sample_many(data.values(), model, out=out)
    ran: list[Any] = []
    with monkeypatch.context() as patch:
        begin = nutpie_runs._start_run
        patch.setattr(
            nutpie_runs,
            "_start_run",
            lambda *args: ran.append(0) or begin(*args),  # type: ignore[func-returns-value]
        )
        found = sample_many(data.values(), model, out=out)
    assert len(ran) == 20 - kept
    expected = sample_many(data.values(), model)
    for group in ("posterior", "sample_stats"):
        xr.testing.assert_equal(found[group].to_dataset(), expected[group].to_dataset())


def test_out_of_another_run_is_refused(model: pm.Model, tmp_path: Path) -> None:
    data, out = data_sets({"one": 2}), tmp_path / "many.zarr"
    sample_many(data, model, out=out, random_seed=None)
    again = sample_many(data, model, out=out, random_seed=None)
    assert again.posterior.sizes["dataset"] == 1
    with pytest.raises(ValueError, match="got another draws: 30 then, 31 now"):
        sample_many(data, model, out=out, random_seed=None, draws=31)
    with pytest.raises(ValueError, match="got another random_seed"):
        sample_many(data, model, out=out)
    with pytest.raises(ValueError, match="of the same data, got other data for 'one'"):
        sample_many({"one": data_sets({"two": 2})["two"]}, model, out=out, random_seed=None)
    with pm.Model() as other:
        pm.Normal("b", observed=by.Data("price", [0.0]))
        pm.Normal("c")
    with pytest.raises(ValueError, match=r"got another model\."):
        sample_many({"one": {"price": [1.0]}}, other, out=out, random_seed=None)


def test_out_must_be_free(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets({"one": 2})
    (tmp_path / "empty").mkdir()
    assert sample_many(data, model, out=tmp_path / "empty").posterior.sizes["dataset"] == 1
    (tmp_path / "file").write_text("mine")
    zarr.create_group(tmp_path / "group")
    for name in ("file", "group"):
        with pytest.raises(FileExistsError, match="which is something else"):
            sample_many(data, model, out=tmp_path / name)
    with pytest.raises(FileNotFoundError, match="must be in a folder that exists"):
        sample_many(data, model, out=tmp_path / "none" / "many.zarr")

    def twice() -> Iterator[Any]:
        yield data["one"]
        with pytest.raises(FileExistsError, match="where another run writes"):
            sample_many(data, model, out=tmp_path / "many.zarr")

    sample_many(twice(), model, out=tmp_path / "many.zarr")


WRONG = {
    "a table alone": (SHOPS, {}, TypeError, "must come with `by=`"),
    "a mapping of columns": ({"price": [1.0]}, {}, TypeError, "got a list for 'price'"),
    "a number": (3, {}, TypeError, "got a int"),
    "keys of floats": ({1.5: {}}, {}, TypeError, "all strings or all whole numbers, got 1.5"),
    "mixed keys": ({"1": {}, 1: {}}, {}, TypeError, "got 1 after a str"),
    "several columns": (SHOPS, {"by": ["shop", "price"]}, TypeError, "of one column, got "),
    "by and a mapping": ({"a": SHOPS}, {"by": "shop"}, TypeError, "got a mapping of keys to data"),
    "pairs": (SHOPS.groupby("shop"), {}, TypeError, r"got a tuple as the first.\nHint: pass dict"),
    "pairs one by one": (
        ((key, rows) for key, rows in SHOPS.groupby("shop")),
        {},
        TypeError,
        r"got a tuple as the first.\nHint: pass dict",
    ),
    "a function": (
        {"a": lambda: SHOPS},
        {},
        TypeError,
        r"got a function for 'a'.\nHint: data sets are mappings",
    ),
    "a large key": ({2**63 + 1: {}, 5: {}}, {}, ValueError, "that int64 can hold"),
    "a large key in a table": (
        SHOPS.assign(shop=np.array([5, 5, 5, 5, 5, 2**63 + 1], np.uint64)),
        {"by": "shop"},
        ValueError,
        "that int64 can hold",
    ),
    "an index with a key twice": (
        pd.Series([{}, {}], index=["a", "a"]),
        {},
        ValueError,
        "'a' twice in the index",
    ),
    "none": ({}, {}, ValueError, "at least one data set, got none"),
    "an empty iterator": (iter(()), {}, ValueError, "got an iterable without any"),
    "another column": (SHOPS, {"by": "city"}, ValueError, "a column of the table, got 'city'"),
    "floats as keys": (SHOPS, {"by": "price"}, TypeError, "got float64 in 'price'"),
    "other columns": (SHOPS[["shop"]], {"by": "shop"}, ValueError, "got 'shop'"),
    "a missing key": (
        SHOPS.assign(shop=["a", None, "b", "a", "b", "b"]),
        {"by": "shop"},
        ValueError,
        "got 1 in 'shop'",
    ),
    "no draws": ({"one": {}}, {"draws": 0}, ValueError, "`draws` must be"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_refusals(model: pm.Model, case: str) -> None:
    data, settings, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        sample_many(data, model, **settings)


def test_seeds_differ_by_key_and_seed() -> None:
    seeds = {seed_of(key, entropy) for key in ("1", 1, "2") for entropy in (0, 1, 2**70)}
    assert len(seeds) == 9


@pytest.mark.parametrize("reserved", ["dataset", "chain", "draw"])
def test_names_of_axes_are_taken(reserved: str) -> None:
    with pm.Model() as of_variable:
        pm.Normal(reserved, observed=None)
    with pytest.raises(ValueError, match=f"no variable or dim .* got '{reserved}'"):
        sample_many([{}], of_variable)


def test_a_dim_of_data_sets_is_taken() -> None:
    # PyMC refuses the others.
    with pm.Model(coords={"dataset": ["a", "b"]}) as model:
        pm.Normal("mu", dims="dataset")
    with pytest.raises(ValueError, match=r"no variable or dim .* got 'dataset'"):
        sample_many([{}], model)


def labelled(model_labels: list[str]) -> pm.Model:
    """Return a model with a value for each labelled row."""
    with pm.Model() as model:
        index = pd.Index(model_labels, name="row")
        y = by.Data("y", pd.Series(1.0, index=index), export_index_as_coords=True)
        z = pm.Normal("z", dims="row")
        pm.Normal("observed", z, 1, observed=y, dims="row")
    return model


def series(*labels: str) -> dict[str, Any]:
    return {"y": pd.Series(np.arange(len(labels)), index=list(labels), dtype=float)}


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


def test_a_folder_is_of_the_labels_of_its_data(tmp_path: Path) -> None:
    model, out = labelled(["m", "n"]), tmp_path / "many.zarr"
    few: dict[str, Any] = {"out": out, "draws": 2, "tune": 2, "chains": 1}
    sample_many({"a": series("n", "m")}, model, **few)
    assert sample_many({"a": series("n", "m")}, model, **few).posterior.sizes["dataset"] == 1
    with pytest.raises(ValueError, match="results of the same data, got other data for 'a'"):
        sample_many({"a": series("p", "q")}, model, **few)


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


def test_an_error_of_an_iterable_says_where(model: pm.Model, tmp_path: Path) -> None:
    data = list(data_sets({"one": 3, "two": 4, "three": 2}).values())

    def broken() -> Iterator[Any]:
        yield from data[:2]
        raise OSError("no such file")

    out = tmp_path / "many.zarr"
    with pytest.raises(OSError, match="no such file") as raised:
        sample_many(broken(), model, out=out)
    assert "instead of item 2." in raised.value.__notes__[0]
    assert sample_many(data, model, out=out).posterior.sizes["dataset"] == 3


def test_doubtful_results_are_counted_once() -> None:
    with pm.Model() as model:
        y = by.Data("y", [0.0], dims="row")
        mu = pm.Normal("mu")
        pm.Normal("observed", mu, 1, observed=y, dims="row")
    match = r"Results of 2 of 2 data sets are doubtful: 2 with R-hat above 1.01\.\nHint"
    with pytest.warns(by.ConvergenceWarning, match=match) as found:
        sample_many({"a": {"y": [1.0]}, "b": {"y": [2.0]}}, model, draws=4, chains=4)
    assert len(found) == 1
