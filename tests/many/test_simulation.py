"""Simulated data sets: drawn at the containers of a model, or refused by name."""

from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.many.simulation import observed_containers, simulate, with_observed_containers


def normal(scale: float = 1.0) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", np.arange(8.0), dims="row")
        pm.Normal("observed", pm.Normal("level"), scale, observed=y, dims="row")
    return model


def test_variables_are_drawn_together() -> None:
    values = simulate(normal(), None, 500, 1)
    assert {name: array.shape for name, array in values.items()} == {
        "level": (500,),
        "observed": (500, 8),
    }
    # Each data set is drawn at its own level.
    spread = values["observed"] - values["level"][:, None]
    assert abs(spread.std() - 1) < 0.1
    again = simulate(normal(), None, 500, 1)
    np.testing.assert_array_equal(again["observed"], values["observed"])


def test_a_simulator_is_drawn_instead() -> None:
    values = simulate(normal(), normal(scale=100.0), 50, 1)
    assert (values["observed"] - values["level"][:, None]).std() > 50


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32", "bool"])
def test_containers_may_be_cast(dtype: str) -> None:
    with pm.Model() as model:
        y = by.Data("y", np.array([0, 1, 1], dtype))
        pm.Bernoulli("observed", logit_p=pm.Normal("level"), observed=y)
    assert observed_containers(model) == {"observed": "y"}


def unobserved() -> pm.Model:
    with pm.Model() as model:
        pm.Normal("level")
    return model


def observed_at(value: Any) -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0])
        pm.Normal("observed", pm.Normal("b"), observed=value(y))
    return model


def test_observed_arrays_are_put_into_containers() -> None:
    with pm.Model(coords={"row": range(3)}) as model:
        mu = pm.Normal("mu")
        pm.Poisson("y", pm.math.exp(mu), observed=np.array([1, 2, 3]), dims="row")
        pm.Normal("z", mu, observed=by.Data("z_data", [0.5]))
    copied = with_observed_containers(model)
    assert observed_containers(copied) == {"y": "y data", "z": "z_data"}
    assert copied.named_vars_to_dims["y data"] == ("row",)
    np.testing.assert_allclose(
        copied.compile_logp()({"mu": 0.3}), model.compile_logp()({"mu": 0.3}), rtol=1e-12
    )
    by.set_data({"y data": [4, 5, 6]}, model=copied)
    assert model.rvs_to_values[model["y"]].data.tolist() == [1, 2, 3]
    assert with_observed_containers(copied) is copied


def twice() -> pm.Model:
    with pm.Model() as model:
        y = by.Data("y", [0.0, 1.0])
        b = pm.Normal("b")
        pm.Normal("one", b, observed=y)
        pm.Normal("two", b, observed=y)
    return model


WRONG = {
    "nothing observed": (unobserved, ValueError, "must observe something"),
    "an array": (lambda: observed_at(lambda y: [0.0]), TypeError, "got 'observed' observed at"),
    "an expression": (lambda: observed_at(lambda y: 2 * y), TypeError, "at a data container"),
    "one for two": (twice, TypeError, "a container of its own, got 'y' for two"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_models_that_do_not_observe_containers(case: str) -> None:
    make, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        observed_containers(make())


def with_potential() -> pm.Model:
    with normal() as model:
        pm.Potential("pull", -(model["level"] ** 2))
    return model


def drawn_by(make: Any) -> pm.Model:
    """Return a model whose level, or whose observed variable, is made otherwise."""
    with pm.Model() as model:
        y = by.Data("y", np.arange(8.0), dims="row")
        make(y)
    return model


def density(value: Any, mean: Any) -> Any:
    return -((value - mean) ** 2)


def custom_prior(y: Any) -> None:
    pm.Normal("observed", pm.CustomDist("level", 0.0, logp=density), 1, observed=y)


def custom_likelihood(y: Any) -> None:
    pm.CustomDist("observed", pm.Normal("level"), logp=density, observed=y)


NOT_DRAWN = {
    "flat": (lambda y: pm.Normal("observed", pm.Flat("level"), 1, observed=y), "level"),
    "half flat": (lambda y: pm.Normal("observed", 0, pm.HalfFlat("sd"), observed=y), "sd"),
    "prior": (custom_prior, "level"),
    "likelihood": (custom_likelihood, "observed"),
}


@pytest.mark.parametrize("case", list(NOT_DRAWN))
def test_what_cannot_be_drawn_is_named(case: str) -> None:
    make, name = NOT_DRAWN[case]
    text = f"`model` must have a distribution to draw each .* got {name!r}, which cannot be drawn"
    with pytest.raises(TypeError, match=text) as found:
        simulate(drawn_by(make), None, 20, 1)
    assert "\nHint: give it a proper prior" in str(found.value)


def test_simulators_are_checked() -> None:
    model = normal()
    with pytest.raises(TypeError, match=r"`simulator` must be a pymc\.Model, got a function"):
        simulate(model, lambda: model, 20, 1)  # type: ignore[arg-type]
    for argument, simulator in (("simulator", with_potential()), ("model", None)):
        text = f"`{argument}` must be drawn from by its variables only, got the potential 'pull'"
        with pytest.raises(TypeError, match=text):
            simulate(with_potential(), simulator, 20, 1)
    text = "`simulator` must have a distribution to draw each variable from, got 'level'"
    with pytest.raises(TypeError, match=text):
        simulate(model, drawn_by(custom_prior), 20, 1)
    with pytest.raises(ValueError, match=r"`simulator` must have .* got one without \['observed'"):
        simulate(model, unobserved(), 20, 1)
