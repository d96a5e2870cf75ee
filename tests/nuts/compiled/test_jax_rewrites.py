"""Rewrites for JAX: the values of NumPy, by fewer and quicker operations."""

from __future__ import annotations

import jax
import numpy as np
import pytensor.tensor as pt
from pytensor.graph.fg import FunctionGraph

from bayou.density.jax_function import funcify
from bayou.nuts.compiled.jax_rewrites import ColumnProduct, QuickSoftplus, rewrite_for_speed


def scalars(graph: FunctionGraph) -> list[type]:
    return [type(getattr(node.op, "scalar_op", node.op)) for node in graph.apply_nodes]


def test_softplus_of_either_sign_is_computed_once_and_right() -> None:
    x, flag = pt.dvector("x"), pt.bvector("flag")
    graph = FunctionGraph([x, flag], [pt.switch(flag, pt.softplus(-x), pt.softplus(x))])
    rewrite_for_speed(graph)
    assert scalars(graph).count(QuickSoftplus) == 1
    values = np.array([-800.0, -40, -1e-9, 0, 3, 40, 800])
    for sign, chosen in ((-1, True), (1, False)):
        [found] = funcify(graph)(values, np.full(7, chosen))
        np.testing.assert_allclose(found, np.logaddexp(0, sign * values), rtol=1e-14)


def test_products_of_a_transposed_matrix_with_a_column_are_the_same_in_lanes() -> None:
    matrix, column = pt.dmatrix("matrix"), pt.tensor("column", shape=(None, 1))
    graph = FunctionGraph([matrix, column], [pt.math.Dot()(matrix.T, column)])
    rewrite_for_speed(graph)
    assert ColumnProduct in scalars(graph)
    rng = np.random.default_rng(0)
    design, columns = rng.normal(size=(6, 3)), rng.normal(size=(4, 6, 1))
    [found] = jax.vmap(funcify(graph), (None, 0))(design, columns)
    np.testing.assert_allclose(found, design.T @ columns, rtol=1e-13)
