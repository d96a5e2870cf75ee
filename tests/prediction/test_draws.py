"""Draws of parameters: from fits and trees, in the order of the model's labels, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayou as by
from tests.prediction.small_models import (
    GROUP,
    X,
    predictions,
)


def of_levels(labels: Any = ("A", "B", "C"), features: Any = ("f", "g", "h")) -> pm.Model:
    with pm.Model(coords={"group": labels, "feature": features}) as model:
        group = by.Data("group_of", GROUP, dims="row")
        e = pm.Normal("e", dims=("group", "feature"))
        pm.Deterministic("mu", e[group, 0], dims="row")
        pm.Normal("y", model["mu"], observed=by.Data("y_data", X[:, 0], dims="row"), dims="row")
    return model


def levels(labels: Any = ("A", "B", "C")) -> xr.Dataset:
    coords = {"group": list(labels), "feature": ["f", "g", "h"]}
    values = np.arange(9.0).reshape(1, 1, 3, 3).repeat(2, axis=1)
    return xr.Dataset({"e": (("chain", "draw", "group", "feature"), values)}, coords)


def mean_of(tree: Any, model: pm.Model, **kwargs: Any) -> Any:
    found = predictions(model, tree, {"group_of": [0, 1, 2]}, var_names="mu", **kwargs)
    return found.predictions["mu"].values[0, 0]


@pytest.mark.parametrize(
    ("there", "labels", "expected"),
    [
        (("A", "B", "C"), ("C", "A", "B"), [6, 0, 3]),
        ((1, 2, 0), (0, 1, 2), [6, 0, 3]),
        ((1, 2, 0), None, [6, 0, 3]),
        ((0, 1, 2), None, [0, 3, 6]),
        ((0.5, np.nan, 1.5), (np.nan, 1.5, 0.5), [3, 6, 0]),
        (
            pd.date_range("2020", periods=3),
            pd.date_range("2020", periods=3)[::-1].to_pydatetime(),
            [6, 3, 0],
        ),
    ],
)
def test_draws_go_to_labels(there: Any, labels: Any, expected: list[float]) -> None:
    model = of_levels() if labels is None else of_levels(tuple(labels))
    if labels is None:
        model.coords["group"] = None
    np.testing.assert_array_equal(mean_of(levels(there), model), expected)


def test_axes_of_draws_are_matched_by_name() -> None:
    tree = levels().transpose("feature", "draw", "group", "chain")
    np.testing.assert_array_equal(mean_of(tree, of_levels()), [0, 3, 6])
    both = of_levels(("B", "A", "C"), ("g", "f", "h"))
    np.testing.assert_array_equal(mean_of(tree, both), [4, 1, 7])


def test_draws_without_labels_go_by_their_place() -> None:
    np.testing.assert_array_equal(mean_of(levels().drop_vars("group"), of_levels()), [0, 3, 6])
    renamed = levels(range(3)).rename(group="e_dim_0")
    np.testing.assert_array_equal(mean_of(renamed, of_levels()), [0, 3, 6])


@pytest.mark.parametrize(
    ("there", "labels", "got"),
    [
        (
            ("A", "B", "C"),
            ("A", "X", "Y"),
            "'X', 'Y' in the model alone, 'B', 'C' in the draws alone",
        ),
        (("A", "B", "C"), ("A", "B"), "none in the model alone, 'C' in the draws alone"),
        (
            (0, 1, 2),
            ("A", "B", "C"),
            "'A', 'B', 'C' in the model alone, 0, 1, 2 in the draws",
        ),
        (("A", "A", "B"), ("A", "B", "B"), "repeated labels: 'A', 'B', 'B' in the model"),
        (range(4, 7), tuple("ABCDE"), r"'A', 'B', 'C', and 2 more in the model"),
    ],
)
def test_draws_of_other_labels_are_refused(there: Any, labels: Any, got: str) -> None:
    message = rf"The dim 'group' of `model` must have the labels .* of 'e' .*{got}.*\nHint: pass"
    with pytest.raises(ValueError, match=message):
        mean_of(levels(there), of_levels(labels))


def test_labels_of_what_is_not_asked_for_are_not_compared() -> None:
    model, tree = of_levels(), levels()
    with model:
        pm.Normal("other", dims="feature")
    tree["other"] = (("chain", "draw", "there"), np.zeros((1, 2, 2)))
    tree = tree.assign_coords(there=["p", "q"])
    np.testing.assert_array_equal(mean_of(tree, model), [0, 3, 6])


def test_draws_without_a_chain_are_refused() -> None:
    tree = levels().assign(e=levels()["e"].isel(chain=0), z=(("chain",), [1.0]))
    with pytest.raises(ValueError, match=r"of 'e' must have the dims chain and draw, got \['draw'"):
        mean_of(tree, of_levels())


def test_draws_of_a_fit_go_to_labels() -> None:
    model = of_levels()
    fit = by.fit(30, "advi", model=model, random_seed=1, progressbar=False, correction=None)
    own = mean_of(fit, model)
    np.testing.assert_array_equal(mean_of(fit, of_levels(("C", "A", "B"))), own[[2, 0, 1]])
    with pytest.raises(ValueError, match=r"The dim 'group' of `model` must .*'X' in the model"):
        mean_of(fit, of_levels(("A", "B", "X")))
    model.coords["group"] = ("B", "A", "C")
    with pytest.raises(ValueError, match=r"The dim 'group' must .* 'e' was fitted with.*\nHint"):
        mean_of(fit, model)


def test_one_of_many_data_sets_is_picked() -> None:
    with pm.Model() as model:
        x = by.Data("x", np.arange(3.0), dims="row")
        y = by.Data("y", np.zeros(3), dims="row")
        pm.Normal("obs", pm.Normal("b", shape=2)[0] * x, 0.1, observed=y, dims="row")
    values = np.array([[1.0, 0.0], [-1.0, 0.0]])[:, None, None] + np.zeros((2, 2, 20, 2))
    variables = {"b": (("dataset", "chain", "draw", "b_dim_0"), values)}
    # As by.sample_many returns it.
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(variables, {"dataset": ["up", "down"]})})
    with pytest.raises(
        ValueError,
        match=r"of one data set, got the dim 'dataset' of 'up', 'down'\.\nHint: select one: "
        r"by\.predict\(tree\.posterior\.sel\(dataset='up'\)",
    ):
        predictions(model, tree, {"x": [1.0]})
    found = predictions(model, tree.posterior.sel(dataset="down"), {"x": [2.0, 0.0]})
    assert found.predictions["obs"].mean(("chain", "draw")).round().values.tolist() == [-2, 0]
    other = tree.posterior.to_dataset().sel(dataset="down")
    xr.testing.assert_identical(predictions(model, other, {"x": [2.0, 0.0]}), found)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([1.0, 2.0], r"labels of the dim 'group', got none.*\nHint: .*assign_coords\(group="),
        ([1.0, np.nan], r"Draws of 'b' must be numbers, got NaN\.\nHint: .*dropna\('group'"),
    ],
)
def test_data_sets_of_other_levels_need_their_labels(values: list[float], match: str) -> None:
    with pm.Model(coords={"group": ["m", "n"]}) as model:
        group = by.Data("group_of", [0, 1], dims="row")
        y = by.Data("y", np.zeros(2), dims="row")
        pm.Normal("obs", pm.Normal("b", dims="group")[group], 0.1, observed=y, dims="row")
    draws = np.broadcast_to(values, (1, 20, 2))
    one = xr.Dataset({"b": (("chain", "draw", "group"), draws)}, {"dataset": "a"})
    with pytest.raises(ValueError, match=match):
        predictions(model, one, {"group_of": [0, 1]})
    if np.isfinite(values).all():
        labelled = one.assign_coords(group=["n", "m"])
        found = predictions(model, labelled, {"group_of": [0, 1]}).predictions["obs"]
        assert found.mean(("chain", "draw")).round().values.tolist() == [2, 1]
