"""Numba's implementations of operations: row numbers, lengths, items of generators, products.

Imported by :mod:`bayou.containers.variables.numba_loader` when PyTensor compiles with Numba.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NoReturn

import numba
import numpy as np
from pytensor.link.numba.dispatch.basic import (
    get_numba_type,
    numba_funcify,
    numba_njit,
    register_funcify_default_op_cache_key,
)

from bayou.containers.products.sparse_product import ColumnProducts, RowProducts
from bayou.containers.variables.generator import NextItem
from bayou.containers.variables.random_rows import NumRows, UniformRows
from bayou.sampling import uniform

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply

    from bayou.containers.variables.dims import Numbers


@register_funcify_default_op_cache_key(UniformRows)
def _uniform_rows(op: UniformRows, node: Apply[UniformRows] | None = None, **kwargs: object) -> Any:
    mix, scale = numba_njit(uniform.mix), numba_njit(uniform.scale)
    stream_key, size, golden = np.uint64(op.key), op.size, uniform.GOLDEN

    @numba_njit
    def rows_of_step(step: Any, length: Any) -> Any:
        num_rows = np.uint64(length.item())
        start = mix(stream_key + mix(np.uint64(step.item()) + golden))
        rows = np.empty(size, dtype=np.int64)
        for index in range(size):
            rows[index] = np.int64(scale(mix(start + np.uint64(index + 1) * golden), num_rows))
        return rows

    return rows_of_step


@register_funcify_default_op_cache_key(NumRows)
def _num_rows(op: NumRows, node: Apply[NumRows] | None = None, **kwargs: object) -> Any:
    axis = op.axis

    @numba_njit
    def num_rows(storage: Any) -> Any:
        return np.array(storage.shape[axis])

    return num_rows


@register_funcify_default_op_cache_key(RowProducts)
def _row_products(op: RowProducts, node: Apply[RowProducts], **kwargs: object) -> Any:
    dtype = np.dtype(node.outputs[0].type.dtype)

    @numba_njit
    def of_vector(values: Any, columns: Any, num_columns: Any, array: Any) -> Any:
        # Numba does not check indices.
        if array.shape[0] != num_columns.item():
            raise ValueError("A sparse matrix was multiplied by an array of another length.")
        product = np.zeros(values.shape[0], dtype=dtype)
        for row in range(values.shape[0]):
            for entry in range(values.shape[1]):
                product[row] += values[row, entry] * array[columns[row, entry]]
        return product

    @numba_njit
    def of_matrix(values: Any, columns: Any, num_columns: Any, array: Any) -> Any:
        if array.shape[0] != num_columns.item():
            raise ValueError("A sparse matrix was multiplied by an array of another length.")
        product = np.zeros((values.shape[0], array.shape[1]), dtype=dtype)
        for row in range(values.shape[0]):
            for entry in range(values.shape[1]):
                product[row] += values[row, entry] * array[columns[row, entry]]
        return product

    return of_vector if node.inputs[3].type.ndim == 1 else of_matrix


@register_funcify_default_op_cache_key(ColumnProducts)
def _column_products(op: ColumnProducts, node: Apply[ColumnProducts], **kwargs: object) -> Any:
    dtype = np.dtype(node.outputs[0].type.dtype)

    @numba_njit
    def of_vector(values: Any, columns: Any, num_columns: Any, array: Any) -> Any:
        if array.shape[0] != values.shape[0]:
            raise ValueError("A sparse matrix was multiplied by an array of another length.")
        product = np.zeros(num_columns.item(), dtype=dtype)
        for row in range(values.shape[0]):
            for entry in range(values.shape[1]):
                product[columns[row, entry]] += values[row, entry] * array[row]
        return product

    @numba_njit
    def of_matrix(values: Any, columns: Any, num_columns: Any, array: Any) -> Any:
        if array.shape[0] != values.shape[0]:
            raise ValueError("A sparse matrix was multiplied by an array of another length.")
        product = np.zeros((num_columns.item(), array.shape[1]), dtype=dtype)
        for row in range(values.shape[0]):
            for entry in range(values.shape[1]):
                product[columns[row, entry]] += values[row, entry] * array[row]
        return product

    return of_vector if node.inputs[3].type.ndim == 1 else of_matrix


class _Taker:
    """A callable that takes the next item, called by Numba in object mode.

    It refuses to be pickled, which tells Numba not to cache the compiled function on disk: another
    process does not have the iterator.
    """

    def __init__(self, op: NextItem) -> None:
        self.op = op

    def __call__(self) -> Numbers:
        return self.op.take()

    def __reduce__(self) -> NoReturn:
        raise pickle.PicklingError("The items of a generator are in this process alone.")


@numba_funcify.register(NextItem)
def _next_item(op: NextItem, node: Apply[NextItem], **kwargs: object) -> Any:
    item_type = get_numba_type(node.outputs[0].type)
    take = _Taker(op)

    @numba_njit
    def next_item() -> Any:
        with numba.objmode(item=item_type):
            item = take()
        return item  # noqa: RET504 (object mode hands it over by its name)

    return next_item
