"""All rows again, of distinct ones that have counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import bayou as by

COUNTS = np.array([2, 0, 3])


def test_rows_of_a_source_come_back() -> None:
    rows = {
        "x": np.random.default_rng(1).integers(0, 4, 50),
        "z": np.random.default_rng(2).integers(0, 2, (50, 2)),
    }
    cells = by.compress(rows, progressbar=False)
    expanded = by.expand(cells)
    assert list(expanded.fields) == ["x", "z"]
    table = expanded.take(np.arange(50), ["x", "z"])
    found = np.column_stack([table["x"], table["z"]])
    expected = np.column_stack([rows["x"], rows["z"]])
    np.testing.assert_array_equal(found, expected[np.lexsort(expected.T[::-1])])


def results(attrs: dict[str, Any]) -> xr.DataTree:
    values = np.arange(12.0).reshape(2, 2, 3)
    dims = ("chain", "draw", "cell")
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"mean": (("chain", "draw"), np.zeros((2, 2)))}),
            "log_likelihood": xr.Dataset({"y": (dims, values)}, {"cell": ["a", "b", "c"]}, attrs),
            "constant_data": xr.Dataset({"n": ("cell", COUNTS)}, {"cell": ["a", "b", "c"]}),
        }
    )


@pytest.mark.parametrize(("attrs", "divisor"), [({"weights": "n"}, [2, 2, 3, 3, 3]), ({}, 1)])
def test_each_observation_has_its_log_likelihood(attrs: dict[str, Any], divisor: Any) -> None:
    tree = by.expand(results(attrs), "n")
    assert isinstance(tree, xr.DataTree)
    found = tree["log_likelihood"]["y"]
    expected = np.arange(12.0).reshape(2, 2, 3)[..., [0, 0, 2, 2, 2]] / divisor
    np.testing.assert_allclose(found.values, expected)
    assert found.dims == ("chain", "draw", "cell")
    assert found["cell"].values.tolist() == ["a", "a", "c", "c", "c"]
    assert "weights" not in tree["log_likelihood"].attrs
    assert dict(tree["posterior"].sizes) == {"chain": 2, "draw": 2}


def test_datasets_are_expanded_by_numbers() -> None:
    group = results({})["log_likelihood"].to_dataset()
    assert by.expand(group, COUNTS).sizes["cell"] == 5
    assert by.expand(group.assign(n=("cell", COUNTS)), "n").sizes["cell"] == 5


@pytest.mark.parametrize(
    ("distinct", "counts", "kind", "message"),
    [
        ({"x": [1, 2]}, "count", ValueError, "`counts` must be one of 'x', got 'count'."),
        ({"x": [1, 2]}, [1, 2, 3], ValueError, "`counts` must have one number for each row, got 3"),
        (
            {"x": [1, 2]},
            [1.0, 0.5],
            ValueError,
            "`counts` must be whole numbers of at least 0, got",
        ),
        (
            {"x": [1, 2]},
            [1, -1],
            ValueError,
            "`counts` must be whole numbers of at least 0, got -1",
        ),
        ({"x": [1, 2]}, [1.0, np.nan], ValueError, "`counts` must be whole numbers of at least 0"),
        ({"x": [1, 2]}, ["a", "b"], TypeError, "`counts` must be whole numbers, one for each row"),
        (results({}), "m", ValueError, "`counts` must be one of 'n', got 'm'."),
        (
            results({}),
            [1, 2],
            ValueError,
            "`counts` must have as many entries as one dim, got 2, as",
        ),
    ],
)
def test_what_is_no_count_is_refused(
    distinct: Any, counts: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as raised:
        by.expand(distinct, counts)
    assert str(raised.value).startswith(message)
    assert "\nHint: " in str(raised.value)


def test_dims_are_of_trees_and_exist() -> None:
    with pytest.raises(ValueError, match=r"^`dim` must come with a tree or a dataset, got 'row'"):
        by.expand({"x": [1, 2]}, [1, 2], dim="row")
    with pytest.raises(ValueError, match=r"^`dim` must be one of .*, got 'row'"):
        by.expand(results({}), COUNTS, dim="row")


@pytest.mark.slow
def test_leave_one_out_is_that_of_all_rows() -> None:
    """The same expected log density as of the repeated rows, by chains of the same posterior."""
    import arviz as az
    import pymc as pm

    values, counts = np.array([-1.0, 0.2, 0.9, 3.0]), np.array([3, 5, 4, 1])

    def model_of(observed: Any) -> pm.Model:
        with pm.Model() as model:
            y = by.Data("y", observed, dims="cell")
            by.Data("n", counts if len(observed) == 4 else np.ones(len(observed)), dims="cell")
            pm.Normal("observed", pm.Normal("mean", 0, 10), 1, observed=y, dims="cell")
        return model

    options: dict[str, Any] = {"log_likelihood": True, "random_seed": 1, "progressbar": False}
    distinct = by.sample(model=model_of(values), weights="n", **options)
    repeated = by.sample(model=model_of(np.repeat(values, counts)), **options)
    one, other = az.loo(by.expand(distinct, "n")), az.loo(repeated)
    assert one.n_data_points == 13
    assert one.elpd == pytest.approx(other.elpd, abs=0.15)
