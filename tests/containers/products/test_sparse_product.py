"""Products of padded rows and their derivatives, by each of PyTensor's backends."""

from typing import Any

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse

from bayou.containers.products.sparse_product import COLUMN_PRODUCTS, ROW_PRODUCTS
from bayou.containers.sparse.padded_rows import pad_rows_of
from bayou.density.jax_function import jax_function

MATRIX = scipy.sparse.random(7, 5, 0.5, "csr", random_state=3)
ROWS = pad_rows_of(MATRIX, "X")
DENSE = MATRIX.toarray()
GENERATOR = np.random.default_rng(0)
CASES = {
    "rows, vector": (ROW_PRODUCTS, DENSE, GENERATOR.normal(size=5)),
    "rows, matrix": (ROW_PRODUCTS, DENSE, GENERATOR.normal(size=(5, 3))),
    "columns, vector": (COLUMN_PRODUCTS, DENSE.T, GENERATOR.normal(size=7)),
    "columns, matrix": (COLUMN_PRODUCTS, DENSE.T, GENERATOR.normal(size=(7, 3))),
}


def graphs(op: Any, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Return inputs, and the product with the gradients of the sum of its squares."""
    inputs = [pt.matrix("values"), pt.TensorType(array.dtype, (None,) * array.ndim)("array")]
    product = op(inputs[0], ROWS.columns, ROWS.num_columns, inputs[1])
    return inputs, [product, *pt.grad((product**2).sum(), inputs)]


def check(case: str, results: Any) -> None:
    op, dense, array = CASES[case]
    product, by_values, by_array = results
    expected = dense @ array
    np.testing.assert_allclose(product, expected, rtol=1e-12)
    np.testing.assert_allclose(by_array, 2 * dense.T @ expected, rtol=1e-12)
    by_matrix = 2 * expected.reshape(len(dense), -1) @ array.reshape(len(array), -1).T
    by_matrix = by_matrix if op is ROW_PRODUCTS else by_matrix.T
    rows = np.arange(7)[:, None]
    np.testing.assert_allclose(by_values, by_matrix[rows, ROWS.columns], rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_pytensor(case: str) -> None:
    inputs, outputs = graphs(CASES[case][0], CASES[case][2])
    check(case, pytensor.function(inputs, outputs)(ROWS.values, CASES[case][2]))


@pytest.mark.slow
def test_numba() -> None:
    arrays = [pt.TensorType("float64", (None,) * case[2].ndim)() for case in CASES.values()]
    products = [case[0](*ROWS, array) for case, array in zip(CASES.values(), arrays, strict=True)]
    values = [case[2] for case in CASES.values()]
    # One function, since Numba compiles for seconds.
    function = pytensor.function(arrays, products, mode="NUMBA")
    for product, (_, dense, array) in zip(function(*values), CASES.values(), strict=True):
        np.testing.assert_allclose(product, dense @ array, rtol=1e-12)
    for index in range(4):
        wrong = [*values[:index], values[index][:3], *values[index + 1 :]]
        with pytest.raises(ValueError, match=r"multiplied by an array of another length"):
            function(*wrong)


@pytest.mark.parametrize("case", CASES)
def test_jax(case: str) -> None:
    inputs, outputs = graphs(CASES[case][0], CASES[case][2])
    check(case, jax.jit(jax_function(inputs, outputs, {}))(ROWS.values, CASES[case][2]))


@pytest.mark.parametrize(("op", "axis"), [(ROW_PRODUCTS, "columns"), (COLUMN_PRODUCTS, "rows")])
def test_an_array_of_another_length_is_refused(op: Any, axis: str) -> None:
    array = pt.vector("array")
    function = pytensor.function([array], op(*ROWS, array))
    match = rf"sparse matrix of \d {axis} was multiplied by an array of shape \(3,\), whose first"
    with pytest.raises(ValueError, match=match):
        function(np.zeros(3))
