"""Weights of rows: a row with weight n counts as n copies of it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayou as by
from bayou.compression.compressed_model import compressed_model
from bayou.compression.weighted_model import weighted_model
from tests.compression.repeated_rows import MODELS, make_rows, model_of
from tests.compression.test_compressed_model import assert_same_density


def weighted(name: str, table: dict[str, Any], weights: Any) -> pm.Model:
    model = model_of(MODELS[name], table)
    with model:
        by.Data("weight", weights, dims="row")
    return weighted_model(model, "weight")


# The other models take the same way; test_compressed_model.py has the weights of all.
@pytest.mark.parametrize("name", ["normal", "hierarchy", "multinomial", "survival", "two_dims"])
def test_a_weight_counts_copies(name: str) -> None:
    table = make_rows(1, 30, 30)
    weights = np.random.default_rng(2).integers(0, 4, 30)
    repeated = {column: np.repeat(values, weights, axis=0) for column, values in table.items()}
    assert_same_density(weighted(name, table, weights), model_of(MODELS[name], repeated))


@pytest.mark.slow
@given(weights=st.lists(st.integers(0, 5), min_size=2, max_size=12).filter(any))
@settings(deadline=None, max_examples=4)
def test_any_weights(weights: list[int]) -> None:
    table = make_rows(4, len(weights), len(weights))
    repeated = {column: np.repeat(values, weights, axis=0) for column, values in table.items()}
    assert_same_density(
        weighted("hierarchy", table, np.array(weights)), model_of(MODELS["hierarchy"], repeated)
    )


def test_fractions_are_powers_of_the_likelihood() -> None:
    table = make_rows(1, 30, 30)
    halves = weighted("normal", table, np.full(30, 0.5)).compile_logp()
    full = model_of(MODELS["normal"], table)
    position = full.initial_point()
    prior = full.compile_logp(vars=full.free_RVs)(position)
    assert halves(position) - prior == pytest.approx(
        0.5 * (full.compile_logp()(position) - prior), rel=1e-12
    )


def test_rows_that_do_not_count_may_be_impossible() -> None:
    table = make_rows(1, 30, 30)
    table["count"][:3] = -1
    weights = np.repeat([0, 1], [3, 27])
    possible = {name: values[3:] for name, values in table.items()}
    assert_same_density(weighted("poisson", table, weights), model_of(MODELS["poisson"], possible))


def test_new_data_bring_new_weights() -> None:
    table = make_rows(1, 30, 30)
    model = model_of(MODELS["normal"], table)
    with model:
        by.Data("weight", np.ones(30), dims="row")
    before = weighted_model(model, "weight")
    half = {f"{name}_of_row": table[name][:15] for name in ("x", "real")}
    half |= {"weight": np.full(15, 2.0)}
    by.set_data(half, model)
    assert weighted_model(model, "weight") is before
    doubled = {name: np.repeat(table[name][:15], 2) for name in ("x", "real")}
    assert_same_density(before, model_of(MODELS["normal"], doubled))


def mean_of_four_hundred() -> pm.Model:
    """A model whose posterior is that of 400 observations of a mean of 2: sd 0.05."""
    with pm.Model() as model:
        y = by.Data("y", np.array([1.5, 2.5, 1.0, 3.0] * 25), dims="row")
        by.Data("weight", np.full(100, 4.0), dims="row")
        pm.Normal("observed", pm.Normal("mean", 0, 100), 1, observed=y, dims="row")
    return model


@pytest.mark.parametrize("options", [{}, {"compress": False}, {"batch_size": 40}])
def test_fits_take_weights(options: dict[str, Any], tmp_path: Path) -> None:
    model = mean_of_four_hundred()
    fit = by.fit(model=model, weights="weight", random_seed=1, progressbar=False, **options)
    assert float(fit.mean["mean"]) == pytest.approx(2, abs=0.005)
    assert float(fit.std["mean"]) == pytest.approx(0.05, rel=0.02)
    fit.save(tmp_path / "fit")
    again = by.load(tmp_path / "fit", model=model)
    assert again.elbo_estimate(random_seed=1) == pytest.approx(fit.elbo_estimate(random_seed=1))
    predicted = by.predict(
        fit, {"y": np.zeros(3), "weight": np.ones(3)}, random_seed=1, progressbar=False
    )
    assert predicted.predictions["observed"].shape[-1] == 3
    assert pickle.loads(pickle.dumps(fit)).mean["mean"] == fit.mean["mean"]


@pytest.mark.slow
def test_chains_take_weights() -> None:
    trace = by.sample(
        500, model=mean_of_four_hundred(), weights="weight", random_seed=1, progressbar=False
    )
    draws = trace.posterior["mean"].values
    assert draws.mean() == pytest.approx(2, abs=0.01)
    assert draws.std() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        (3, TypeError, "`weights` must be the name of a container, got 3."),
        ("wieght", ValueError, "`weights` must be the name of a container of the model, got "),
        ("z", ValueError, "`weights` must have one number for each row, got 'z' with 2 axes."),
        ("other", ValueError, "`batch_dim` must be the first dim of an observed variable"),
        ("negative", ValueError, "`weights` must be finite and at least 0, got -1.0 in row 3 of"),
        ("missing", ValueError, "`weights` must be finite and at least 0, got nan in row 3 of"),
    ],
)
def test_wrong_weights_are_refused_by_name(
    weights: Any, kind: type[Exception], message: str
) -> None:
    model = model_of(MODELS["normal"], make_rows(1, 10, 10))
    with model:
        by.Data("z", np.zeros((10, 2)), dims=("row", None))
        by.Data("other", np.zeros(4), dims="group")
        for name, wrong in (("negative", -1.0), ("missing", np.nan)):
            values = np.ones(10)
            values[3] = wrong
            # The container refuses NaN by itself.
            container = by.Data(name, np.ones(10), dims="row")
            container.set_value(values)
    with pytest.raises(kind, match=f"^{re.escape(message)}(.|\n)*\nHint: "):
        weighted_model(model, weights)


@pytest.mark.parametrize("name", ["hierarchy", "survival", "scaled"])
def test_weights_of_equal_rows_are_added_up(name: str) -> None:
    table = make_rows(1, 40, 8)
    weights = np.random.default_rng(2).gamma(1, size=40)
    model = model_of(MODELS[name], table)
    with model:
        by.Data("weight", weights, dims="row")
    compressed = compressed_model(model, model["weight"])
    assert compressed.num_distinct <= 8
    assert str(compressed).startswith("40 rows as ")
    assert str(compressed).endswith(" distinct, each with the sum of its weights")
    assert_same_density(weighted_model(model, "weight"), compressed.model)


def test_batches_have_the_weights_of_their_rows() -> None:
    table, weights = make_rows(1, 12, 12), np.arange(12.0)
    model = model_of(MODELS["normal"], table)
    with model:
        by.Data("weight", weights, dims="row")
    point = model.initial_point()
    terms = np.asarray(model.compile_logp(vars=model.observed_RVs, sum=False)(point)[0])
    batched = by.batched(model, batch_size=1, weights="weight")
    density = batched.compile_logp(vars=batched.observed_RVs)
    # A batch of one row stands for all twelve.
    found = {round(float(density(point)), 6) for _ in range(60)}
    assert found == {round(12 * value, 6) for value in weights * terms}
    with pytest.raises(ValueError, match=r"^`weights` must be the name of a container"):
        by.batched(model, batch_size=1, weights="wieght")
