"""The products of a matrix that is held as padded rows, as operations of PyTensor.

PyTensor's own sparse operations take SciPy's matrices, which JAX has not, and of which no batch can
be drawn. These take dense arrays: the non-zeros of each row and their columns. Each is the gradient
of the other, so that second derivatives are sparse as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import jax
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.graph.op import OutputStorageType

    type _JaxProduct = Callable[[jax.Array, jax.Array, int, jax.Array], jax.Array]


class _Product(Op):
    """An operation of the values and columns of padded rows, the number of columns, and an array.

    The array has a row for each column of the matrix, or for each row of it; it may have columns.
    """

    __props__ = ()

    def make_node(
        self, values: Variable, columns: Variable, num_columns: Variable, array: Variable
    ) -> Apply[_Product]:
        """Apply the operation to padded rows and an array of one or two axes."""
        inputs = [pt.as_tensor(part) for part in (values, columns, num_columns, array)]
        dtype = np.result_type(inputs[0].dtype, inputs[3].dtype)
        output = pt.TensorType(str(dtype), shape=(None, *inputs[3].type.shape[1:]))
        return Apply(self, inputs, [output()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return that the output is a function of the values and the array."""
        return [[True], [False], [False], [True]]


class RowProducts(_Product):
    """The matrix times an array, shape (num_columns, ...) -> (num_rows, ...)."""

    def perform(
        self, node: Apply, inputs: Sequence[NDArray[Any]], output_storage: OutputStorageType
    ) -> None:
        """Evaluate the operation with NumPy."""
        values, columns, num_columns, array = inputs
        _check_length("columns", int(num_columns), array)
        product = np.einsum("rk,rk...->r...", values, array[columns])
        output_storage[0][0] = np.asarray(product, node.outputs[0].dtype)

    def infer_shape(self, *arguments: Any) -> list[tuple[Variable, ...]]:
        """Return a row for each row of the matrix. PyTensor 3.1 passes one argument more."""
        _, shapes = arguments[-2:]
        return [(shapes[0][0], *shapes[3][1:])]

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        """Return the gradients with respect to the values and the array."""
        values, columns, num_columns, array = inputs
        [slope] = cotangents
        to_values = _entry_products(slope, array[columns])
        to_array = COLUMN_PRODUCTS(values, columns, num_columns, slope)
        return [to_values, disconnected_type(), disconnected_type(), to_array]


class ColumnProducts(_Product):
    """The transposed matrix times an array, shape (num_rows, ...) -> (num_columns, ...)."""

    def perform(
        self, node: Apply, inputs: Sequence[NDArray[Any]], output_storage: OutputStorageType
    ) -> None:
        """Evaluate the operation with NumPy."""
        values, columns, num_columns, array = inputs
        _check_length("rows", len(values), array)
        shape = (int(num_columns), *array.shape[1:])
        product = np.zeros(shape, node.outputs[0].dtype)
        np.add.at(product, columns, np.einsum("rk,r...->rk...", values, array))
        output_storage[0][0] = product

    def infer_shape(self, *arguments: Any) -> list[tuple[Variable, ...]]:
        """Return a row for each column of the matrix."""
        node, shapes = arguments[-2:]
        return [(node.inputs[2], *shapes[3][1:])]

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        """Return the gradients with respect to the values and the array."""
        values, columns, num_columns, array = inputs
        [slope] = cotangents
        to_values = _entry_products(array, slope[columns])
        to_array = ROW_PRODUCTS(values, columns, num_columns, slope)
        return [to_values, disconnected_type(), disconnected_type(), to_array]


ROW_PRODUCTS = RowProducts()
COLUMN_PRODUCTS = ColumnProducts()


def _entry_products(of_rows: Variable, of_entries: Variable) -> Variable:
    """Return for each entry the product of its row of an array and its own of another."""
    products = pt.expand_dims(of_rows, 1) * of_entries
    return products if products.type.ndim == 2 else products.sum(axis=2)


def _check_length(axis: str, length: int, array: NDArray[np.generic]) -> None:
    if len(array) != length:
        raise ValueError(
            f"A sparse matrix of {length} {axis} was multiplied by an array of shape "
            f"{array.shape}, whose first axis must be as long."
        )


@jax_funcify.register(RowProducts)
def _jax_row_products(op: RowProducts, **kwargs: object) -> _JaxProduct:
    from bayou.containers.products.jax_products import multiply_rows

    return lambda values, columns, num_columns, array: multiply_rows(values, columns, array)


@jax_funcify.register(ColumnProducts)
def _jax_column_products(op: ColumnProducts, **kwargs: object) -> _JaxProduct:
    from bayou.containers.products.jax_products import multiply_columns

    # The number of columns is a constant, since JAX must know lengths when it compiles.
    return lambda values, columns, num_columns, array: multiply_columns(
        values, columns, int(num_columns), array
    )
