"""Basic random variables of graphs: composed ones are inlined, all are found and replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.models.interpret import compile_interpreter
from bayou.models.random_variables import (
    draws_in_loops,
    generators_of,
    inlined,
    is_bernoulli,
    logit_of,
    random_nodes,
    with_random_nodes_replaced,
)


def test_composed_distributions_are_inlined() -> None:
    parts = [pm.Normal.dist(0), pm.Censored.dist(pm.Laplace.dist(0, 1), 0, None)]
    with pm.Model():
        mixture = pm.Mixture("y", [0.4, 0.6], parts, observed=np.zeros(3), total_size=100)
    graphs = inlined([mixture])
    assert sorted(node.op.name for node in random_nodes(graphs)) == [
        "categorical",
        "laplace",
        "normal",
    ]
    assert not draws_in_loops(graphs)


def test_draws_in_loops_are_found() -> None:
    walk = pm.AR.dist([0.5], init_dist=pm.Normal.dist(), steps=4)
    assert draws_in_loops(inlined([walk]))


def test_nodes_are_listed_after_those_that_they_depend_on() -> None:
    mean = pm.Normal.dist(0, 1)
    value = pm.MvNormal.dist(pt.stack([mean, mean]), np.eye(2))
    first, second = random_nodes([value])
    assert first.value is mean
    assert (first.support_axes, second.support_axes) == (0, 1)
    assert second.core_axes == (1, 2)
    assert random_nodes([]) == []


def test_nodes_are_replaced_in_a_copy() -> None:
    mean = pm.Normal.dist(0, 1)
    output = pm.Normal.dist(mean, 1) + 1
    five = pt.constant(5.0, dtype="float64")
    [copy] = with_random_nodes_replaced([output], lambda index, node: five if index == 0 else None)
    [node] = random_nodes([copy])
    assert node.parameters[0] is five
    assert len(random_nodes([output])) == 2
    [alone] = with_random_nodes_replaced([output], lambda index, node: five)
    assert compile_interpreter([], [alone])()[0] == pytest.approx(6)


def test_generators_are_the_inputs_of_draws() -> None:
    output = pm.Normal.dist(pm.Normal.dist(0, 1), 1)
    assert len(generators_of([output])) == 2
    assert generators_of([pt.constant(1.0)]) == []


def test_logits_of_probabilities() -> None:
    with pm.Model():
        logit = pm.Normal("logit")
        by_logit, by_probability, other = (
            pm.Bernoulli("a", logit_p=logit),
            pm.Bernoulli("b", p=pm.math.invlogit(logit)),
            pm.Bernoulli("c", p=pm.math.invprobit(logit)),
        )
    for variable in (by_logit, by_probability):
        [_, node] = random_nodes([variable])
        assert logit_of(*node.parameters) is logit
    [_, node] = random_nodes([other])
    assert logit_of(*node.parameters) is None
    assert logit_of(logit) is None
    assert logit_of(pt.sigmoid(pt.constant(3))) is None


def test_bernoulli_variables_are_known() -> None:
    assert is_bernoulli(pm.Bernoulli.dist(0.5))
    assert not is_bernoulli(pm.Binomial.dist(1, 0.5))
    assert not is_bernoulli(pt.constant(1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("call", [by.fit, by.sample])
def test_simulations_are_refused(call: Any) -> None:
    def simulate(rng: np.random.Generator, mean: Any, size: Any) -> Any:
        return rng.normal(mean, 1, size)

    with pm.Model():
        y = by.Data("y", np.zeros(3), dims="row")
        pm.Simulator("o", simulate, pm.Normal("a"), observed=y, dims="row")
        with pytest.raises(TypeError, match=r"must have a density, got \['o'\], .*\nHint: use pm"):
            call(random_seed=1, progressbar=False)
