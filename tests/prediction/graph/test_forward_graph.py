"""A model's graph is copied with inputs for its containers, and opened to basic variables."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.tensor.random.op import RandomVariable

import bayou as by
from bayou.models.interpret import compile_interpreter
from bayou.prediction.graph.forward_graph import (
    batches_of,
    draws_in_loops,
    dtype_of,
    fingerprint,
    generators_of,
    logit_of,
    open_graph,
    random_nodes,
    read_by,
)

X = np.arange(12.0).reshape(6, 2)


def test_variables_that_are_graphs_are_opened() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        parts = [pm.Normal.dist(x), pm.Laplace.dist(0, 1)]
        pm.Mixture("y", [0.4, 0.6], parts, observed=x, total_size=100)
    graph = open_graph(model, ["y"], {x: ()}, [], {})
    names = sorted(node.op.name for node in random_nodes(graph.outputs))
    assert names == ["categorical", "laplace", "normal"]
    assert all(isinstance(node.op, RandomVariable) for node in random_nodes(graph.outputs))
    assert not draws_in_loops(graph.outputs)
    assert not graph.fixed


def test_draws_in_loops_are_found() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        pm.AR("y", [0.5], init_dist=pm.Normal.dist(), observed=x)
    assert draws_in_loops(open_graph(model, ["y"], {x: ()}, [], {}).outputs)


def test_containers_of_which_the_length_is_taken_are_not_read() -> None:
    with pm.Model() as model:
        x, y = by.Data("x", X[:, 0]), by.Data("y_data", X[:, 1])
        pm.Normal("y", x, observed=y)
    assert read_by(model, ["y"], [x, y]) == [x]


def test_lengths_and_other_containers_are_inputs_or_constants() -> None:
    with pm.Model(coords={"row": range(6), "group": range(3)}) as model:
        x = by.Data("x", X[:, 0], dims="row")
        scale = by.Data("scale", [1.0, 2.0, 3.0], dims="group")
        effect = pm.Normal("effect", dims="group")
        mu = (effect * scale).sum() + x
        pm.Normal("y", mu, observed=X[:, 1], dims="row")
    graph = open_graph(model, ["y"], {x: ()}, ["row"], {})
    assert list(graph.fixed) == [scale]
    assert [length for _, length in graph.constants] == [3]
    assert list(graph.free) == ["effect"]
    inputs = [*graph.rows, *graph.fixed.values(), *generators_of(graph.outputs)]
    evaluate = compile_interpreter([*inputs, graph.free["effect"]], list(graph.outputs))
    generators = [np.random.default_rng(1)] * (len(inputs) - 2)
    [drawn] = evaluate(np.full(11, 1e6), np.ones(3), *generators, np.full(3, 1e7))
    assert drawn == pytest.approx(np.full(11, 3.1e7), rel=1e-5)


def test_minibatches_are_found_by_their_names() -> None:
    with pm.Model() as model:
        x, y = by.Minibatch(X[:, 0], 2, name="x"), by.Minibatch(X[:, 1], 2, name="y_data")
        pm.Normal("y", x, observed=y, total_size=6)
    assert batches_of(model) == {"x": x, "y_data": y}
    with pm.Model() as model:
        pm.Normal("y", by.Minibatch(X[:, 0], 2), observed=by.Minibatch(X[:, 1], 2), total_size=6)
    with pytest.raises(
        ValueError, match=r"must have names of their own, got 'Minibatch' twice\.\n"
    ):
        batches_of(model)


def test_a_byte_holds_what_is_0_or_1_alone() -> None:
    assert dtype_of(pm.Bernoulli.dist(0.5)) == "int8"
    assert dtype_of(pm.Binomial.dist(1, 0.5)) == "int64"
    assert dtype_of(pm.Bernoulli.dist(0.5) * 300) == "int64"


def test_fingerprints_tell_graphs_apart() -> None:
    def of(scale: float) -> str:
        with pm.Model() as model:
            x = by.Data("x", X[:, 0])
            pm.Normal("y", scale * x, observed=x)
        return fingerprint(open_graph(model, ["y"], {x: ()}, [], {}).outputs)

    assert of(2.0) == of(2.0)
    assert of(2.0) != of(3.0)


def test_logits_are_found() -> None:
    with pm.Model():
        logit = pm.Normal("logit")
        by_logit, by_chance, other = (
            pm.Bernoulli("a", logit_p=logit),
            pm.Bernoulli("b", p=pm.math.invlogit(logit)),
            pm.Bernoulli("c", p=pm.math.invprobit(logit)),
        )
    for variable in (by_logit, by_chance):
        [_, node] = random_nodes([variable])
        assert logit_of(*node.parameters) is logit
    [_, node] = random_nodes([other])
    assert logit_of(*node.parameters) is None
    assert logit_of(logit) is None
    assert logit_of(pt.sigmoid(pt.constant(3))) is None
