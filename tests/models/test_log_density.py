"""The terms of the log density, and variables of other models in it."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

from bayou.models.log_density import log_density_terms, log_elements


def test_terms_are_of_variables_then_of_potentials() -> None:
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        pm.Potential("pull", -(scale**2))
        pm.Normal("y", 0, scale, observed=np.ones(4))
    terms = log_density_terms(model)
    assert [term.ndim for term in terms] == [0, 1, 0]
    point = {"scale_log__": np.array(0.3)}
    [value] = model.value_vars
    total = sum(term.sum() for term in terms).eval({value: 0.3})
    assert total == pytest.approx(float(model.compile_logp()(point)))


def test_a_variable_of_another_model_is_named() -> None:
    with pm.Model():
        foreign = pm.Normal("foreign")
    with pm.Model() as model:
        pm.Normal("y", foreign + pm.Normal("mu"), 1, observed=np.ones(3))
    message = r"^`model` must hold all random variables .*, got \['foreign'\] of another model\.\n"
    with pytest.raises(ValueError, match=message + "Hint: make them inside of this model"):
        log_density_terms(model)


def test_log_transforms_are_told_from_others() -> None:
    with pm.Model() as model:
        pm.HalfNormal("scale")
        pm.Beta("share", 1, 1)
        pm.Normal("mu")
    flags = [log_elements(model, value, ()) for value in model.value_vars]
    assert flags == [True, False, False]


def test_increments_of_what_is_in_order_are_logs() -> None:
    transforms = pm.distributions.transforms
    start = np.array([[1.0, 2.0, 3.0]])
    with pm.Model() as model:
        pm.Normal("a", shape=(1, 3), transform=transforms.ordered, initval=start)
        pm.Normal("b", shape=(1, 3), transform=transforms.Ordered(positive=True), initval=start)
    flags = [log_elements(model, value, (1, 3)) for value in model.value_vars]
    assert flags == [(False, True, True), (True, True, True)]
