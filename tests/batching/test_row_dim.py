"""The rows of a model: found by a dim, or guessed by lengths."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.batching.row_dim import (
    find_rows,
    guess_rows,
    holds_minibatches,
    no_rows_error,
)

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6.0)


def of_rows() -> pm.Model:
    with pm.Model() as model:
        x = by.Data("x", X.T, dims=("feature", "row"))
        offset = pm.Normal("offset", dims="row")
        mean = pm.Normal("slopes", dims="feature") @ x + offset
        pm.Data("other", np.ones(3), dims="item")
        pm.Normal("y", mean, 1, observed=Y, dims="row")
    return model


def test_containers_observed_and_latent_variables_of_rows() -> None:
    model = of_rows()
    rows = find_rows(model)
    assert (rows.dim, rows.num_rows) == ("row", 6)
    assert (rows.observed, rows.latent) == (("y",), ("offset",))
    # The array of what is observed is put into a container, along its first axis.
    axes = {storage.name: axis for storage, axis in rows.storages.values()}
    assert axes == {"x": 1, "y": 0}
    assert rows.has_fixed_number


def test_without_latent_variables_any_number_of_rows_will_do() -> None:
    with pm.Model() as model:
        y = by.Data("outcome", Y, dims="row")
        pm.Normal("y", pm.Normal("mu"), 1, observed=y)
    rows = find_rows(model)
    assert not rows.has_fixed_number
    by.set_data({"outcome": Y[:4]}, model=model)
    assert rows.num_rows == 4


def test_a_dim_among_several_is_named() -> None:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("a", Y, dims="row"))
        pm.Potential("pull", -((mu - by.Data("b", Y[:3], dims="item")) ** 2), dims="item")
    with pytest.raises(ValueError, match=r"one of \['item', 'row'\], got none\.\nHint: batches"):
        find_rows(model)
    with pytest.raises(ValueError, match=r"one of \['item', 'row'\], got 'day'\."):
        find_rows(model, "day")
    assert find_rows(model, "item").num_rows == 3
    assert find_rows(model, "item").observed == ()


def test_rows_need_a_dim() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("a", Y))
    message = r"dim of the rows, got none on the first axis of the observed \['y'\]\.\nHint: name"
    with pytest.raises(ValueError, match=message):
        find_rows(model)


def test_containers_of_one_dim_have_one_number_of_rows() -> None:
    with pm.Model() as model:
        a = pm.Data("a", Y, dims="row")
        pm.Normal("y", pm.Normal("mu") + a, 1, observed=by.Data("b", Y, dims="row"))
        a.set_value(Y[:2])
    with pytest.raises(ValueError, match=r"'row' must .* got {'a': 2, 'b': 6}\.\nHint: change"):
        find_rows(model)


def test_minibatches_in_the_model_are_refused() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Minibatch(Y, 2), total_size=6)
    assert holds_minibatches(model)
    assert not holds_minibatches(of_rows())
    with pytest.raises(ValueError, match=r"left out where the model holds minibatches.*\nHint"):
        find_rows(model)


@pytest.mark.filterwarnings("ignore:Data in y contains missing values")
def test_imputed_values_are_refused() -> None:
    with pm.Model(coords={"row": range(6)}) as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=np.ma.masked_less(Y, 3), dims="row")
    with pytest.raises(ValueError, match=r"missing values are imputed, got 'y'\.\nHint: leave"):
        find_rows(model)


def test_containers_as_long_as_what_is_observed_are_guessed() -> None:
    with pm.Model() as model:
        x, other = by.Data("x", Y), by.Data("other", np.ones(3))
        mean = pm.Normal("slope") * x + other.sum()
        pm.Normal("y", mean, 1, observed=by.Data("outcome", Y))
    rows = guess_rows(model)
    assert rows is not None
    assert (rows.dim, rows.num_rows, rows.observed) == ("", 6, ("y",))
    assert {storage.name for storage, _ in rows.storages.values()} == {"x", "outcome"}


def test_nothing_is_guessed_of_arrays_and_of_several_lengths() -> None:
    with pm.Model() as arrays:
        pm.Normal("y", pm.Normal("slope") * Y, 1, observed=Y)
    with pm.Model() as lengths:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1, observed=by.Data("a", Y))
        pm.Normal("z", mu, 1, observed=by.Data("b", Y[:3]))
    assert guess_rows(arrays) is None
    assert guess_rows(lengths) is None


def test_the_error_for_no_rows_names_the_dim() -> None:
    assert str(no_rows_error("row")).startswith(
        "The data must have at least one row, got none along"
    )
    assert "along 'row'.\nHint: check the filter" in str(no_rows_error("row"))
    assert "along their first axis." in str(no_rows_error(None))


@pytest.mark.parametrize("dims", ["row", None])
def test_potentials_without_dims_have_the_rows_of_their_containers(dims: str | None) -> None:
    with pm.Model() as model:
        times = by.Data("times", Y + 1, dims=dims)
        rate = pm.HalfNormal("rate")
        pm.Potential("survival", pt.log(rate) - rate * times)
    rows = find_rows(model, guess=True)
    assert (rows.dim, rows.num_rows) == (dims or "", 6)
    batched = by.batched(model, batch_size=6)
    start = model.initial_point()
    np.testing.assert_allclose(batched.compile_logp()(start), model.compile_logp()(start))


def test_nothing_to_batch_is_said_as_it_is() -> None:
    with pm.Model() as prior:
        pm.Normal("x")
    with pytest.raises(ValueError, match=r"nothing is observed, and there is no potential\.\nHint"):
        by.batched(prior, batch_size=2)
    with pm.Model() as known:
        pm.Normal("y", 0, 1, observed=Y)
    with pytest.raises(ValueError, match=r"a free variable, got none\.\nHint: give a prior"):
        by.fit(model=known, batch_size=2, progressbar=False)


def test_rows_on_another_axis_are_to_be_named() -> None:
    with pm.Model() as model:
        y = by.Data("y", np.ones((2, 6)), dims=("kind", "row"))
        pm.Normal("o", pm.Normal("m", dims="kind")[:, None], 1, observed=y, dims=("kind", "row"))
    words = r"have a value for each row, got \['m'\] alone\.\nHint: .*, batch_dim='row'\."
    with pytest.raises(ValueError, match=words):
        by.batched(model, batch_size=1)
    assert by.batched(model, batch_size=3, batch_dim="row").observed_RVs


def test_minibatches_of_pymc_are_minibatches() -> None:
    with pm.Model() as model:
        batch = pm.Minibatch(Y, batch_size=2)
        pm.Normal("o", pm.Normal("mean"), 1, observed=batch, total_size=6)
    with pytest.raises(ValueError, match=r"holds minibatches .* itself\.\nHint: write .* by\.Data"):
        by.fit(model=model, batch_size=2, progressbar=False)
