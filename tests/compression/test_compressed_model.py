"""Distinct rows with their counts have the density of all rows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytensor.compile.sharedvalue import SharedVariable

import bayou as by
from bayou.compression.compressed_model import (
    CompressionError,
    compressed_if_repeated,
    compressed_model,
)
from bayou.compression.density_check import differing_term
from bayou.compression.weighted_model import weighted_model
from bayou.models.interpret import compile_interpreter
from tests.compression.repeated_rows import (
    MODELS,
    ODD_MODELS,
    make_rows,
    model_of,
    normal,
    two_dims,
)

NUM_ROWS, NUM_DISTINCT = 300, 20


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few rows be enough to be compressed by default."""
    monkeypatch.setattr("bayou.compression.compressed_model.LEAST_ROWS", 2)


def positions(model: pm.Model, num: int = 3) -> list[dict[str, Any]]:
    """Starts of a model, moved at random."""
    generator = np.random.default_rng(5)
    start = model.initial_point().items()
    return [
        {name: value + 0.3 * generator.normal(size=np.shape(value)) for name, value in start}
        for _ in range(num)
    ]


def assert_same_density(one: pm.Model, other: pm.Model) -> None:
    # No compiler, which takes seconds for each model.
    functions = [
        compile_interpreter(model.value_vars, [model.logp(), model.dlogp()])
        for model in (one, other)
    ]
    names = [value.name for value in one.value_vars]
    for position in positions(one):
        (value, slopes), (other_value, other_slopes) = (
            function(*(np.asarray(position[name]) for name in names)) for function in functions
        )
        assert np.isfinite(value)
        np.testing.assert_allclose(value, other_value, rtol=1e-10)
        np.testing.assert_allclose(
            slopes, other_slopes, rtol=1e-10, atol=1e-10 * np.abs(slopes).max()
        )


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("name", MODELS)
def test_density_is_that_of_all_rows(name: str) -> None:
    model = model_of(MODELS[name], make_rows(1, NUM_ROWS, NUM_DISTINCT))
    compressed = compressed_if_repeated(model)
    assert compressed is not None
    assert compressed.num_rows == NUM_ROWS
    assert compressed.num_distinct <= NUM_DISTINCT
    assert str(compressed) == f"300 rows as {compressed.num_distinct} distinct, each counted"
    assert_same_density(model, compressed.model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD_MODELS)
def test_density_of_odd_models_is_that_of_all_rows(name: str) -> None:
    model = model_of(ODD_MODELS[name], make_rows(3, 80, 12))
    compressed = compressed_model(model)
    assert compressed.num_distinct <= 12
    assert_same_density(model, compressed.model)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32),
    num_rows=st.integers(2, 60),
    num_distinct=st.integers(1, 12),
    name=st.sampled_from(["normal", "hierarchy", "two_dims", "several_likelihoods"]),
)
@settings(deadline=None, max_examples=10)
def test_any_repetition_in_any_order(
    seed: int, num_rows: int, num_distinct: int, name: str
) -> None:
    model = model_of(MODELS[name], make_rows(seed, num_rows, num_distinct))
    assert_same_density(model, compressed_model(model).model)


def test_later_data_take_the_place_of_the_rows() -> None:
    table, later = make_rows(1, NUM_ROWS, NUM_DISTINCT), make_rows(2, 70, 9)
    model = model_of(MODELS["hierarchy"], table)
    before = compressed_model(model)
    by.set_data({f"{name}_of_row": later[name] for name in ("x", "group", "real")}, model)
    compressed = compressed_model(model)
    assert compressed.model is before.model
    assert (compressed.num_rows, compressed.num_distinct) == (70, 9)
    assert_same_density(model, compressed.model)


def test_models_without_dims_are_compressed() -> None:
    table = make_rows(2, NUM_ROWS, NUM_DISTINCT)
    with pm.Model() as model:
        x, y = by.Data("x", table["x"]), by.Data("y", table["real"])
        pm.Normal("observed", pm.Normal("slope") * x, 1, observed=y)
    compressed = compressed_model(model)
    assert compressed.num_distinct <= NUM_DISTINCT
    assert_same_density(model, compressed.model)


def test_arrays_are_rows_too() -> None:
    table = make_rows(2, NUM_ROWS, NUM_DISTINCT)
    with pm.Model() as model:
        effects = pm.Normal("effects", shape=4)
        mean = effects[table["group"]] + pm.Normal("slope") * table["x"]
        pm.Normal("observed", mean, 1, observed=table["real"])
    compressed = compressed_model(model)
    assert compressed.num_distinct <= NUM_DISTINCT
    assert_same_density(model, compressed.model)


def test_containers_that_the_density_does_not_take_tell_no_rows_apart() -> None:
    table = make_rows(2, NUM_ROWS, NUM_DISTINCT)
    with pm.Model() as model:
        x, y = by.Data("x", table["x"], dims="row"), by.Data("y", table["real"], dims="row")
        number = by.Data("number", np.arange(NUM_ROWS), dims="row")
        slope = pm.Normal("slope")
        pm.Deterministic("shift", slope * number, dims="row")
        pm.Normal("observed", slope * x, 1, observed=y, dims="row")
    assert compressed_model(model).num_distinct <= NUM_DISTINCT


def test_rows_that_do_not_repeat_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    table = make_rows(1, 100_000, 50) | {"x": generator.normal(size=100_000)}
    model = model_of(normal, table)

    def refuse(*arguments: Any) -> None:
        raise AssertionError("the rows must not be grouped")

    monkeypatch.setattr("bayou.compression.row_groups.group_rows", refuse)
    assert compressed_if_repeated(model) is None


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize(("num_distinct", "is_compressed"), [(5_000, True), (16_000, False)])
def test_half_of_the_rows_decide(num_distinct: int, is_compressed: bool) -> None:
    model = model_of(normal, _pairs(num_distinct, 20_000))
    assert (compressed_if_repeated(model) is not None) == is_compressed


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("build", [normal, two_dims])
def test_distinct_rows_stay_within_their_memory(build: Any) -> None:
    """They are given up, with the ratio so far, and "auto" goes on with all rows."""
    table = _pairs(900, 2_000) if build is normal else outcome_rows(1, 2_000, 1_000)
    model = model_of(build, table)
    assert compressed_model(model, memory=10**6).num_distinct <= 1_000
    message = r"but [\d,]+ of the first 2,000 rows differ, and may take 1.86e-06 GiB of memory"
    with pytest.raises(CompressionError, match=message):
        compressed_model(model, memory=2_000)
    assert compressed_if_repeated(model, memory=2_000) is None


def _pairs(num_distinct: int, num_rows: int) -> dict[str, Any]:
    rows = np.random.default_rng(1).integers(0, num_distinct, num_rows)
    return {"x": (rows % 300).astype(float), "real": (rows // 300).astype(float)}


def outcome_rows(seed: int, num_rows: int, num_distinct: int) -> dict[str, Any]:
    """Rows of few covariates, with outcomes that are all different."""
    generator = np.random.default_rng(seed)
    table = make_rows(seed, num_rows, num_distinct)
    return table | {
        "real": 100 + generator.normal(size=num_rows),
        "pair": generator.normal(size=(num_rows, 2)),
    }


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("name", ["normal", "several_columns", "hierarchy", "two_dims", "scaled"])
def test_continuous_outcomes_of_few_covariates_are_grouped(name: str) -> None:
    model = model_of(MODELS[name], outcome_rows(1, NUM_ROWS, NUM_DISTINCT))
    compressed = compressed_if_repeated(model)
    assert compressed is not None
    assert compressed.num_distinct <= NUM_DISTINCT
    groups = f"{compressed.num_distinct} groups, each with its count, mean and squares"
    assert str(compressed) == f"300 rows as {groups}"
    assert_same_density(model, compressed.model)


def test_scales_that_differ_between_rows_are_grouped() -> None:
    table = outcome_rows(1, NUM_ROWS, NUM_DISTINCT)
    with pm.Model() as model:
        x = by.Data("x", table["x"], dims="row")
        y = by.Data("y", table["real"], dims="row")
        noise = pm.math.exp(pm.Normal("noise") * x)
        pm.Normal("observed", pm.Normal("slope") * x, noise, observed=y, dims="row")
    compressed = compressed_model(model)
    assert compressed.outcomes == ("observed",)
    assert_same_density(model, compressed.model)


@pytest.mark.usefixtures("few_rows")
def test_all_of_a_sample_are_one_group() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=NUM_ROWS)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean"), pm.HalfNormal("sigma"), observed=by.Data("data", values))
    compressed = compressed_if_repeated(model)
    assert compressed is not None
    assert compressed.num_distinct == 1
    assert_same_density(model, compressed.model)


def test_whole_numbers_have_means_that_are_none() -> None:
    """PyMC casts whole numbers to whole numbers before it takes them as reals."""
    with pm.Model() as model:
        group = by.Data("group", np.arange(NUM_ROWS) % 7, dims="row")
        y = by.Data("y", np.arange(NUM_ROWS), dims="row")
        effects = pm.Normal("effects", shape=7)
        pm.Normal("observed", effects[group], pm.HalfNormal("sigma"), observed=y, dims="row")
    compressed = compressed_model(model)
    assert (compressed.outcomes, compressed.num_distinct) == (("observed",), 7)
    assert_same_density(model, compressed.model)


def test_means_have_the_precision_of_their_values() -> None:
    with pytensor.config.change_flags(floatX="float32"), pm.Model() as model:
        y = by.Data("y", np.random.default_rng(1).normal(size=NUM_ROWS), dims="row")
        pm.Normal("observed", pm.Normal("mean"), 1, observed=y, dims="row")
        compressed = compressed_model(model)
        assert [str(container.dtype) for container in compressed.model.data_vars] == ["float32"]
        assert all(isinstance(each, SharedVariable) for each in compressed.model.data_vars)
        assert differing_term(model, compressed.model) is None


def test_moments_of_a_function_of_outcomes_are_not_those_of_outcomes() -> None:
    with pm.Model() as model:
        y = by.Data("y", np.random.default_rng(1).gamma(2, size=NUM_ROWS), dims="row")
        pm.Normal("observed", pm.Normal("mean"), 1, observed=pm.math.log(y), dims="row")
    compressed = compressed_model(model)
    assert compressed.outcomes == ()
    assert_same_density(model, compressed.model)


def test_containers_of_priors_are_no_rows_however_long() -> None:
    table = make_rows(2, 50, 8)
    with pm.Model() as model:
        levels = pm.Normal("levels", by.Data("centre", np.linspace(0, 1, 50)), 1, shape=50)
        group, y = by.Data("group", table["group"]), by.Data("y", table["real"])
        pm.Normal("observed", levels[group], 1, observed=y)
    compressed = compressed_model(model)
    assert compressed.num_distinct <= 8
    assert_same_density(model, compressed.model)


def _two_dims_of_rows(table: dict[str, Any], later: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        rate = pm.Normal("rate")
        x, y = by.Data("x", table["x"], dims="row"), by.Data("y", table["real"], dims="row")
        count = by.Data("count", later["count"], dims="visit")
        by.Data("weight", np.arange(len(later["count"])) % 3 / 2, dims="visit")
        pm.Normal("observed", rate * x, 1, observed=y, dims="row")
        pm.Poisson("visits", pm.math.exp(rate), observed=count, dims="visit")
    return model


def test_each_dim_of_rows_is_compressed_by_itself() -> None:
    model = _two_dims_of_rows(make_rows(1, 90, 9), make_rows(2, 40, 40))
    compressed = compressed_model(model)
    num_counts = len(set(model["count"].get_value()))
    assert str(compressed) == (
        f"row: 90 rows as 9 distinct, each counted; visit: 40 rows as {num_counts} distinct, each "
        "counted"
    )
    assert (compressed.num_rows, compressed.num_distinct) == (130, 9 + num_counts)
    assert_same_density(model, compressed.model)
    weighted = compressed_model(model, model["weight"])
    assert "each with the sum of its weights" in str(weighted)
    assert_same_density(weighted_model(model, "weight"), weighted.model)


def test_of_two_dims_one_is_compressed_and_the_other_said() -> None:
    table = make_rows(1, 90, 9)
    with pm.Model(coords={"group": range(4)}) as model:
        effects = pm.Normal("effects", dims="group")
        group, y = by.Data("i", table["group"], dims="row"), by.Data("y", table["real"], dims="row")
        size = by.Data("size", np.array([0.1, 0.2, 0.3, 0.4]), dims="group")
        pm.Normal("observed", effects[group], 1, observed=y, dims="row")
        pm.Normal("sizes", effects, 1, observed=size, dims="group")
    compressed = compressed_model(model)
    assert str(compressed) == (
        f"row: 90 rows as {compressed.num_distinct} distinct, each counted; group: all rows, since "
        "'effects' has a value for each row"
    )
    assert_same_density(model, compressed.model)


def test_rows_that_two_dims_share_are_refused() -> None:
    table = make_rows(1, 90, 9)
    with pm.Model() as model:
        x, y = by.Data("x", table["x"], dims="row"), by.Data("y", table["real"], dims="row")
        z = by.Data("z", np.arange(5.0), dims="other")
        slope = pm.Normal("slope")
        pm.Normal("observed", slope * x, 1, observed=y, dims="row")
        pm.Normal("others", slope * x.mean() + z * 0, 1, observed=z, dims="other")
    left = compressed_model(model).left
    assert list(left) == ["row"]
    assert "the density of 'others' depends on which rows" in left["row"]


@pytest.mark.usefixtures("few_rows")
def test_another_density_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(normal, make_rows(1, NUM_ROWS, NUM_DISTINCT))
    assert differing_term(model, model_of(normal, make_rows(1, NUM_ROWS - 1, NUM_DISTINCT))) == "y"
    monkeypatch.setattr("bayou.compression.distinct_model.differing_term", lambda *_: "y")
    with pytest.raises(
        ValueError, match=r"^`compress` must leave the log density as it is, but .*"
    ):
        compressed_model(model)
    with pytest.warns(UserWarning, match=r"^All rows are taken: `compress` must .* of 'y' differs"):
        assert compressed_if_repeated(model) is None


def test_outcomes_that_something_else_takes_are_not_grouped() -> None:
    table = outcome_rows(1, NUM_ROWS, NUM_DISTINCT)
    with pm.Model() as model:
        y = by.Data("y", table["real"], dims="row")
        slope = pm.Normal("slope")
        pm.Normal("observed", slope, 1, observed=y, dims="row")
        pm.Normal("again", slope * y, 1, observed=by.Data("z", table["x"], dims="row"), dims="row")
    compressed = compressed_model(model)
    assert compressed.outcomes == ("again",)
    assert compressed.num_distinct == NUM_ROWS
    assert_same_density(model, compressed.model)


def _autoregression(table: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", table["real"], dims="row")
        start = pm.Normal.dist(0, 1, shape=1)
        pm.AR("observed", pm.Normal("rho", shape=1), init_dist=start, observed=y, dims="row")
    return model


def _latent(table: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", table["count"], dims="row")
        pm.Poisson("observed", pm.math.exp(pm.Normal("noise", dims="row")), observed=y, dims="row")
    return model


def _minibatches(table: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        y = by.Minibatch(table["real"], batch_size=10)
        pm.Normal("observed", pm.Normal("mean"), 1, observed=y, total_size=NUM_ROWS)
    return model


def _prior_of_rows(table: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", table["real"], dims="row")
        pm.Normal("observed", 0, pm.HalfNormal("sigma", y.std()), observed=y, dims="row")
    return model


def _imputed(table: dict[str, Any]) -> pm.Model:
    values = np.ma.masked_less(table["real"], np.median(table["real"]))
    with pm.Model() as model, pytest.warns(UserWarning, match="automatically imputed"):
        pm.Normal("observed", pm.Normal("mean"), 1, observed=values)
    return model


def _nothing_observed(table: dict[str, Any]) -> pm.Model:
    with pm.Model() as model:
        pm.Normal("mean")
    return model


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (_autoregression, "has one distribution over all rows"),
        (_prior_of_rows, "'sigma', which has no rows, depends on their values."),
        (_latent, "'noise' has a value for each row."),
        (_minibatches, "the model holds minibatches or generators."),
        (_nothing_observed, "nothing is observed"),
        (_imputed, "missing values of 'observed' are imputed, each by itself."),
    ],
)
def test_other_models_are_refused_with_the_reason(build: Any, reason: str) -> None:
    model = build(make_rows(1, NUM_ROWS, NUM_DISTINCT))
    pattern = rf"^`compress=True` must have rows .*{re.escape(reason)}(.|\n)*\nHint: leave it at"
    with pytest.raises(CompressionError, match=pattern):
        compressed_model(model)
    assert compressed_if_repeated(model) is None


def test_few_rows_are_left_by_default() -> None:
    model = model_of(normal, make_rows(1, NUM_ROWS, NUM_DISTINCT))
    assert compressed_if_repeated(model) is None
    assert compressed_model(model).num_distinct <= NUM_DISTINCT
