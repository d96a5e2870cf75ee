"""Padding: the density of a data set is the same with rows that weigh nothing."""

from typing import Any

import jax
import numpy as np
import pymc as pm
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayou as by
from bayou.many.vectorised.padding import NoRowProgram, RowProgram, padded_length, row_program
from bayou.models.inputs import storage_of


@given(st.integers(0, 10**9))
def test_padded_lengths_are_few_and_near(num_rows: int) -> None:
    length = padded_length(num_rows)
    assert num_rows <= length <= max(16, 1.5 * num_rows)
    assert bin(length).count("1") <= 2
    assert padded_length(length) == length


@pytest.fixture(scope="module")
def rows() -> RowProgram:
    """Return a gamma regression, whose density is not finite at rows of zeros."""
    with pm.Model() as model:
        x = by.Data("x", [[0.5, 1.0], [1.0, 1.0]], dims=("row", "feature"))
        y = by.Data("y", [1.0, 2.0], dims="row")
        slope = pm.Normal("slope", dims="feature")
        shape = pm.HalfNormal("shape")
        pm.Gamma("observed", shape, pm.math.exp(x @ slope), observed=y, dims="row")
    found = row_program(model)
    assert isinstance(found, RowProgram)
    return found


def held(rows: RowProgram, values: dict[str, Any]) -> dict[Any, Any]:
    """Return values by what holds them."""
    storages = map(storage_of, rows.program.fed)
    return {storage.container: values[storage.name] for storage in storages}


@pytest.mark.parametrize("num_rows", [1, 15, 16, 40])
def test_padding_leaves_the_density_as_it_is(rows: RowProgram, num_rows: int) -> None:
    rng = np.random.default_rng(num_rows)
    values = {"x": rng.normal(size=(num_rows, 2)), "y": rng.gamma(2, size=num_rows)}
    lane = rows.lane(held(rows, values))
    assert lane.num_rows == num_rows
    assert [array.shape[0] for array in lane.padded[:2]] == [padded_length(num_rows)] * 2
    density = jax.jit(jax.value_and_grad(rows.program.density))
    for position in rng.normal(size=(5, rows.size)):
        expected, slope = density(position, lane.inputs)
        found, found_slope = density(position, lane.padded, lane.weights)
        # Sums of other lengths add in another order.
        np.testing.assert_allclose(found, expected, rtol=5e-15)
        np.testing.assert_allclose(found_slope, slope, rtol=1e-12)


def test_rows_that_weigh_nothing_contribute_nothing(rows: RowProgram) -> None:
    values = {"x": np.ones((3, 2)), "y": np.array([1.0, 2.0, 3.0])}
    lane = rows.lane(held(rows, values))
    density = jax.jit(jax.value_and_grad(rows.program.density))
    position = np.array([0.1, -0.2, 0.3])
    others = [np.array(array) for array in lane.padded]
    for array in others[:2]:
        array[3:] = 7.0
    expected, slope = density(position, lane.padded, lane.weights)
    found, found_slope = density(position, tuple(others), lane.weights)
    assert found == expected
    np.testing.assert_array_equal(found_slope, slope)


def test_the_rows_of_an_empty_data_set_are_the_models(rows: RowProgram) -> None:
    lane = rows.lane(held(rows, {"x": np.empty((0, 2)), "y": np.empty(0)}))
    assert lane.num_rows == 0
    position = np.array([0.1, -0.2, 0.3])
    terms = rows.program.terms(position, lane.padded)
    prior = sum(float(terms[name].sum()) for name in ("slope", "shape"))
    density = jax.jit(rows.program.density)(position, lane.padded, lane.weights)
    assert float(density) == pytest.approx(prior, rel=1e-15)


def test_containers_of_rows_must_agree(rows: RowProgram) -> None:
    with pytest.raises(ValueError, match=r"must have one number of rows, got \[2, 3\]"):
        rows.lane(held(rows, {"x": np.ones((3, 2)), "y": np.ones(2)}))


def of_centred(held: Any) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", held, dims="row")
        mean = pm.Normal("mean")
        pm.Normal("observed", mean + y.mean(), 1, observed=y, dims="row")
    return model


def test_why_a_model_has_no_lanes() -> None:
    found = row_program(of_centred(np.arange(5.0)))
    assert isinstance(found, NoRowProgram)
    assert "a product over the rows" in found.reason


def test_a_likelihood_that_its_first_data_hide_is_refused() -> None:
    # The mean of zeros is that of any of them.
    found = row_program(of_centred(np.zeros(5)))
    assert isinstance(found, RowProgram)
    lane = found.lane(held(found, {"y": np.arange(5.0)}))
    with pytest.raises(ValueError, match=r"a product over rows .*, but 'observed' depends on"):
        found.check(np.zeros(1), lane)


def test_a_whole_number_that_the_program_holds_may_not_change() -> None:
    with pm.Model() as model:
        n = by.Data("n", 10)
        y = by.Data("y", np.zeros(3, int), dims="row")
        pm.Binomial("observed", n, pm.Beta("p", 1, 1), observed=y, dims="row")
    found = row_program(model)
    assert isinstance(found, RowProgram)
    values = {y.container: np.array([3, 4, 5]), n.container: np.array(10)}
    assert found.lane(values).num_rows == 3
    text = "`datasets` must leave 'n' as it is with sampler='blackjax', 10, got 100"
    with pytest.raises(ValueError, match=text):
        found.lane(values | {n.container: np.array(100)})
