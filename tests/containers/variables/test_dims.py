from __future__ import annotations

import copy

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.sharedvalue import SharedVariable

from bayou.containers.variables.dims import (
    dims_of,
    evaluate_length,
    length_of,
    read_labels,
    write_data,
)


def model_with_data() -> pm.Model:
    with pm.Model(coords={"fixed": ["a", "b"]}) as model:
        pm.Data("x", np.ones((2, 3)), dims=("fixed", "free"))
        pm.Data("y", 1.0)
    return model


def test_pymc_hands_out_the_dictionaries_that_it_keeps() -> None:
    model = model_with_data()
    assert model.coords is model._coords
    assert model.dim_lengths is model._dim_lengths
    with model, pm.Model("sub") as sub:
        pm.Data("z", [1.0], dims="other")
    assert sub.coords is model.coords
    assert sub.dim_lengths is model.dim_lengths
    assert "sub::z" in model.named_vars_to_dims


def test_pymc_keeps_the_length_of_its_coords_in_a_shared_variable() -> None:
    model = model_with_data()
    assert isinstance(model.dim_lengths["fixed"], SharedVariable)
    assert not isinstance(model.dim_lengths["free"], SharedVariable)
    assert isinstance(model.coords["fixed"], tuple)
    assert model.coords["free"] is None


def test_pymc_ties_the_dims_of_a_copy_to_the_original() -> None:
    model = model_with_data()
    twin = copy.copy(model)
    model["x"].set_value(np.ones((2, 5)))
    assert twin.dim_lengths["free"].eval() == 5
    assert evaluate_length(length_of(twin, "free"), {}) == 3


def test_dims_of_names_every_axis() -> None:
    model = model_with_data()
    assert dims_of(model, model["x"]) == ("fixed", "free")
    assert dims_of(model, model["y"]) == ()
    with model:
        z = pm.Data("z", np.ones((2, 2)))
    assert dims_of(model, z) == (None, None)


def test_lengths_are_evaluated_as_if_values_were_set() -> None:
    x = pytensor.shared(np.ones((2, 3)))
    assert evaluate_length(x.shape[1], {x: np.ones((2, 7))}) == 7
    assert evaluate_length(x.shape[1], {}) == 3
    assert evaluate_length(pt.constant(4), {x: np.ones((2, 7))}) == 4
    n = pytensor.shared(2)
    assert evaluate_length(n, {n: np.array(5)}) == 5


def test_labels_are_read_one_by_one() -> None:
    assert read_labels(range(3), "`coords`") == (0, 1, 2)
    assert read_labels([1, "a"], "`coords`") == (1, "a")
    with pytest.raises(
        ValueError, match=r"`coords` must have one level, got labels such as \(1, 2\)"
    ):
        read_labels([(1, 2), (3, 4)], "`coords`")
    with pytest.raises(ValueError, match="`coords` must have one level"):
        read_labels(np.ones((2, 2)), "`coords`")


def test_write_restores_what_was_there() -> None:
    model = model_with_data()
    x, y = model["x"], model["y"]
    before = x.get_value(borrow=True)
    with pytest.raises(TypeError):
        write_data(model, {x: np.zeros((4, 4)), y: np.ones(3)}, {"free": ("p",)}, {})
    assert x.get_value(borrow=True) is before
    assert model.coords["free"] is None
