"""Models that NUTS cannot sample are refused by name."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.nuts.model_checks import check_model


def mean(**observed: Any) -> pm.Model:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, **observed)
    return model


def test_good_models_pass() -> None:
    check_model(mean(observed=[1.0]))
    check_model(mean(observed=by.Minibatch(np.ones(100), 10), total_size=100))


def test_no_free_variable() -> None:
    with pm.Model() as model:
        pm.Normal("y", 0, 1, observed=[1.0])
    with pytest.raises(ValueError, match=r"must have a free variable, got none\.\nHint"):
        check_model(model)


def test_discrete_free_variables() -> None:
    with pm.Model() as model:
        pm.Normal("mu")
        pm.Poisson("count", 3)
        pm.Bernoulli("flag", 0.5)
    message = r"got discrete \['count', 'flag'\]\.\nHint: .*pm\.sample"
    with pytest.raises(TypeError, match=message):
        check_model(model)


@pytest.mark.parametrize("dims", [None, "row"])
def test_data_without_rows(dims: str | None) -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1, observed=by.Data("values", np.zeros(0), dims=dims))
    along = "their first axis" if dims is None else "'row'"
    message = rf"at least one row, got none along {along}\.\nHint: .*prior_predictive draws"
    with pytest.raises(ValueError, match=message):
        check_model(model)
    # What is observed beside it has rows.
    with model:
        pm.Normal(
            "other", model["mu"], 1, observed=by.Data("others", np.zeros(2), dims=dims and "z")
        )
    check_model(model)


def test_generator() -> None:
    model = mean(observed=by.generator(iter([np.ones(3)] * 5)), total_size=15)
    with pytest.raises(ValueError, match=r"got \['y'\], fed by a generator\.\nHint: use by\.fit"):
        check_model(model)


def test_part_of_the_rows() -> None:
    batch = by.Minibatch(np.ones(100), 10, in_memory_size=20)
    message = r"`total_size` of 'y' must be the number of its rows in memory, got 5 times as many"
    with pytest.raises(ValueError, match=message):
        check_model(mean(observed=batch, total_size=100))
