"""sample_many(sampler="blackjax"): a lane is a function of its own data set, key and seed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytest
import xarray as xr
import zarr
from jax import monitoring

import bayou as by
from bayou.many.vectorised import blackjax_nuts

# Draws are few, to be quick. test_blackjax_kernel.py has what is compiled in the quick suite.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::bayou.ConvergenceWarning")]

# Few, since values of each row are computed by a function for each length.
LENGTHS = (1, 18, 5, 18, 5)
SETTINGS: dict[str, Any] = {"draws": 300, "tune": 200, "chains": 2, "random_seed": 3}


@pytest.fixture(autouse=True)
def _few_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run four data sets at once: tests have few."""
    monkeypatch.setattr(blackjax_nuts, "MOST_CHAINS", 8)


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a normal mean of each of two groups of rows, with a value for each row."""
    with pm.Model(coords={"group": ["a", "b"]}) as model:
        group = by.Data("group_of", [0, 1], dims="row")
        y = by.Data("y", [0.0, 0.0], dims="row")
        mean = pm.Normal("mean", 0, 3, dims="group")
        pm.Deterministic("larger", mean[0] > mean[1])
        pm.Deterministic("residual", y - mean[group], dims="row")
        pm.Normal("observed", mean[group], 1, observed=y, dims="row")
    return model


def data_sets(lengths: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Data sets of so many rows, each a function of its key."""
    found = {}
    for key, length in lengths.items():
        rng = np.random.default_rng(list(key.encode()))
        group = np.arange(length) % 2
        found[key] = {"group_of": group, "y": rng.normal(2.0 * group, size=length)}
    return found


def sample_many(data: Any, model: pm.Model, **settings: Any) -> xr.DataTree:
    return by.sample_many(data, model=model, **{**SETTINGS, "sampler": "blackjax", **settings})


def of_one(tree: xr.DataTree, group: str, key: str) -> xr.Dataset:
    """Return what a group of results says of one data set, without what was filled up."""
    found = tree[group].to_dataset().sel(dataset=key, drop=True)
    return found.dropna("row") if "row" in found.dims else found


def assert_same(one: xr.DataTree, other: xr.DataTree, key: str) -> None:
    for group in ("posterior", "sample_stats"):
        xr.testing.assert_identical(of_one(one, group, key), of_one(other, group, key))


def test_a_data_set_has_the_same_draws_alone_and_among_others(model: pm.Model) -> None:
    # 17 rows and more are padded to another length than up to 16.
    data = data_sets({f"{number:02}": LENGTHS[number % 5] for number in range(22)})
    tree = sample_many(data, model)
    assert list(tree.posterior["dataset"].values) == list(data)
    backwards = sample_many(dict(reversed(data.items())), model)
    for key in data:
        assert_same(backwards, tree, key)
    for key in ("00", "05", "21"):
        assert_same(sample_many({key: data[key]}, model), tree, key)
        assert tree["diagnostics"]["num_row"].sel(dataset=key) == len(data[key]["y"])


def test_draws_are_of_the_posterior(model: pm.Model) -> None:
    data = data_sets({"short": 5, "long": 20})
    tree = sample_many(data, model)
    for key, values in data.items():
        for number, name in enumerate(["a", "b"]):
            rows = values["y"][values["group_of"] == number]
            precision = len(rows) + 1 / 9
            found = tree.posterior["mean"].sel(dataset=key, group=name)
            error = precision**-0.5 / float(tree["diagnostics"]["ess_bulk"].sel(dataset=key)) ** 0.5
            assert abs(float(found.mean()) - rows.sum() / precision) < 4 * error
            assert float(found.std()) == pytest.approx(precision**-0.5, rel=0.15)


def test_results_look_like_those_of_nutpie(model: pm.Model) -> None:
    data = data_sets({"one": 5, "two": 3})
    ours, theirs = sample_many(data, model), sample_many(data, model, sampler="nutpie")
    for group in ("posterior", "sample_stats", "diagnostics"):
        found, expected = ours[group].to_dataset(), theirs[group].to_dataset()
        assert list(found) == list(expected)
        assert found.sizes == expected.sizes
        assert {name: found[name].dtype for name in found} == {
            name: expected[name].dtype for name in expected
        }
        assert found.attrs["inference_library"] == "blackjax"
        assert expected.attrs["inference_library"] == "nutpie"
    draws = of_one(ours, "posterior", "two")
    np.testing.assert_array_equal(
        draws["residual"].values,
        data["two"]["y"] - draws["mean"].values[..., data["two"]["group_of"]],
    )
    assert ours["posterior"]["larger"].dtype == bool
    steps, depth = (ours["sample_stats"][name].values for name in ("n_steps", "tree_depth"))
    assert (steps < 2.0**depth).all()
    assert (steps >= 2.0 ** (depth - 1.0)).all()


def test_nothing_is_compiled_twice(model: pm.Model) -> None:
    sample_many(data_sets({"one": 5, "two": 18}), model)
    compiled: list[str] = []

    def listen(event: str, duration: float, **unused: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    monitoring.register_event_duration_secs_listener(listen)
    try:
        # Deterministics of rows are computed from the rows alone, not the padded ones.
        sample_many(data_sets({"three": 5, "four": 18}), model)
        assert compiled == []
        jax.jit(lambda value: value + 3.25)(1.0)
        assert compiled != []
    finally:
        monitoring.unregister_event_duration_listener(listen)


def test_failed_data_sets_cost_the_others_nothing(model: pm.Model) -> None:
    data = data_sets({"one": 3, "two": 4, "three": 9})
    bad: dict[str, Any] = {
        "unknown": {"cost": [1.0]},
        "uneven": {"group_of": [0, 1], "y": [1.0]},
        "infinite": {"group_of": [0], "y": [np.inf]},
        "far": {"group_of": [2], "y": [0.0]},
    }
    mixed = {"one": data["one"], **bad, "two": data["two"], "three": data["three"]}
    with pytest.warns(UserWarning, match="4 of 7 data sets failed: 'unknown', 'uneven', 'infin"):
        tree = sample_many(mixed, model)
    errors = tree["diagnostics"]["error"].to_series()
    assert list(errors.index) == list(mixed)
    assert "ValueError: `new_data` must name data containers" in errors["unknown"]
    assert "ShapeError: Data containers that share the dim 'row'" in errors["uneven"]
    assert "-inf from 'observed'" in errors["infinite"]
    assert "IndexError: 'group_of' must hold indices of 'mean'" in errors["far"]
    assert list(tree.posterior["dataset"].values) == list(data)
    expected = sample_many(data, model)
    for key in data:
        assert_same(tree, expected, key)


def test_a_data_set_without_rows_fails(model: pm.Model) -> None:
    empty = {"group_of": np.empty(0, int), "y": np.empty(0)}
    with pytest.warns(UserWarning, match="1 of 2 data sets failed: 'none'"):
        tree = sample_many({"none": empty, "one": data_sets({"one": 1})["one"]}, model)
    assert "must have at least one row" in tree["diagnostics"]["error"].sel(dataset="none").item()


def test_out_is_what_memory_would_hold_and_goes_on(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets({f"{number:02}": LENGTHS[number % 5] for number in range(15)})
    out = tmp_path / "many.zarr"

    def interrupted() -> Iterator[Any]:
        yield from [*data.values()][:13]
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="The keyboard stopped the call after"):
        sample_many(interrupted(), model, out=out)
    # The third batch of four was full, so that the first was read.
    found = sample_many(data.values(), model, out=out, sampler="auto")
    assert found.posterior.attrs["inference_library"] == "blackjax"
    expected = sample_many(data.values(), model)
    assert sorted(found.posterior["dataset"].values) == list(range(15))
    for key in range(15):
        assert_same(found, expected, key)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got another sampler: 'blackjax' then, 'nutpie' now"):
        sample_many(data.values(), model, out=out, sampler="nutpie")


def test_refusals(model: pm.Model) -> None:
    data = data_sets({"one": 3})
    with pytest.raises(ValueError, match=r"one of \('auto', 'nutpie', 'blackjax'\), got 'stan'"):
        sample_many(data, model, sampler="stan")
    text = r"got 'blackjax', but it computes in 32 bits\.\nHint: set pytensor.config.floatX"
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        sample_many(data, model)
    with pm.Model() as joint:
        y = by.Data("y", np.arange(3.0), dims="row")
        mean = pm.Normal("mean", y.mean())
        pm.Normal("observed", mean, observed=y, dims="row")
    with pytest.raises(TypeError, match="not known to be a product over the rows"):
        sample_many(data, joint)


def test_a_data_set_keeps_the_shapes_of_parameters() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.ones(2), dims="feature")
        y = by.Data("y", np.zeros(3), dims="row")
        slope = pm.Normal("slope", dims="feature")
        pm.Normal("observed", (x * slope).sum(), 1, observed=y, dims="row")
    data = {"x": np.ones(4)}
    with pytest.raises(ValueError, match=r"with sampler='blackjax', \(\(2,\),\), got \(\(4,\),\)"):
        sample_many([data], model)


def test_data_sets_before_an_error_are_kept(model: pm.Model, tmp_path: Path) -> None:
    data = data_sets({"one": 5})["one"]

    def broken() -> Iterator[dict[str, Any]]:
        yield data
        raise OSError("the disk is gone")

    out = tmp_path / "many.zarr"
    with pytest.raises(OSError, match="the disk is gone"):
        sample_many(broken(), model, out=out)
    assert zarr.open_group(out, mode="r").attrs["bayou"]["counts"]["posterior"] == 1
    assert sample_many([data], model, out=out).posterior.sizes["dataset"] == 1
