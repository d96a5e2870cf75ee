"""Primitives of JAX for products of padded rows: values, derivatives, maps over draws."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.test_util import check_grads

from bayou.containers.products import jax_products
from bayou.containers.products.jax_products import multiply_columns, multiply_rows
from bayou.containers.sparse.padded_rows import pad_rows_of

MATRIX = scipy.sparse.random(7, 5, 0.5, "csr", random_state=3)
ROWS = pad_rows_of(MATRIX, "X")
DENSE = MATRIX.toarray()
RANDOM = np.random.default_rng(0)
PRODUCTS: dict[str, tuple[Callable[[Any, Any], Any], np.ndarray]] = {
    "rows": (lambda values, array: multiply_rows(values, ROWS.columns, array), DENSE),
    "columns": (lambda values, array: multiply_columns(values, ROWS.columns, 5, array), DENSE.T),
}
each = pytest.mark.parametrize("name", PRODUCTS)


@each
@pytest.mark.parametrize("most_unrolled", [0, 32])
def test_products(name: str, most_unrolled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax_products, "MOST_UNROLLED", most_unrolled)
    product, dense = PRODUCTS[name]
    for shape in ((), (3,), (2, 3)):
        array = RANDOM.normal(size=(dense.shape[1], *shape))
        expected = np.tensordot(dense, array, 1)
        np.testing.assert_allclose(product(ROWS.values, array), expected, rtol=1e-12)
        # Another function each time, so that JAX traces it anew.
        compiled = jax.jit(lambda values, array: product(values, array))  # noqa: PLW0108
        np.testing.assert_allclose(compiled(ROWS.values, array), expected, rtol=1e-12)


@each
@pytest.mark.parametrize("shape", [(), (3,)])
def test_derivatives_of_values_and_arrays(name: str, shape: tuple[int, ...]) -> None:
    product, dense = PRODUCTS[name]
    array = RANDOM.normal(size=(dense.shape[1], *shape))
    check_grads(product, (jnp.asarray(ROWS.values), jnp.asarray(array)), order=2, rtol=1e-6)


@each
def test_maps_over_arrays_and_over_matrices(name: str) -> None:
    product, dense = PRODUCTS[name]
    arrays = RANDOM.normal(size=(4, dense.shape[1]))
    mapped = jax.vmap(product, (None, 0))(ROWS.values, arrays)
    np.testing.assert_allclose(mapped, arrays @ dense.T, rtol=1e-12)
    matrices = ROWS.values * np.arange(4.0)[:, None, None]
    for axes, array in (((0, None), arrays[0]), ((0, 0), arrays)):
        mapped = jax.vmap(product, axes)(matrices, array)
        expected = np.arange(4.0)[:, None] * (array @ dense.T)
        np.testing.assert_allclose(mapped, expected, rtol=1e-12)
    slopes = jax.vmap(jax.grad(lambda array: (product(ROWS.values, array) ** 2).sum()))(arrays)
    np.testing.assert_allclose(slopes, 2 * arrays @ dense.T @ dense, rtol=1e-12)


@each
def test_hessians(name: str) -> None:
    product, dense = PRODUCTS[name]
    loss = jax.jit(jax.hessian(lambda array: (product(ROWS.values, array) ** 2).sum()))
    hessian = loss(np.ones(dense.shape[1]))
    np.testing.assert_allclose(hessian, 2 * dense.T @ dense, rtol=1e-12, atol=1e-14)
    text = str(jax.make_jaxpr(loss)(np.ones(dense.shape[1])))
    assert "sparse_rows" in text
    assert "sparse_columns" in text


def test_integers_multiply_reals() -> None:
    values = (10 * ROWS.values).astype(np.int8)
    product = multiply_rows(values, ROWS.columns, np.ones(5))
    np.testing.assert_array_equal(product, values.sum(axis=1))
