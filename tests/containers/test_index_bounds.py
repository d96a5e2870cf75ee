"""Whole numbers that index a variable are its levels, or an error says which are not."""

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.containers.index_bounds import check_indices

CODES = np.array([0, 2, 1, 0])


@pytest.fixture
def model() -> pm.Model:
    with pm.Model(coords={"group": range(3)}) as model:
        group = by.Data("group_code", CODES, dims="row")
        day = by.Data("day", [1, 2, 1, 2], dims="row")
        effect = pm.Normal("effect", dims="group")
        table = pm.Normal("table", shape=(4, 2))
        mean = effect[group] + table[1, day - 1]
        pm.Normal("y", mean, 1, observed=by.Data("y_value", np.zeros(4), dims="row"), dims="row")
    return model


def test_levels_are_fine(model: pm.Model) -> None:
    check_indices(model)
    by.set_data({"group_code": [2, 2], "day": [1, 1], "y_value": [0, 0]}, model)
    check_indices(model)


@pytest.mark.parametrize(
    ("name", "value", "levels", "indexed"),
    [
        ("group_code", 3, "0 to 2", "'effect', which has 3 levels"),
        ("group_code", -1, "0 to 2", "'effect', which has 3 levels"),
        ("day", 3, "0 to 1", "'table', which has 2 levels"),
        ("day", 0, "0 to 1", "'table', which has 2 levels"),
    ],
)
def test_what_is_no_level_is_named(
    model: pm.Model, name: str, value: int, levels: str, indexed: str
) -> None:
    rows = model[name].get_value()
    rows[2] = value
    message = (
        f"'{name}' must hold indices of {indexed} along that axis, {levels}, got {value} in row 2"
    )
    with pytest.raises(IndexError, match=message):
        by.set_data({name: rows}, model)
    np.testing.assert_array_equal(model["group_code"].get_value(), CODES)
    model[name].set_value(rows)
    with pytest.raises(IndexError, match=message):
        check_indices(model)
    with pytest.raises(IndexError, match=message):
        by.fit(model=model, progressbar=False)
    with pytest.raises(IndexError, match=message):
        by.sample(model=model, progressbar=False)


def test_new_rows_are_checked(model: pm.Model) -> None:
    fit = by.fit(3, model=model, random_seed=1, progressbar=False, correction=None)
    rows = {"group_code": [0, 7], "day": [1, 1]}
    with pytest.raises(
        ValueError,
        match=r"`data` must fit the model: 'group_code' must hold indices of 'effect'.*, got 7",
    ):
        by.predict(fit, rows, model=model, progressbar=False)


def test_rows_of_batches_and_other_indices() -> None:
    with pm.Model() as model:
        group = by.Minibatch(CODES + 1, 2, name="group")
        effect = pm.Normal("effect", shape=3)
        pm.Normal("y", effect[group], 1, observed=by.Minibatch(np.zeros(4), 2), total_size=4)
        pm.Deterministic("last", effect[-1] + effect[np.array([-1, 0])].sum())
        pm.Deterministic("mask", effect[np.array([True, False, True])].sum())
    with pytest.raises(IndexError, match="got 3 in row 1"):
        check_indices(model)
