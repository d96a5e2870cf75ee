"""Values without named columns: their dtypes, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytensor
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayou.containers.reading.exact_cast import natural_dtype
from bayou.containers.reading.labelled_array import is_sparse, read_sparse, to_array
from tests.containers.helpers import FLIGHTS, INTEGERS, TABLE, data_refuses, value_of


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_and_booleans_keep_their_dtype(name: str) -> None:
    array = value_of(np.array([0, 1, 1], dtype=name))
    assert array.dtype == np.dtype(name)
    assert array.tolist() == [0, 1, 1]


@pytest.mark.parametrize("floatx", ["float32", "float64"])
@pytest.mark.parametrize("name", ["float16", "float32", "float64", ">f8"])
def test_floats_are_cast_to_floatx(name: str, floatx: str) -> None:
    with pytensor.config.change_flags(floatX=floatx):
        assert value_of(np.array([0.1, 2.0], dtype=name)).dtype == np.dtype(floatx)


@given(hnp.arrays(st.sampled_from([*INTEGERS, "float64"]), hnp.array_shapes(min_dims=0)))
def test_holds_a_copy_of_the_value(array: np.ndarray) -> None:
    value = np.nan_to_num(array)
    kept = value_of(value)
    assert kept.dtype == value.dtype
    np.testing.assert_array_equal(kept, value)
    assert not np.shares_memory(kept, value)


def test_big_endian_integers_are_turned() -> None:
    array = value_of(np.array([1, 2], dtype=">i4"))
    assert array.dtype == np.dtype("int32")
    assert array.tolist() == [1, 2]


def test_large_int64_is_kept_where_pymc_would_wrap_it() -> None:
    assert value_of(np.array([2**62 + 1])).tolist() == [2**62 + 1]


def test_lists_keep_their_kind() -> None:
    assert value_of([1, 2]).dtype == np.int64
    assert value_of([[1, 2.5], [3, 4]]).dtype == np.float64
    assert value_of([True, False]).dtype == np.bool_
    assert value_of([]).shape == (0,)


def test_scalars_are_held() -> None:
    array = value_of(3)
    assert array.shape == ()
    assert array == 3
    assert value_of(np.float64(2.5)) == 2.5


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Int64", "int64"),
        ("UInt8", "uint8"),
        ("Float64", "float64"),
        ("boolean", "bool"),
        ("int16[pyarrow]", "int16"),
        ("double[pyarrow]", "float64"),
        ("bool[pyarrow]", "bool"),
        ("Sparse[int]", "int64"),
    ],
)
def test_nullable_dtypes_without_nulls_are_the_numpy_kinds(name: str, kept: str) -> None:
    series = pd.Series([0, 1, 1], dtype=name)
    assert value_of(series).dtype == np.dtype(kept)
    # A frame of sparse columns alone is a sparse matrix; here is one that is not.
    dense = np.array([0, 1, 1], kept)
    frame = value_of(pd.DataFrame({"a": series, "b": dense}))
    assert frame.dtype == np.dtype(kept)
    assert frame.tolist() == [[0, 0], [1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        (("int8", "int32"), "int32"),
        (("bool", "int8"), "int8"),
        (("int64", "float32"), "float64"),
        (("int64", "uint64"), "int64"),
        (("bool", "bool"), "bool"),
    ],
)
def test_columns_of_a_frame_meet_in_a_dtype_that_holds_all(
    columns: tuple[str, str], kept: str
) -> None:
    array = value_of(pd.DataFrame({k: np.array([0, 1], dtype=d) for k, d in enumerate(columns)}))
    assert array.dtype == np.dtype(kept)
    assert array.tolist() == [[0, 0], [1, 1]]


def test_frame_without_columns_is_held() -> None:
    assert value_of(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_columns_with_the_same_name_are_held() -> None:
    assert value_of(pd.DataFrame([[1, 2]], columns=["a", "a"])).tolist() == [[1, 2]]


def test_frame_with_integers_that_floats_round_is_refused() -> None:
    frame = pd.DataFrame({"id": [1, 2**53 + 1], "hour": [0.5, 1.5]})
    data_refuses(
        ValueError,
        r"`value` of data container 'x' \(column 'id'\) must hold values that float64 can "
        r"represent, got 9007199254740993 \(int64\) in row 1",
        value=frame,
    )


def test_list_with_integers_that_numpy_rounds_is_refused() -> None:
    data_refuses(
        ValueError,
        r"must hold values that float64 can represent, got 9007199254740993 in row 1, column 0",
        value=[[0.5, 2.0], [2**53 + 1, 1e300]],
    )
    assert value_of([0.5, 2**53]).tolist() == [0.5, 2**53]


def test_float_beyond_floatx_is_refused() -> None:
    with pytensor.config.change_flags(floatX="float32"):
        data_refuses(
            ValueError, r"float32 can represent, got 1e\+300 \(float64\) in row 1", value=[1, 1e300]
        )


def test_infinity_is_a_number() -> None:
    assert value_of([np.inf]).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([1.0, np.nan, np.nan], "2: in row 1; in row 2"),
        ([1.0, None], "1: in row 1"),
        ([1, pd.NA], "1: in row 1"),
        (np.array([1, pd.NaT], dtype=object), "1: in row 1"),
        (
            np.full((2, 2), np.nan),
            "4: in row 0, column 0; in row 0, column 1; in row 1, column 0; ...",
        ),
        (np.full((1, 1, 1), np.nan), "1: at index (0, 0, 0)"),
        (np.array(np.nan), "1."),
        (np.ma.masked_array([1, 2], [False, True]), "1: in row 1"),
        (np.ma.masked_array([np.nan, 2.0], [False, True]), "2: in row 0; in row 1"),
        (pd.Series([1, None], dtype="Int64"), "1: in row 1"),
        (pd.Series([True, None], dtype="boolean"), "1: in row 1"),
        (pd.Series([1.0, None], dtype="double[pyarrow]"), "1: in row 1"),
        (pd.Series([1.0, np.nan], dtype="double[pyarrow]"), "1: in row 1"),
        (
            pd.DataFrame({"a": [1, 2, 3], "b": [1.0, np.nan, 2.0], "c": [None, 1, 2]}),
            "2: in row 0, column 'c'; in row 1, column 'b'",
        ),
    ],
)
def test_missing_values_are_refused(value: Any, got: str) -> None:
    data_refuses(
        ValueError,
        r"^`value` of data container 'x' must hold no missing values, got " + re.escape(got),
        value=value,
    )


def test_masked_array_without_masked_values_is_held() -> None:
    assert value_of(np.ma.masked_array([1, 2], [False, False])).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([1j], "complex128"),
        (["a"], "<U1"),
        ([1, "2"], "<U"),
        (np.array([1, 2], dtype=object), "object"),
        ([2**64], "object"),
        (["a", None], "object"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.array([1], dtype="timedelta64[s]"), r"timedelta64\[s\]"),
        (np.zeros(2, dtype=[("a", int)]), r"\[\('a', '<i8'\)\]"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), r"datetime64\["),
        (pd.Series(["a"]), "object|str"),
        (pd.Series(["a", None]), "object|str"),
        (pd.Series([1, 2], dtype="category"), "category"),
        (pd.Categorical([1, 2]), "category"),
        (None, "a NoneType"),
        ({"a": 1}, "a dict"),
        ((i for i in range(3)), "a generator"),
    ],
)
def test_other_kinds_are_type_errors(value: Any, got: str) -> None:
    data_refuses(
        TypeError,
        f"^`value` of data container 'x' must hold numbers or booleans, got ({got})",
        value=value,
    )


def test_symbolic_values_are_type_errors() -> None:
    data_refuses(
        TypeError, "must hold numbers or booleans, got a Tensor", value=pytensor.tensor.vector()
    )
    data_refuses(TypeError, "got a TensorSharedVariable", value=pytensor.shared(np.ones(2)))


def test_frame_with_text_names_the_column() -> None:
    frame = pd.DataFrame({"hour": [1, 2], "carrier": ["UA", "AA"]})
    data_refuses(TypeError, r"\(column 'carrier'\) must hold numbers or booleans", value=frame)


def test_ragged_list_is_refused() -> None:
    data_refuses(
        ValueError,
        "^`value` of data container 'x' must form an array, got a ragged list",
        value=[[1, 2], [3]],
    )


def test_labels_are_the_index_of_each_axis() -> None:
    assert to_array([1, 2], "`v`").labels == (None,)
    assert to_array(np.ones((2, 3)), "`v`").labels == (None, None)
    assert to_array(1.5, "`v`").labels == ()
    assert to_array(FLIGHTS, "`v`").labels[0] is FLIGHTS.index
    rows, columns = to_array(TABLE, "`v`").labels
    assert rows is TABLE.index
    assert columns is TABLE.columns


def test_an_array_of_the_dtype_is_not_copied() -> None:
    array = np.ones(3)
    assert to_array(array, "`v`").array is array
    assert to_array(array, "`v`", "int8").array.dtype == np.int8


@given(st.lists(st.sampled_from([*INTEGERS, "float32", "float64"]), max_size=4))
def test_the_natural_dtype_of_columns(names: list[str]) -> None:
    found = natural_dtype([np.dtype(name) for name in names])
    if not names or any(name.startswith("float") for name in names):
        assert found == np.dtype(pytensor.config.floatX)
    else:
        assert found.kind in "biu"
        assert all(np.can_cast(name, found) or found == np.int64 for name in names)


def test_the_subject_of_errors_is_the_argument() -> None:
    with pytest.raises(
        ValueError, match=r"^`size` must hold no missing values, got 1: in row 0\.\n"
    ):
        to_array([np.nan], "`size`")
    with pytest.raises(
        TypeError, match=r"^`size` must hold numbers or booleans, got <U1\.\nHint: p"
    ):
        to_array(["a"], "`size`")


def read(values: Any, dtype: Any = None) -> Any:
    return read_sparse(values, "`value`", dtype)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("bool", "int8"), ("int16", "int16"), ("uint64", "uint64"), ("float32", "float64")],
)
def test_sparse_matrices_keep_their_values_and_dtype(dtype: str, kept: str) -> None:
    values = np.array([[0, 1, 0], [1, 0, 1]], dtype)
    for matrix in (scipy.sparse.coo_array(values), scipy.sparse.csc_matrix(values)):
        array = read(matrix).array
        assert (array.format, array.dtype) == ("csr", kept)
        np.testing.assert_array_equal(array.toarray(), values)


def test_sparse_matrices_become_canonical() -> None:
    entries = ([1.0, 2.0, 0.0, 3.0], ([0, 0, 1, 1], [2, 2, 0, 1]))
    matrix = scipy.sparse.coo_matrix(entries, shape=(2, 3))
    array = read(matrix).array
    assert array.data.tolist() == [3.0, 3.0]
    assert array.has_canonical_format
    assert matrix.nnz == 4


def test_sparse_frames_are_read_with_their_labels() -> None:
    frame = pd.DataFrame.sparse.from_spmatrix(
        scipy.sparse.eye(3, format="csr"), index=["a", "b", "c"], columns=["x", "y", "z"]
    )
    assert is_sparse(frame)
    assert not is_sparse(frame.astype(pd.SparseDtype(float, fill_value=1.0)))
    table = read(frame)
    np.testing.assert_array_equal(table.array.toarray(), np.eye(3))
    assert [list(labels) for labels in table.labels] == [["a", "b", "c"], ["x", "y", "z"]]


@pytest.mark.parametrize(
    ("values", "dtype", "error", "match"),
    [
        (scipy.sparse.csr_matrix([[1, 0], [np.nan, np.nan]]), None, ValueError,
         r"must hold no missing values, got 2: in row 1, column 0; \.\.\.\.\nHint: drop or fill"),
        (scipy.sparse.csr_matrix([[0, 1.5]]), "int8", ValueError, r"int8 can represent, got 1\.5"),
        (scipy.sparse.csr_matrix([[0, 1j]]), None, TypeError, r"got a sparse matrix of complex128"),
        (np.zeros(3), None, ValueError, r"two axes as a sparse matrix, got shape \(3,\)\.\nHint: "),
    ],
)  # fmt: skip
def test_sparse_matrices_that_are_refused(
    values: Any, dtype: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        read(values, dtype)
