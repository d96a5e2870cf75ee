"""The variables that a result has are chosen by their names."""

from typing import Any

import pymc as pm
import pytest

from bayou.nuts.chosen_variables import chosen_variables


@pytest.fixture
def model() -> pm.Model:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.HalfNormal("sigma")
        pm.Deterministic("twice", 2 * mu)
        pm.Normal("y", mu, observed=[1.0])
    return model


def test_names_in_the_order_of_the_model(model: pm.Model) -> None:
    assert chosen_variables(model, None) == ("mu", "sigma", "twice")
    assert chosen_variables(model, ["twice", "mu"]) == ("mu", "twice")


WRONG = [
    (
        ["y", "z"],
        ValueError,
        r"names of free .*, got 'y', 'z'\.\nHint: `model` has",
    ),
    (
        [],
        ValueError,
        r"names of free .*, got none\.\nHint: `model` has 'mu', 'sigma', 'twice'",
    ),
    ("mu", TypeError, r"a list of names, got 'mu'\.\nHint: write var_names=\['mu'\]"),
    ([1], TypeError, r"a list of names, got \[1\]"),
]


@pytest.mark.parametrize(("names", "error", "message"), WRONG)
def test_wrong_names(model: pm.Model, names: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^`var_names` must be {message}"):
        chosen_variables(model, names)
