"""by.sample_many: each data set has the posterior that it has alone, whatever else is sampled."""

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
from tests.shops import SETTINGS, SHOPS, data_sets, sample_many

# Draws are few, to be quick.
pytestmark = pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")


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


def test_a_series_of_data_sets_has_its_index_for_keys(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 4})
    tree = sample_many(pd.Series(list(data.values()), index=list(data)), model)
    xr.testing.assert_identical(
        tree["posterior"].to_dataset(), sample_many(data, model)["posterior"].to_dataset()
    )


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

    with pytest.warns(UserWarning, match="The keyboard stopped the call after"):
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
