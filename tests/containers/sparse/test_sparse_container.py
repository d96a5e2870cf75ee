"""Containers of a sparse matrix, and the parts of their rows."""

import pickle
import weakref
from collections.abc import Callable

import numpy as np
import pytensor.sparse
import pytensor.tensor as pt
import scipy.sparse

from bayou.containers.sparse.sparse_container import parts_of, sparse_container

MATRIX = scipy.sparse.random(6, 4, 0.5, "csr", random_state=1)


def test_products_and_shape_stay_sparse() -> None:
    x = sparse_container(MATRIX, "X")
    dense, b, w = MATRIX.toarray(), np.arange(4.0), np.arange(6.0)
    np.testing.assert_allclose((x @ b).eval(), dense @ b)
    np.testing.assert_allclose((x @ np.ones((4, 2))).eval(), dense @ np.ones((4, 2)))
    np.testing.assert_allclose(x.dot(pt.as_tensor(b)).eval(), dense @ b)
    np.testing.assert_allclose((w @ x).eval(), w @ dense)
    assert x.shape.eval().tolist() == [6, 4]
    assert x.get_value(borrow=True) is MATRIX


def test_parts_follow_the_value() -> None:
    x = sparse_container(MATRIX, "X")
    parts = parts_of(x)
    assert parts_of(x.clone()) is parts
    assert parts.values.get_value(borrow=True) is parts.values.clone().get_value(borrow=True)
    x.set_value(scipy.sparse.csr_matrix(np.eye(9)))
    np.testing.assert_array_equal(parts.columns.get_value(), np.arange(9)[:, None])
    assert parts.num_columns.clone().get_value() == 9


def test_parts_of_a_constant() -> None:
    constant = pytensor.sparse.as_sparse_variable(MATRIX)
    parts = parts_of(constant)
    assert parts_of(constant) is parts
    assert parts.num_columns.get_value() == 4


def test_parts_are_not_kept_alive(collect_garbage: Callable[[], object]) -> None:
    x = sparse_container(MATRIX, "X")
    parts = weakref.ref(parts_of(x))
    del x
    collect_garbage()
    assert parts() is None


def test_parts_are_pickled_with_their_container() -> None:
    values = pickle.loads(pickle.dumps(parts_of(sparse_container(MATRIX, "X")).values))
    values.parts.matrix.set_value(scipy.sparse.csr_matrix(np.eye(2)))
    np.testing.assert_array_equal(values.get_value(), [[1.0], [1.0]])
