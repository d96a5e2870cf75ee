"""The rows of a sparse matrix as two dense arrays, so that rows are cut and fed as any others are.

Each row has its non-zeros and their columns, side by side, padded to the longest row (the ELLPACK
format; Bell and Garland 2009, "Implementing sparse matrix-vector multiplication"). What is padded
repeats the last column of the row, with a value of 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers

# Padding may take so many times the memory of the non-zeros. A matrix of fewer entries than these,
# 120 MB with their columns, is padded in any case.
MOST_PADDING = 8
FREE_ENTRIES = 10_000_000


class UnevenRowsError(ValueError):
    """The rows of a matrix are too uneven to be padded to the longest."""


class PaddedRows(NamedTuple):
    """The non-zeros of a matrix, row by row.

    Attributes
    ----------
    values : ndarray, shape (num_rows, width)
        The non-zeros of each row, then zeros.
    columns : ndarray of int32, shape (num_rows, width)
        The column of each.
    num_columns : ndarray of int64, shape ()
        The number of columns of the matrix.
    """

    values: Numbers
    columns: NDArray[np.int32]
    num_columns: NDArray[np.int64]


def pad_rows_of(matrix: scipy.sparse.spmatrix, name: str | None) -> PaddedRows:
    """Return the rows of a sparse matrix of SciPy, padded to the longest.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array, shape (num_rows, num_columns)
        The matrix, in any format.
    name : str or None
        Its name in the model, for errors.

    Raises
    ------
    UnevenRowsError
        If padding would take many times the memory of the non-zeros.

    Examples
    --------
    >>> rows = pad_rows_of(scipy.sparse.csr_matrix([[0, 5, 6], [7, 0, 0]]), "X")
    >>> rows.values
    array([[5, 6],
           [7, 0]])
    >>> rows.columns
    array([[1, 2],
           [0, 0]], dtype=int32)
    """
    matrix = scipy.sparse.csr_matrix(matrix)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    num_rows, num_columns = matrix.shape
    lengths = np.diff(matrix.indptr)
    width = max(1, int(lengths.max(initial=0)))
    size = num_rows * width
    if size > max(FREE_ENTRIES, MOST_PADDING * matrix.nnz):
        raise UnevenRowsError(
            f"The rows of the sparse {name or 'matrix'!r} must have about the same number of "
            f"non-zeros, got up to {width} in a row and {matrix.nnz / num_rows:.3g} on average.\n"
            "Hint: all rows are padded to the longest. Leave out the columns that nearly all long "
            "rows have in common, or pass these as a dense container beside the sparse one."
        )
    count = np.array(num_columns, dtype=np.int64)
    if matrix.nnz == size:
        columns = matrix.indices.reshape(num_rows, width).astype(np.int32, copy=False)
        return PaddedRows(matrix.data.reshape(num_rows, width), columns, count)
    is_entry = np.arange(width) < lengths[:, None]
    values = np.zeros((num_rows, width), matrix.dtype)
    values[is_entry] = matrix.data
    # An empty row has no column; it takes any.
    ends = np.maximum(matrix.indptr[1:] - 1, 0)
    last = matrix.indices[ends] if matrix.nnz else np.zeros(num_rows, np.int32)
    columns = np.repeat(last.astype(np.int32)[:, None], width, axis=1)
    columns[is_entry] = matrix.indices
    return PaddedRows(values, columns, count)
