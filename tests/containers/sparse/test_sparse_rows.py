"""Sparse operations of PyTensor, and what is computed of the rows in their place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.sparse as ps
import pytensor.tensor as pt
import pytest
import scipy.sparse

from bayou.containers.sparse.sparse_container import is_sparse_variable, sparse_container
from bayou.containers.sparse.sparse_rows import rows_of_matrices
from bayou.models.rewrite import rebuild_variables

MATRIX = scipy.sparse.random(6, 4, 0.5, "csr", random_state=1)
DENSE = MATRIX.toarray()
SLOPES, WEIGHTS = np.arange(1.0, 5.0), np.arange(1.0, 7.0)
TABLE = np.arange(8.0).reshape(4, 2)
b, w, table = map(pt.as_tensor, (SLOPES, WEIGHTS, TABLE))
OPERATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], Any]]] = {
    "dot": (lambda x: ps.dot(x, b), lambda x: x @ SLOPES),
    "dot of a matrix": (lambda x: ps.dot(x, table), lambda x: x @ TABLE),
    "structured_dot": (
        lambda x: ps.structured_dot(x, b[:, None]),
        lambda x: x @ SLOPES[:, None],
    ),
    "matmul": (lambda x: pt.matmul(x, b), lambda x: x @ SLOPES),
    "from the left": (lambda x: ps.dot(w, x), lambda x: WEIGHTS @ x),
    "a matrix from the left": (lambda x: ps.dot(table.T, x.T), lambda x: TABLE.T @ x.T),
    "transposed": (lambda x: ps.dot(x.T, w), lambda x: x.T @ WEIGHTS),
    "twice transposed": (lambda x: ps.dot(x.T.T, b), lambda x: x @ SLOPES),
    "cast": (lambda x: ps.dot(x.astype("float32"), b), lambda x: x.astype("f4") @ SLOPES),
    "sum": (lambda x: x.sum(), lambda x: x.sum()),
    "sums of columns": (lambda x: x.sum(axis=0), lambda x: x.sum(axis=0)),
    "sums of rows": (lambda x: x.sum(axis=1), lambda x: x.sum(axis=1)),
    "times a number": (lambda x: ps.dot(x * 2.0, b), lambda x: 2 * x @ SLOPES),
    "times a vector": (lambda x: ps.dot(x * b, b), lambda x: (x * SLOPES) @ SLOPES),
    "transposed times a vector": (
        lambda x: ps.dot(x.T * w, w),
        lambda x: (x.T * WEIGHTS) @ WEIGHTS,
    ),
    "rows by number": (lambda x: ps.dot(x[[4, 0]], b), lambda x: x[[4, 0]] @ SLOPES),
    "a slice of rows": (lambda x: ps.dot(x[1:5:2], b), lambda x: x[1:5:2] @ SLOPES),
    "shape": (lambda x: x.shape, lambda x: x.shape),
    "shape of the transposed": (lambda x: x.T.shape[0], lambda x: 4),
    "toarray in a product": (lambda x: x.toarray() @ b, lambda x: x @ SLOPES),
}
MATRICES = {
    "container": lambda: sparse_container(MATRIX, "X"),
    "shared": lambda: pytensor.shared(MATRIX, "X"),
    "shared csc": lambda: pytensor.shared(MATRIX.tocsc(), "X"),
    "constant": lambda: ps.as_sparse_variable(MATRIX, "X"),
    "computed of constants": lambda: ps.CSR(
        MATRIX.data, MATRIX.indices, MATRIX.indptr, np.array(MATRIX.shape)
    ),
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations(operation: str, matrix: str) -> None:
    of_sparse, of_dense = OPERATIONS[operation]
    graph = of_sparse(MATRICES[matrix]())
    rebuilt = rebuild_variables([graph], rows_of_matrices([graph])).get(graph, graph)
    inner = pytensor.graph.traversal.ancestors([rebuilt])
    assert not any(map(is_sparse_variable, inner))
    np.testing.assert_allclose(rebuilt.eval(), of_dense(DENSE), rtol=1e-6)


@pytest.mark.parametrize(
    ("operation", "of"),
    {
        "exp": lambda x: pt.exp(x.toarray()),
        "SparseDot": lambda x: ps.dot(x, x.T),
        "MulSD": lambda x: ps.dot(x * pt.ones((6, 4)), b),
        "GetItem2d": lambda x: ps.dot(x[:, 1:3], b[1:3]),
    }.items(),
)
def test_what_would_be_dense_is_refused(operation: str, of: Callable[[Any], Any]) -> None:
    graph = of(sparse_container(MATRIX, "X"))
    match = r"`model` must use a sparse matrix .*, got .* of 'X'\.\nHint: .*X\.toarray\(\)"
    with pytest.raises(TypeError, match=match):
        rebuild_variables([graph], rows_of_matrices([graph]))


def test_a_matrix_of_variables_is_refused() -> None:
    with pm.Model():
        data = pm.Normal("data", shape=MATRIX.nnz)
    matrix = ps.CSR(data, MATRIX.indices, MATRIX.indptr, np.array(MATRIX.shape))
    with pytest.raises(TypeError, match=r"must use a sparse matrix in operations .* CSM"):
        rows_of_matrices([ps.dot(matrix, b)])
