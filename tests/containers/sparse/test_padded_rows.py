"""The non-zeros of rows as dense arrays of one width."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from bayou.containers.sparse.padded_rows import FREE_ENTRIES, PaddedRows, pad_rows_of


def dense(rows: PaddedRows) -> np.ndarray:
    matrix = np.zeros((len(rows.values), int(rows.num_columns)), rows.values.dtype)
    np.add.at(matrix, (np.arange(len(matrix))[:, None], rows.columns), rows.values)
    return matrix


@given(
    st.integers(1, 8), st.integers(1, 6), st.floats(0, 1), st.sampled_from(["csr", "csc", "coo"])
)
def test_rows_have_the_values_of_the_matrix(n: int, p: int, density: float, form: str) -> None:
    matrix = scipy.sparse.random(n, p, density, form, random_state=n)
    rows = pad_rows_of(matrix, "X")
    np.testing.assert_array_equal(dense(rows), matrix.toarray())
    assert rows.columns.dtype == np.int32
    assert rows.values.shape[1] == max(1, *np.diff(matrix.tocsr().indptr))


def test_duplicates_are_summed_and_unsorted_columns_are_sorted() -> None:
    matrix = scipy.sparse.coo_array(([1, 2, 3, 4], ([0, 0, 1, 0], [2, 0, 1, 2])), shape=(3, 3))
    rows = pad_rows_of(matrix, "X")
    np.testing.assert_array_equal(rows.values, [[2, 5], [3, 0], [0, 0]])
    np.testing.assert_array_equal(rows.columns, [[0, 2], [1, 1], [1, 1]])


def test_even_rows_are_not_copied() -> None:
    matrix = scipy.sparse.csr_matrix(np.eye(4))
    assert np.shares_memory(pad_rows_of(matrix, "X").values, matrix.data)


def test_a_matrix_of_zeros() -> None:
    rows = pad_rows_of(scipy.sparse.csr_matrix((3, 5)), "X")
    np.testing.assert_array_equal(dense(rows), np.zeros((3, 5)))


def test_very_uneven_rows_are_refused() -> None:
    longest = FREE_ENTRIES // 1000 + 1
    matrix = scipy.sparse.lil_matrix((1000, longest))
    matrix[0] = 1.0
    match = (
        rf"rows of the sparse 'X' must have .*, got up to {longest} in a row and 10 on average"
        r"\.\nHint: all rows are padded"
    )
    with pytest.raises(ValueError, match=match):
        pad_rows_of(matrix, "X")
