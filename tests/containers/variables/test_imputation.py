"""Missing values that PyMC imputes; the tests on logp fail where PyMC asks for something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pymc as pm
import pytensor
import pytest
from pymc.exceptions import ImputationWarning

from bayou.containers.data import Data
from bayou.containers.reading.columns import columns_of
from bayou.containers.set_data import set_data
from bayou.containers.variables.imputation import ImputedVariable

VALUES = [1.0, np.nan, 3.0, 0.0]
MASKED = np.ma.MaskedArray([1, 7, 3, 0], [False, True, False, False])
pytestmark = pytest.mark.filterwarnings("ignore::pymc.exceptions.ImputationWarning")
DISTRIBUTIONS: dict[str, Callable[..., Any]] = {
    "normal": lambda observed, mu: pm.Normal("y", mu, observed=observed, dims="row"),
    "poisson": lambda observed, mu: pm.Poisson("y", mu**2 + 1, observed=observed, dims="row"),
}


def model_of(column: Any, distribution: str = "normal") -> pm.Model:
    with pm.Model(coords={"row": range(4)}) as model:
        observed = Data("late", {"v": column}, columns="v", dims="row", missing="impute")
        DISTRIBUTIONS[distribution](observed, pm.Normal("mu"))
    return model


def logp(model: pm.Model) -> Any:
    return model.compile_logp(sum=False)(model.initial_point())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("column", [VALUES, [1, None, 3, 0], MASKED])
def test_missing_values_are_imputed_as_pymc_does(column: Any, distribution: str) -> None:
    ours = model_of(column, distribution)
    with pm.Model(coords={"row": range(4)}) as theirs:
        DISTRIBUTIONS[distribution](MASKED, pm.Normal("mu"))
    assert [v.name for v in ours.basic_RVs] == [v.name for v in theirs.basic_RVs]
    for one, other in zip(logp(ours), logp(theirs), strict=True):
        np.testing.assert_allclose(one, other)
    gradient = [model.compile_dlogp()(model.initial_point()) for model in (ours, theirs)]
    np.testing.assert_allclose(*gradient)


def test_pymc_says_that_it_imputes() -> None:
    with pytest.warns(ImputationWarning, match="contains missing values"):
        model_of(VALUES)


def test_the_container_holds_nan() -> None:
    late = model_of([1, None, 3, 0])["late"]
    assert isinstance(late, ImputedVariable)
    assert late.dtype == pytensor.config.floatX
    np.testing.assert_array_equal(late.get_value(), VALUES)
    assert columns_of(late).missing == "impute"


def test_new_values_that_miss_the_same_are_observed() -> None:
    model = model_of(VALUES)
    before = logp(model)
    set_data({"v": [2.0, np.nan, 2.0, 2.0]}, model=model)
    expected = -0.5 * np.log(2 * np.pi) - 0.5 * 2.0**2
    np.testing.assert_allclose(logp(model)[-1], [expected] * 3)
    assert not np.allclose(before[-1], expected)


@pytest.mark.parametrize("values", [[1.0, 2.0, np.nan, 0.0], [1.0, 2.0, 3.0, 0.0], VALUES * 2])
def test_new_values_that_miss_others_are_refused(values: list[float]) -> None:
    with pm.Model() as model:
        late = Data("late", {"v": VALUES}, columns="v", dims="row", missing="impute")
    with pytest.raises(ValueError, match="must miss the same 1 of 4") as caught:
        set_data({"v": values}, model=model)
    np.testing.assert_array_equal(late.get_value(), VALUES)
    assert model.coords == {"row": None}
    assert "\nHint: build the model anew for them" in str(caught.value)


@pytest.mark.parametrize(
    "copied", [pm.Model.copy, lambda m: cloudpickle.loads(cloudpickle.dumps(m))]
)
def test_copies_impute_alone(copied: Callable[[pm.Model], pm.Model]) -> None:
    model = model_of(VALUES)
    other = copied(model)
    set_data({"v": [2.0, np.nan, 2.0, 2.0]}, model=other)
    np.testing.assert_array_equal(model["late"].get_value(), VALUES)
    assert np.ptp(logp(other)[-1]) == 0
    with pytest.raises(ValueError, match="must miss the same"):
        set_data({"v": [2.0, 2.0, 2.0, 2.0]}, model=other)


def test_without_missing_values_nothing_is_imputed() -> None:
    with pm.Model() as model:
        late = Data("late", {"v": [1, 2]}, columns="v", dims="row", missing="impute")
        pm.Poisson("y", 2.0, observed=late, dims="row")
        assert late.dtype == "int64"
        assert not isinstance(late, ImputedVariable)
        message = re.escape("must hold no missing values, which the model does not impute")
        with pytest.raises(ValueError, match=message):
            set_data({"v": [1, None]})
    assert [variable.name for variable in model.observed_RVs] == ["y"]


def test_what_is_left_out_is_not_imputed() -> None:
    frame = {"a": [None, 1.0], "b": [None, 2]}
    with pm.Model():
        Data("a", frame, columns="a", dims="row", missing="drop")
        late = Data("b", frame, columns="b", dims="row", missing="impute")
    assert not isinstance(late, ImputedVariable)
    assert late.get_value().tolist() == [2]


def test_codes_are_not_imputed() -> None:
    for word in ["u", None, "v"], ["u", "v", "v"]:
        with pm.Model() as model:
            message = (
                r"'refuse' or 'drop' with `categories`, got 'impute'.*\nHint: fill .*missing='drop'"
            )
            with pytest.raises(ValueError, match=message):
                Data("w", {"w": word}, columns="w", categories="ws", missing="impute")
        assert not model.named_vars
        assert not model.coords


def test_a_matrix_is_imputed() -> None:
    frame = {"a": [1.0, np.nan], "b": [np.nan, 4.0]}
    with pm.Model() as model:
        both = Data("both", frame, columns=["a", "b"], dims=("row", "col"), missing="impute")
        pm.Normal("y", observed=both, dims=("row", "col"))
    assert model["y_unobserved"].eval().shape == (2,)
    np.testing.assert_allclose(logp(model)[-1], -0.5 * np.log(2 * np.pi) - [0.5, 8.0])
