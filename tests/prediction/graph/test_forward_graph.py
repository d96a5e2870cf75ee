"""The graph from parameters and rows to outputs is a copy of the model's, with inputs for data."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.models.interpret import compile_interpreter
from bayou.models.random_variables import generators_of, random_nodes
from bayou.prediction.graph.forward_graph import (
    batches_of,
    fingerprint,
    forward_graph,
    needed_free_variables,
    prediction_dtype,
    read_by,
)

X = np.arange(12.0).reshape(6, 2)


def test_scalings_and_composed_distributions_are_inlined() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        parts = [pm.Normal.dist(x), pm.Laplace.dist(0, 1)]
        pm.Mixture("y", [0.4, 0.6], parts, observed=x, total_size=100)
    graph = forward_graph(model, ["y"], {x: ()}, [], {})
    names = sorted(node.op.name for node in random_nodes(graph.outputs))
    assert names == ["categorical", "laplace", "normal"]
    assert not graph.fixed


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
    graph = forward_graph(model, ["y"], {x: ()}, ["row"], {})
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
    with pytest.raises(ValueError, match=r"must have distinct names, got 'Minibatch' twice\.\n"):
        batches_of(model)


def test_a_byte_holds_what_is_0_or_1_alone() -> None:
    assert prediction_dtype(pm.Bernoulli.dist(0.5)) == "int8"
    assert prediction_dtype(pm.Binomial.dist(1, 0.5)) == "int64"
    assert prediction_dtype(pm.Bernoulli.dist(0.5) * 300) == "int64"


def test_fingerprints_tell_graphs_apart() -> None:
    def of(scale: float) -> str:
        with pm.Model() as model:
            x = by.Data("x", X[:, 0])
            pm.Normal("y", scale * x, observed=x)
        return fingerprint(forward_graph(model, ["y"], {x: ()}, [], {}).outputs)

    assert of(2.0) == of(2.0)
    assert of(2.0) != of(3.0)


def test_free_variables_behind_given_ones_are_not_needed() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        spread = pm.HalfNormal("spread")
        effect = pm.Normal("effect", 0, spread)
        pm.Normal("y", effect * x, observed=x)
    graph = forward_graph(model, ["y"], {x: ()}, [], {})
    assert sorted(needed_free_variables(graph, [])) == ["effect", "spread"]
    assert needed_free_variables(graph, ["effect"]) == ["effect"]


def test_rows_of_a_shape_that_the_graph_cannot_take() -> None:
    with pm.Model() as model:
        x = by.Data("x", X)
        pm.Deterministic("y", x @ pm.Normal("b", shape=2))
    with pytest.raises(
        ValueError, match=r"`data` must fit the model, got rows of shapes .*\nHint: pass"
    ):
        forward_graph(model, ["y"], {x: (3,)}, [], {})
