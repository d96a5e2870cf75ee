"""Numba's implementations of the operations of ``quick_operations``.

Import this only where a density is compiled: Numba takes a second and 100 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.type_other import NoneTypeT

from bayou.nuts.code_cache.library_symbols import add_symbols, symbol_of
from bayou.nuts.operations.quick_operations import (
    CholeskyFactor,
    MatrixProduct,
    ShapeCheck,
    TriangularSolution,
)

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply

add_symbols()


def _external(name: str, num_arguments: int) -> Any:
    """Return a function of BLAS or LAPACK, whose arguments are addresses."""
    signature = types.void(*[types.intp] * num_arguments)
    return types.ExternalFunction(symbol_of(name), signature)


_DGEMM = _external("dgemm", 13)
_DPOTRF = _external("dpotrf", 5)
_DTRSM = _external("dtrsm", 11)
_NORMAL, _TRANSPOSED = ord("N"), ord("T")
_UPPER, _LOWER, _RIGHT, _UNIT = ord("U"), ord("L"), ord("R"), ord("U")


# How a matrix lies in memory: in a way that BLAS cannot read, by rows, or by columns.
_OTHER, _BY_ROWS, _BY_COLUMNS = range(3)


@numba.njit
def _layout(matrix: Any) -> Any:
    rows, columns = matrix.shape
    across, along = matrix.strides
    if along == 8 and across % 8 == 0 and across >= 8 * columns:
        return _BY_ROWS
    if across == 8 and along % 8 == 0 and along >= 8 * rows:
        return _BY_COLUMNS
    return _OTHER


@numba.njit
def _leading_length(matrix: Any, layout: Any) -> Any:
    """Return the numbers from one row, or column, to the next: at least one, as BLAS asks."""
    return max(1, matrix.strides[0 if layout == _BY_ROWS else 1] // 8)


@numba.njit
def _multiply_column(matrix: Any, column: Any, product: Any) -> None:
    """Write a matrix times a matrix of one column into another of one column."""
    rows, length = matrix.shape
    if matrix.strides[1] <= matrix.strides[0]:
        # By rows. Four sums at once, since each addition waits for the one before.
        rest = length - length % 4
        for row in range(rows):
            one = two = three = four = 0.0
            for index in range(0, rest, 4):
                one += matrix[row, index] * column[index, 0]
                two += matrix[row, index + 1] * column[index + 1, 0]
                three += matrix[row, index + 2] * column[index + 2, 0]
                four += matrix[row, index + 3] * column[index + 3, 0]
            for index in range(rest, length):
                one += matrix[row, index] * column[index, 0]
            product[row, 0] = (one + two) + (three + four)
        return
    for row in range(rows):
        product[row, 0] = 0.0
    for index in range(length):
        number = column[index, 0]
        for row in range(rows):
            product[row, 0] += matrix[row, index] * number


@numba.njit
def _multiply_matrices(first: Any, second: Any, product: Any) -> Any:
    """Write the product of matrices that BLAS takes into one that lies by rows."""
    rows, inner = first.shape
    columns = second.shape[1]
    first_layout, second_layout = _layout(first), _layout(second)
    sizes, numbers, letters = np.empty(6, np.int32), np.empty(2), np.empty(2, np.int8)
    # BLAS has matrices by columns: it multiplies the transposed ones, in the other order.
    sizes[0], sizes[1], sizes[2] = columns, rows, inner
    sizes[3] = _leading_length(second, second_layout)
    sizes[4] = _leading_length(first, first_layout)
    sizes[5] = columns
    numbers[0], numbers[1] = 1.0, 0.0
    letters[0] = _NORMAL if second_layout == _BY_ROWS else _TRANSPOSED
    letters[1] = _NORMAL if first_layout == _BY_ROWS else _TRANSPOSED
    size, number, letter = sizes.ctypes.data, numbers.ctypes.data, letters.ctypes.data
    _DGEMM(
        letter,
        letter + 1,
        size,
        size + 4,
        size + 8,
        number,
        second.ctypes.data,
        size + 12,
        first.ctypes.data,
        size + 16,
        number + 8,
        product.ctypes.data,
        size + 20,
    )
    # Arrays live until they are last used.
    return sizes, numbers, letters


@register_funcify_default_op_cache_key(MatrixProduct)
def _matrix_product(op: MatrixProduct, node: Apply[MatrixProduct], **kwargs: object) -> Any:
    @numba_njit
    def check_lengths(first: Any, second: Any) -> None:
        if first.shape[1] != second.shape[0]:
            raise ValueError("Matrices that are multiplied must have the same inner length.")

    @numba_njit
    def multiply_column(first: Any, second: Any) -> Any:
        check_lengths(first, second)
        product = np.empty((first.shape[0], 1))
        _multiply_column(first, second, product)
        return product

    @numba_njit
    def multiply_row(first: Any, second: Any) -> Any:
        check_lengths(first, second)
        product = np.empty((1, second.shape[1]))
        _multiply_column(second.T, first.T, product.T)
        return product

    @numba_njit
    def multiply(first: Any, second: Any) -> Any:
        check_lengths(first, second)
        product = np.zeros((first.shape[0], second.shape[1]))
        if product.size and first.shape[1]:
            # A slice of a copy has the type of a matrix of any layout.
            first = first[::1, ::1] if _layout(first) else first.copy()[::1, ::1]
            second = second[::1, ::1] if _layout(second) else second.copy()[::1, ::1]
            _multiply_matrices(first, second, product)
        return product

    rows, columns = node.outputs[0].type.shape
    # What is known to be a vector needs no BLAS, which takes longer to compile and to call.
    return multiply_column if columns == 1 else multiply_row if rows == 1 else multiply


@register_funcify_default_op_cache_key(CholeskyFactor)
def _cholesky_factor(op: CholeskyFactor, node: Apply[CholeskyFactor], **kwargs: object) -> Any:
    is_lower = op.lower
    # LAPACK has matrices by columns: it sees the transposed one.
    triangle = _UPPER if is_lower else _LOWER

    @numba_njit
    def factorize(matrix: Any) -> Any:
        size = matrix.shape[0]
        if matrix.shape[1] != size:
            raise ValueError("A matrix must be square to have a Cholesky factor.")
        factor = np.zeros((size, size))
        for row in range(size):
            for column in range(row + 1) if is_lower else range(row, size):
                factor[row, column] = matrix[row, column]
        sizes, letters = np.empty(2, np.int32), np.empty(1, np.int8)
        sizes[0], sizes[1], letters[0] = size, 0, triangle
        lengths = sizes.ctypes.data
        _DPOTRF(letters.ctypes.data, lengths, factor.ctypes.data, lengths, lengths + 4)
        if sizes[1] != 0 or letters[0] != triangle:
            factor.fill(np.nan)
        return factor

    return factorize


@numba.njit
def _solve_triangular(
    matrix: Any, solution: Any, num_columns: Any, is_lower: Any, is_unit: Any
) -> Any:
    """Replace the right side of a triangular system, which lies by rows, by its solution."""
    layout = _layout(matrix)
    sizes, numbers, letters = np.empty(3, np.int32), np.empty(1), np.empty(4, np.int8)
    # BLAS has matrices by columns: all that lies by rows is transposed.
    sizes[0], sizes[1], sizes[2] = num_columns, len(matrix), _leading_length(matrix, layout)
    numbers[0] = 1.0
    letters[0] = _RIGHT
    letters[1] = _UPPER if is_lower == (layout == _BY_ROWS) else _LOWER
    letters[2] = _NORMAL if layout == _BY_ROWS else _TRANSPOSED
    letters[3] = _UNIT if is_unit else _NORMAL
    size, letter = sizes.ctypes.data, letters.ctypes.data
    _DTRSM(
        letter,
        letter + 1,
        letter + 2,
        letter + 3,
        size,
        size + 4,
        numbers.ctypes.data,
        matrix.ctypes.data,
        size + 8,
        solution.ctypes.data,
        size,
    )
    # Arrays live until they are last used.
    return sizes, numbers, letters


@register_funcify_default_op_cache_key(TriangularSolution)
def _triangular_solution(
    op: TriangularSolution, node: Apply[TriangularSolution], **kwargs: object
) -> Any:
    is_lower, is_unit, is_matrix = op.lower, op.unit_diagonal, op.b_ndim == 2

    @numba_njit
    def solve(matrix: Any, right: Any) -> Any:
        size = matrix.shape[0]
        if matrix.shape[1] != size or right.shape[0] != size:
            raise ValueError("A triangular system must be square, with as many rows on its right.")
        solution = right.copy()
        num_columns = right.shape[1] if is_matrix else 1
        if not is_unit:
            for row in range(size):
                if matrix[row, row] == 0.0:
                    solution.fill(np.nan)
                    return solution
        if size and num_columns:
            matrix = matrix[::1, ::1] if _layout(matrix) else matrix.copy()[::1, ::1]
            _solve_triangular(matrix, solution, num_columns, is_lower, is_unit)
        return solution

    return solve


@register_funcify_default_op_cache_key(ShapeCheck)
def _shape_check(op: ShapeCheck, node: Apply[ShapeCheck], **kwargs: object) -> Any:
    names = [f"length_{axis}" for axis in range(len(node.inputs) - 1)]
    source = f"def check_shape(array, {', '.join(names)}):\n"
    for axis, (name, length) in enumerate(zip(names, node.inputs[1:], strict=True)):
        if not isinstance(length.type, NoneTypeT):
            source += f"    if array.shape[{axis}] != {name}.item():\n"
            source += f"        raise ValueError('Axis {axis} has not the length it must have.')\n"
    scope: dict[str, Any] = {}
    exec(source + "    return array\n", scope)
    return numba_njit(scope["check_shape"])
