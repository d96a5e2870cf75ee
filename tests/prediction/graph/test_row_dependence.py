"""Rows that depend on each other are told from those that do not, whatever the graph is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import bayou as by
from bayou.errors import RowsDependError
from bayou.prediction.graph.forward_graph import forward_graph
from bayou.prediction.graph.row_dependence import (
    LONG,
    LONG_ROWS,
    SHORT,
    SHORT_ROWS,
    RowShapes,
    check_rows,
    free_variable_shapes,
    two_samples,
)

ROWS = 30
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 2))
GROUP = RNG.integers(0, 4, ROWS)

type Build = Callable[[Any, Any, Any], Any]


def tried(build: Build) -> RowShapes:
    with pm.Model() as model:
        x = by.Data("x", X, dims=("row", "feature"))
        group = by.Data("group", GROUP, dims="row")
        effect = pm.Normal("effect", shape=4)
        pm.Deterministic("out", build(x, group, effect))
    graph = forward_graph(model, ["out"], {x: (2,), group: ()}, ["row"], {})
    return check_rows(graph, graph.outputs, {}, [], two_samples([X, GROUP]))


def scalar(x: Any) -> Any:
    return x[:, 0]


ALONE: dict[str, Build] = {
    "linear": lambda x, g, e: x @ e[:2] + e[g],
    "softmax of features": lambda x, g, e: pm.math.softmax(x, axis=-1),
    "sum of features": lambda x, g, e: (x**2).sum(axis=1),
    "transposed": lambda x, g, e: x.T * 2,
    "cumsum of features": lambda x, g, e: pt.cumsum(x, axis=1),
    "latent": lambda x, g, e: pm.Normal("latent", scalar(x), shape=x.shape[0]) ** 2,
    "draw of features": lambda x, g, e: pm.MvNormal.dist(x, np.eye(2)),
    "mixture": lambda x, g, e: pm.Mixture.dist(
        [0.5, 0.5], [pm.Normal.dist(scalar(x)), pm.Normal.dist(e[g])]
    ),
    "switch": lambda x, g, e: pt.switch(scalar(x) > 0, e[g], -1),
    "nested index": lambda x, g, e: e[(g + 1) % 4],
    "the same for all": lambda x, g, e: pm.math.exp(e),
}
TOGETHER: dict[str, Build] = {
    "centred": lambda x, g, e: x - x.mean(axis=0),
    "scaled": lambda x, g, e: x / x.std(),
    "cumsum": lambda x, g, e: pt.cumsum(scalar(x)),
    "differences": lambda x, g, e: scalar(x) - pt.roll(scalar(x), 1),
    "differences of few": lambda x, g, e: pt.diff(scalar(x)),
    "softmax": lambda x, g, e: pm.math.softmax(scalar(x), axis=0),
    "number of the row": lambda x, g, e: scalar(x) * pt.arange(x.shape[0]),
    "number of rows": lambda x, g, e: scalar(x) / x.shape[0],
    "sorted": lambda x, g, e: pt.sort(scalar(x)),
    "first row": lambda x, g, e: x - x[0],
    "kernel": lambda x, g, e: x @ x.T,
    "sum": lambda x, g, e: x.sum(),
    "walk": lambda x, g, e: pt.cumsum(pm.Normal("steps", shape=x.shape[0])),
    "random walk": lambda x, g, e: pm.GaussianRandomWalk(
        "walk", init_dist=pm.Normal.dist(), shape=x.shape[0]
    ),
    "draw of all rows": lambda x, g, e: pm.MvNormal.dist(
        scalar(x), pt.eye(x.shape[0]), shape=x.shape[0]
    ),
    "spread of all rows": lambda x, g, e: pm.Normal.dist(0, x.std(), shape=x.shape[0]),
    "autoregression": lambda x, g, e: pm.AR(
        "ar", [0.5], init_dist=pm.Normal.dist(), shape=x.shape[0]
    ),
    "rows by number": lambda x, g, e: scalar(x)[g],
}


@pytest.mark.parametrize("build", ALONE.values(), ids=ALONE)
def test_rows_on_their_own_are_found(build: Build) -> None:
    assert len(tried(build).outputs) == 1


@pytest.mark.parametrize("build", TOGETHER.values(), ids=TOGETHER)
def test_rows_that_depend_on_others_are_found(build: Build) -> None:
    with pytest.raises(RowsDependError):
        tried(build)


@pytest.mark.parametrize(
    ("name", "row_axis", "shape", "row_size"),
    [
        ("linear", 0, (100,), 1),
        ("sum of features", 0, (100,), 1),
        ("softmax of features", 0, (100, 2), 2),
        ("transposed", 1, (2, 100), 2),
        ("the same for all", None, (4,), 4),
    ],
)
def test_shapes_are_found(name: str, row_axis: int, shape: tuple[int, ...], row_size: int) -> None:
    [found] = tried(ALONE[name]).outputs
    assert found.row_axis == row_axis
    assert found.with_rows(100) == shape
    assert found.row_size == row_size


def test_shapes_of_free_variables_cost_no_draws_of_them() -> None:
    with pm.Model() as model:
        x = by.Data("x", X[:, 0])
        flat = pm.Flat("flat", shape=3)  # Cannot be drawn.
        eta = pm.Normal("eta", flat[0], shape=x.shape[0])
        pm.Deterministic("out", eta * flat.sum())
    graph = forward_graph(model, ["out"], {x: ()}, [], {})
    shapes = free_variable_shapes(graph, [], two_samples([X[:, 0]]))
    assert {name: shape.row_axis for name, shape in shapes.items()} == {"eta": 0, "flat": None}


@pytest.mark.parametrize("count", [1, 2, 6, 12, 30])
def test_pieces_share_rows_at_other_places(count: int) -> None:
    short, long = (part[0] for part in two_samples([np.arange(count)]))
    assert (len(short), len(long)) == (SHORT, LONG)
    assert np.array_equal(short[list(SHORT_ROWS)], long[list(LONG_ROWS)])
    if count >= 12:
        others = set(long) - set(long[list(LONG_ROWS)])
        assert others.isdisjoint(short)
