"""The plan of a prediction: shapes, labels and attributes, what is shared, and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.prediction.draws import parameter_draws
from bayou.prediction.graph.predictor import compiled_predictor
from bayou.prediction.graph.row_dependence import two_samples
from bayou.prediction.plan import PredictionPlan, check_memory, plan_predictions
from bayou.prediction.row_matching import new_rows
from tests.prediction.small_models import X, posterior


def plan(likelihood: Any, names: list[str], num_rows: int = 7, seed: int = 1) -> PredictionPlan:
    with pm.Model(coords={"feature": ["f", "g"]}) as model:
        x = by.Data("x", X, dims=("row", "feature"))
        y = by.Data("y_data", X[:, 0], dims="row")
        b = pm.Normal("b", dims="feature")
        pm.Deterministic("odds", pm.math.exp(b), dims="feature")
        likelihood(pm.Deterministic("mu", x @ b), y)
    draws = parameter_draws(posterior().isel(draw=slice(9)), None, seed, model, ["row"])
    rows = new_rows(model, names, {"x": X[:num_rows]}, ["b", "e"])
    samples = two_samples(rows.first(15))
    predictor, fixed = compiled_predictor(
        model, names, rows.containers, rows.row_dims, draws.first, rows.other_values, samples
    )
    return plan_predictions(draws, names, rows, predictor, fixed, samples[0], seed)


def normal(mu: Any, y: Any) -> None:
    pm.Normal("y", mu, observed=y, dims="row")


def centered(mu: Any, y: Any) -> None:
    pm.Normal("y", mu - mu.mean(), observed=y, dims="row")


def test_predictions_of_rows_in_pieces() -> None:
    found = plan(normal, ["y", "mu", "odds"])
    y, mu, odds = found.template.variables
    assert (y.shape, y.dims, y.row_axis) == ((7,), ("row",), 0)
    assert (mu.dims, mu.row_axis) == (("mu_dim_0",), 0)
    assert (odds.shape, odds.dims, odds.row_axis) == ((2,), ("feature",), None)
    assert list(found.template.coords["feature"]) == ["f", "g"]
    assert list(found.template.coords["row"]) == list(range(7))
    assert found.joint is None
    [shared] = found.shared
    assert shared.shape == (9, 2)
    assert len(found.predictor.shapes) == 2
    assert found.template.attrs["compiler"] == "jax"
    assert found.template.attrs["drawn_from_prior"] == []


def test_predictions_of_rows_that_depend_on_each_other() -> None:
    found = plan(centered, ["odds", "y"])
    assert found.joint is not None
    [y] = found.joint
    assert y.shape == (9, 7)
    [odds] = found.shared
    assert odds.shape == (9, 2)
    assert "change with other rows" in found.template.attrs["rows_depend"]


def test_the_identity_tells_runs_apart() -> None:
    same, other_seed, other_rows = (
        plan(normal, ["y"], num_rows, seed).identity for num_rows, seed in ((7, 1), (7, 2), (6, 1))
    )
    assert same == same | {"var_names": ["y"], "rows": 7, "random_seed": 1}
    assert other_seed["random_seed"] == 2
    assert other_rows["rows"] == 6
    assert len(same["posterior"]) == len(same["model"]) == 32
    assert plan(centered, ["y"]).identity["model"] != same["model"]


def test_predictions_that_do_not_fit_in_memory() -> None:
    check_memory(1000)
    with pytest.raises(ValueError, match=r"must fit in half of the free .*\nHint: write them"):
        check_memory(10**15)
    with pytest.raises(ValueError, match=r"\nHint: ask for fewer draws, or rows; .* since they do"):
        check_memory(10**15, "they do")


def test_rows_that_do_not_fit_the_model_are_found_before_all_draws() -> None:
    with pytest.raises(ValueError, match="`data` must fit the model"):
        plan(lambda mu, y: pm.Normal("y", (mu + np.zeros(40)).cumsum(), observed=y), ["y"])
