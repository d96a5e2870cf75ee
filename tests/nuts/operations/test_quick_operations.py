"""Operations of our own: the values of NumPy, for all layouts that graphs make, compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.linalg

import bayou.nuts.operations.numba_functions  # noqa: F401 (registers them)
from bayou.nuts.operations.quick_operations import (
    CholeskyFactor,
    MatrixProduct,
    QuickOperations,
    ShapeCheck,
    TriangularSolution,
    numba_mode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]


def compiled(inputs: list[Any], outputs: list[Any]) -> Callable[..., list[Array]]:
    with pytensor.config.change_flags(numba__cache=False):
        return pytensor.function(inputs, outputs, mode=numba_mode(), on_unused_input="ignore")


def applied(function: Any) -> set[type]:
    return {
        type(getattr(node.op, "core_op", node.op)) for node in function.maker.fgraph.apply_nodes
    }


@pytest.fixture(scope="module")
def products() -> Callable[..., list[Array]]:
    a, b = pt.matrix("a"), pt.matrix("b")
    column = pt.tensor("column", shape=(None, 1))
    return compiled([a, b, column], [a @ b, b.T @ a.T, a[::-1, ::2] @ b[::2], a @ column])


def test_products_are_numpys(products: Callable[..., list[Array]]) -> None:
    rng = np.random.default_rng(0)
    assert applied(products) >= {MatrixProduct}
    for rows, inner, columns in [(7, 5, 3), (1, 9, 1), (4, 1, 6), (3, 8, 1), (1, 4, 5)]:
        a, b = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
        c = rng.normal(size=(inner, 1))
        expected = [a @ b, b.T @ a.T, a[::-1, ::2] @ b[::2], a @ c]
        for found, right in zip(products(a, b, c), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-13, atol=1e-13)


def test_products_without_terms_are_zero_and_lengths_must_match(
    products: Callable[..., list[Array]],
) -> None:
    assert np.array_equal(
        products(np.ones((2, 0)), np.ones((0, 3)), np.ones((0, 1)))[0], np.zeros((2, 3))
    )
    with pytest.raises(ValueError, match="must have the same inner length"):
        products(np.ones((2, 3)), np.ones((4, 2)), np.ones((3, 1)))


@pytest.fixture(scope="module")
def solvers() -> Callable[..., list[Array]]:
    a, b, c = pt.matrix("a"), pt.matrix("b"), pt.vector("c")
    solve = pt.linalg.solve_triangular
    return compiled(
        [a, b, c],
        [
            pt.linalg.cholesky(a),
            pt.linalg.cholesky(a, lower=False),
            solve(a, b, lower=True),
            solve(a.T, c, lower=True, unit_diagonal=True),
        ],
    )


@pytest.mark.slow
def test_factors_and_solutions_are_scipys(solvers: Callable[..., list[Array]]) -> None:
    assert applied(solvers) >= {CholeskyFactor, TriangularSolution}
    rng = np.random.default_rng(1)
    root, b, c = rng.normal(size=(4, 4)), rng.normal(size=(4, 3)), rng.normal(size=4)
    a = root @ root.T + np.eye(4)
    expected = [
        scipy.linalg.cholesky(a, lower=True),
        scipy.linalg.cholesky(a),
        scipy.linalg.solve_triangular(a, b, lower=True),
        scipy.linalg.solve_triangular(a.T, c, lower=True, unit_diagonal=True),
    ]
    for found, right in zip(solvers(a, b, c), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
def test_what_does_not_exist_is_nan(solvers: Callable[..., list[Array]]) -> None:
    a = np.diag([1.0, 0.0, -1.0])
    lower, upper, solution, unit = solvers(a, np.ones((3, 2)), np.ones(3))
    for found in (lower, upper, solution):
        assert np.isnan(found).all()
    assert np.array_equal(unit, np.ones(3))


def test_shapes_are_checked() -> None:
    x, length = pt.matrix("x"), pt.lscalar("length")
    check = compiled([x, length], [pt.specify_shape(x * 2, (length, 3))])
    assert applied(check) >= {ShapeCheck}
    assert np.array_equal(check(np.ones((2, 3)), 2)[0], np.full((2, 3), 2.0))
    with pytest.raises(ValueError, match="Axis 0 has not the length"):
        check(np.ones((2, 3)), 4)


def test_other_dtypes_stay_as_they_are_and_batches_are_replaced() -> None:
    single, batch = pt.fmatrix("single"), pt.dtensor3("batch")
    graph = pytensor.graph.FunctionGraph(
        [single, batch], [single @ single, batch @ batch, batch[0] @ batch[1]]
    )
    QuickOperations().rewrite(graph)
    ops = [output.owner.op.core_op for output in graph.outputs]
    assert [type(op) for op in ops] == [pt.math.Dot, MatrixProduct, MatrixProduct]
