"""Chains start where the user says, all of them alike or each for itself."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

from bayou.nuts.start_values import chain_starts


@pytest.fixture(scope="module")
def model() -> pm.Model:
    with pm.Model() as model:
        pm.Normal("mu", shape=3)
        pm.HalfNormal("sigma")
        pm.Normal("y", observed=[1.0])
    return model


def starts(model: pm.Model, initvals: Any, num_chains: int = 2) -> list[list[np.ndarray]]:
    found = chain_starts(model, initvals, num_chains)
    assert found is not None
    return [start(1) for start in found]


def test_values_are_moved_by_one_at_most_where_nothing_is_bounded(model: pm.Model) -> None:
    [(mu, log_sigma)] = starts(model, {"mu": [10, 20, 30], "sigma": 5})
    distances = np.abs(mu - [10, 20, 30])
    assert (distances < 1).all()
    assert (distances > 0).all()
    assert abs(log_sigma - np.log(5)) < 1


def test_variables_and_transformed_names(model: pm.Model) -> None:
    [(mu, log_sigma)] = starts(model, {model["mu"]: np.full(3, 9), "sigma_log__": np.log(7)})
    assert (np.abs(mu - 9) < 1).all()
    assert abs(log_sigma - np.log(7)) < 1


def test_each_chain_has_its_own(model: pm.Model) -> None:
    first, second = starts(model, [{"mu": np.full(3, 50)}, None])
    assert (first[0] > 48).all()
    assert (np.abs(second[0]) < 2).all()
    assert chain_starts(model, None, 2) is None


WRONG = [
    (3, TypeError, r"a dict of names to values, or a list of these, got an int\.\nHint: initvals="),
    ([3, 4], TypeError, "a dict of names to values, or a list of these, got a list"),
    ([{}], ValueError, r"one dict for each of 2 chains, got 1\.\nHint: pass one dict"),
]
WRONG_VALUES = [
    (
        {"nu": 1, "y": 2},
        ValueError,
        r"^`initvals` must name free .*, got 'nu', 'y'\.\nHint: ",
    ),
    ({"mu": 1.0}, ValueError, r"of 'mu' must have the shape \(3,\), got \(\)\.\nHint: nump"),
    ({"sigma": np.nan}, ValueError, r"of 'sigma' must be finite, got nan\.\nHint"),
    (
        {"sigma": "posterior"},
        ValueError,
        r"of 'sigma' must be a number, an array or one of \('s",
    ),
    ({"sigma": {}}, TypeError, r"of 'sigma' must be a number or an array, got a dict\.\nHint"),
]


@pytest.mark.parametrize(("initvals", "error", "message"), WRONG + WRONG_VALUES)
def test_wrong_initvals(
    model: pm.Model, initvals: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        chain_starts(model, initvals, 2)
