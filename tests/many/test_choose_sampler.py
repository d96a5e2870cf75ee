"""The sampler that "auto" means: blackjax where it is faster as a rule, nutpie elsewhere."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.many import choose_sampler as choosing
from bayou.many.choose_sampler import BlackjaxLimits, check_sampler, choose_sampler
from bayou.many.vectorised import blackjax_nuts

LIMITS = BlackjaxLimits(data_sets_per_parameter=1, parameters=2, rows=5)
FIRST = {"x": np.ones(5), "y": np.zeros(5)}


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Return a regression with two parameters."""
    with pm.Model() as model:
        x = by.Data("x", [0.0, 1.0], dims="row")
        y = by.Data("y", [0.0, 1.0], dims="row")
        pm.Normal("observed", pm.Normal("a") + pm.Normal("b") * x, 1, observed=y, dims="row")
    return model


def chosen(model: pm.Model, number: int | None = 2, first: Any = FIRST, **limits: int) -> str:
    return choose_sampler("auto", model, number, first, BlackjaxLimits(**vars(LIMITS) | limits))


def test_blackjax_needs_enough_data_sets(model: pm.Model) -> None:
    assert chosen(model) == "blackjax"
    assert chosen(model, number=1) == "nutpie"  # One for each of two parameters.
    assert chosen(model, number=None) == "nutpie"
    assert chosen(model, data_sets_per_parameter=3) == "nutpie"


def test_blackjax_takes_few_parameters_and_rows(model: pm.Model) -> None:
    assert chosen(model, parameters=1) == "nutpie"
    assert chosen(model, rows=4) == "nutpie"


def test_the_first_data_set_may_be_wrong(model: pm.Model, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="bayou"):
        assert chosen(model, first={"x": [1.0]}) == "nutpie"
    assert "the first data set has an error: Data containers that share" in caplog.text


def test_containers_without_rows_and_joint_likelihoods_are_for_nutpie() -> None:
    with pm.Model() as with_scalar:
        y = by.Data("y", [0.0, 1.0], dims="row")
        pm.Normal("observed", pm.Normal("a"), by.Data("scale", 1.0), observed=y, dims="row")
    assert chosen(with_scalar, first={"y": [1.0]}) == "nutpie"
    with pm.Model() as joint:
        y = by.Data("y", [0.0, 1.0], dims="row")
        pm.Normal("observed", pm.Normal("a") + y.mean(), 1, observed=y, dims="row")
    assert chosen(joint, first={"y": [1.0]}) == "nutpie"
    with pm.Model() as with_matrix:
        x = by.Data("x", np.ones((2, 1)), dims=("row", "term"))
        y = by.Data("y", [0.0, 1.0], dims="row")
        mean = x @ pm.Normal("b", dims="term")
        pm.Normal("observed", mean, 1, observed=y, dims="row")
    assert chosen(with_matrix, first={"x": [[1.0]], "y": [1.0]}) == "nutpie"


def test_without_blackjax_nutpie_is_chosen(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (choosing, blackjax_nuts):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    assert chosen(model) == "nutpie"
    with pytest.raises(ImportError, match=r"where blackjax is not installed, .*\nHint: pip inst"):
        choose_sampler("blackjax", model, 2, FIRST)


def test_a_name_is_taken_at_its_word(model: pm.Model) -> None:
    for name in ("nutpie", "blackjax"):
        assert choose_sampler(name, model, None, None) == name
    check_sampler("auto")
    with pytest.raises(ValueError, match=r"one of \('auto', 'nutpie', 'blackjax'\), got 'stan'"):
        check_sampler("stan")
