"""Checks that always hold are dropped, and no others."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.math import All

from bayou.nuts.operations.known_bounds import drop_known_checks

X = pt.dvector("x")


def dropped(graph: pt.TensorVariable) -> pt.TensorVariable:
    return drop_known_checks(rewrite_graph(graph, include=("canonicalize",)))


@pytest.mark.parametrize(
    "condition",
    [
        pt.ge(pt.sigmoid(X), 0),
        pt.le(pt.sigmoid(X), 1),
        pt.ge(pt.exp(X), 0.0),
        pt.ge(pt.softplus(X), -1),
        pt.ge(pt.sqr(X), 0),
        pt.ge(pt.abs(X), 0),
    ],
)
def test_what_always_holds_is_true(condition: pt.TensorVariable) -> None:
    assert dropped(pt.all(condition)).data == np.True_


@pytest.mark.parametrize(
    "condition",
    [
        # An exponential is 0 where it underflows.
        pt.gt(pt.exp(X), 0),
        pt.lt(pt.sigmoid(X), 1),
        pt.le(pt.sigmoid(X), 0.5),
        pt.ge(pt.sigmoid(X), 0.5),
        pt.le(pt.exp(X), 1),
        pt.ge(pt.log(X), 0),
        pt.ge(X, 0),
        pt.ge(pt.sigmoid(X), X),
    ],
)
def test_what_may_fail_is_kept(condition: pt.TensorVariable) -> None:
    graph = dropped(pt.all(condition))
    assert any(v.owner is not None and isinstance(v.owner.op, All) for v in ancestors([graph]))


def test_the_density_is_the_same_and_parameters_out_of_range_are_refused() -> None:
    with pm.Model() as model:
        pm.Bernoulli("y", logit_p=pm.Normal("a", size=2), observed=[0, 1])
        pm.Normal("z", 0, pm.Normal("s"), observed=1.0)
    logp = model.logp()
    inputs = model.value_vars
    before, after = (
        pm.compile(inputs, graph, mode="FAST_COMPILE") for graph in (logp, dropped(logp))
    )
    np.testing.assert_allclose(before([0.3, -2.0], 0.7), after([0.3, -2.0], 0.7))
    assert after([0.3, -2.0], -0.7) == -np.inf
