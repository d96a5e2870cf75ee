"""The products of padded rows as primitives of JAX, each of which is the transpose of the other.

JAX differentiates gathers one by one, and maps each over draws by itself. These keep to one gather
and one scatter of the matrix in derivatives of any order; mapped over many arrays, they are the
products with a matrix of these.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

type Tangent = jax.Array | ad.Zero

# Up to so many non-zeros a row, JAX gets one gather for each of them: XLA fuses those into one loop
# over the rows. 10^6 rows of 10 took 33 ms on an idle core, and 152 ms by one gather of all.
MOST_UNROLLED = 32


def multiply_rows(values: jax.Array, columns: jax.Array, array: jax.Array) -> jax.Array:
    """Return the matrix times an array, shape (num_columns, ...) -> (num_rows, ...).

    Parameters
    ----------
    values, columns : array, shape (num_rows, width)
        The rows, as :class:`bayou.containers.sparse.padded_rows.PaddedRows` has them.
    array : array, shape (num_columns, ...)
    """
    dtype = jnp.result_type(values, array)
    product: jax.Array = _ROWS.bind(values.astype(dtype), columns, array.astype(dtype))
    return product


def multiply_columns(
    values: jax.Array, columns: jax.Array, num_columns: int, array: jax.Array
) -> jax.Array:
    """Return the transposed matrix times an array, shape (num_rows, ...) -> (num_columns, ...)."""
    dtype = jnp.result_type(values, array)
    product: jax.Array = _COLUMNS.bind(
        values.astype(dtype), columns, array.astype(dtype), num_columns=num_columns
    )
    return product


def _gather(values: jax.Array, columns: jax.Array, array: jax.Array) -> jax.Array:
    if values.shape[1] > MOST_UNROLLED:
        return jnp.einsum("rk,rk...->r...", values, array[columns])
    axes = tuple(range(1, array.ndim))
    products = (
        jnp.expand_dims(values[:, entry], axes) * array[columns[:, entry]]
        for entry in range(values.shape[1])
    )
    return reduce(add, products)


def _scatter(
    values: jax.Array, columns: jax.Array, array: jax.Array, *, num_columns: int
) -> jax.Array:
    # Not einsum, which XLA takes for a product of small matrices, one for each row.
    products = jnp.expand_dims(values, tuple(range(2, array.ndim + 1))) * array[:, None]
    return jnp.zeros((num_columns, *array.shape[1:]), products.dtype).at[columns].add(products)


def _of_entries(of_rows: jax.Array, of_columns: jax.Array, columns: jax.Array) -> jax.Array:
    """Return for each entry the product of its row of an array with its column's of another."""
    return jnp.einsum("r...,rk...->rk", of_rows, of_columns[columns])


def _derivative(
    primitive: Primitive,
    primals: Sequence[jax.Array],
    tangents: Sequence[Tangent],
    **options: int,
) -> tuple[jax.Array, Tangent]:
    values, columns, array = primals
    of_values, _, of_array = tangents
    product = primitive.bind(*primals, **options)
    parts = [
        primitive.bind(*factors, **options)
        for factors, tangent in (
            ((of_values, columns, array), of_values),
            ((values, columns, of_array), of_array),
        )
        if not isinstance(tangent, ad.Zero)
    ]
    return product, sum(parts) if parts else ad.Zero(product.aval)


# The argument that is differentiated is undefined in these, the other an array.
def _transpose_rows(
    cotangent: jax.Array, values: Any, columns: jax.Array, array: Any
) -> list[jax.Array | None]:
    if ad.is_undefined_primal(values):
        return [_of_entries(cotangent, array, columns), None, None]
    return [None, None, multiply_columns(values, columns, array.aval.shape[0], cotangent)]


def _transpose_columns(
    cotangent: jax.Array, values: Any, columns: jax.Array, array: Any, *, num_columns: int
) -> list[jax.Array | None]:
    if ad.is_undefined_primal(values):
        return [_of_entries(array, cotangent, columns), None, None]
    return [None, None, multiply_rows(values, columns, cotangent)]


def _map(
    primitive: Primitive,
    compute: Callable[..., jax.Array],
    arguments: Sequence[jax.Array],
    axes: Sequence[int | None],
    **options: int,
) -> tuple[jax.Array, int]:
    values, columns, array = arguments
    if axes[0] is not None or axes[1] is not None:
        # Several matrices: those of many data sets.
        return jax.vmap(partial(compute, **options), tuple(axes))(*arguments), 0
    assert axes[2] is not None
    last = jnp.moveaxis(array, axes[2], -1)
    product = primitive.bind(values, columns, last, **options)
    return product, product.ndim - 1


def _primitive(
    name: str,
    compute: Callable[..., jax.Array],
    num_results: Callable[..., int],
    transpose: Callable[..., list[jax.Array | None]],
) -> Primitive:
    """Return a primitive of a bilinear function of the values and an array."""
    primitive = Primitive(name)
    primitive.def_impl(compute)
    primitive.def_abstract_eval(
        lambda values, columns, array, **options: ShapedArray(
            (num_results(values, **options), *array.shape[1:]), array.dtype
        )
    )
    ad.primitive_jvps[primitive] = partial(_derivative, primitive)
    ad.primitive_transposes[primitive] = transpose
    batching.primitive_batchers[primitive] = partial(_map, primitive, compute)
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=False))
    return primitive


_ROWS = _primitive("sparse_rows", _gather, lambda values: values.shape[0], _transpose_rows)
_COLUMNS = _primitive(
    "sparse_columns", _scatter, lambda values, num_columns: num_columns, _transpose_columns
)
