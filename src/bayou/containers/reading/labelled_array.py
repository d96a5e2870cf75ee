"""Reads values without named columns: an array of numbers or booleans, and the index of its axes.

Reading takes one pass for missing values and one for the cast. Sparse matrices stay sparse.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from bayou.containers.reading.exact_cast import exact_cast, natural_dtype, position_text
from bayou.sources.in_memory.array import check_dense
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt

    from bayou.containers.variables.dims import Numbers


class LabelledArray(NamedTuple):
    """Numbers or booleans, with the index of each axis.

    Attributes
    ----------
    array : ndarray or scipy.sparse.csr_matrix
        The values.
    labels : tuple of (pandas.Index or None)
        The index of each axis, None for an axis without one.
    """

    array: Numbers | scipy.sparse.csr_matrix
    labels: tuple[pd.Index | None, ...]


def to_array(values: object, argument: str, dtype: npt.DTypeLike | None = None) -> LabelledArray:
    """Read an array, with the index of its axes, from an array_like, a Series or a DataFrame.

    Parameters
    ----------
    values : array_like, pandas.Series, pandas.DataFrame or xarray.DataArray
        Booleans, integers or floats.
    argument : str
        The argument that `values` came from, as the subject of errors.
    dtype : dtype_like, optional
        The dtype to cast to, if that is exact. By default ``floatX`` for floats; booleans and
        integers keep their dtype.

    Returns
    -------
    LabelledArray
        The array may share memory with `values`.

    Raises
    ------
    TypeError
        If `values` hold anything else than numbers and booleans.
    ValueError
        If `values` are ragged, have missing ones or lose some by the cast.
    """
    if isinstance(values, pd.DataFrame):
        return _read_frame(values, argument, dtype)
    array, missing = _numbers(values, argument)
    _check_none_missing(missing, argument)
    if isinstance(values, list | tuple) and array.dtype.kind == "f":
        _check_not_rounded(values, array, argument)
    labels: tuple[pd.Index | None, ...] = (None,) * array.ndim
    if isinstance(values, pd.Series):
        labels = (values.index,)
    elif isinstance(values, xr.DataArray):
        labels = tuple(values.indexes.get(dim) for dim in values.dims)
    array = exact_cast(array, dtype or natural_dtype([array.dtype]), argument)
    return LabelledArray(array, labels)


def in_dim_order(values: object, dims: Sequence[str | None]) -> object:
    """Return an xarray.DataArray with its axes in the order of some dims, if it has all of them."""
    if isinstance(values, xr.DataArray) and set(values.dims) == set(dims):
        return values.transpose(*dims)
    return values


def _read_frame(values: pd.DataFrame, argument: str, dtype: npt.DTypeLike | None) -> LabelledArray:
    arrays: list[Numbers] = []
    missing = np.empty(values.shape, dtype=bool)
    for position, name in enumerate(values.columns):
        array, missing[:, position] = _numbers(
            values.iloc[:, position], f"{argument} (column {name!r})"
        )
        arrays.append(array)
    _check_none_missing(missing, argument, list(values.columns))
    dtype = np.dtype(dtype or natural_dtype([array.dtype for array in arrays]))
    matrix = np.empty(values.shape, dtype)
    for position, name in enumerate(values.columns):
        matrix[:, position] = exact_cast(arrays[position], dtype, f"{argument} (column {name!r})")
    return LabelledArray(matrix, (values.index, values.columns))


def _numbers(values: object, argument: str) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return values as an array, and which of them are missing.

    Raises
    ------
    TypeError
        If they are no numbers and no booleans.
    ValueError
        If they form no array.
    """
    check_dense(values, argument)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{argument} must form an array, got a ragged {type(values).__name__} ({error}).\n"
            "Hint: give all rows the same length."
        ) from error
    if isinstance(values, np.ma.MaskedArray):
        return array, np.ma.getmaskarray(values) | _numbers(array, argument)[1]
    dtype = getattr(values, "dtype", array.dtype)
    if array.dtype.kind in "biufO" and not isinstance(dtype, pd.CategoricalDtype):
        missing = np.asarray(pd.isna(array))
        # An array of objects is an error in any case; if only missing values make it one, the error
        # is about these.
        if array.dtype.kind != "O" or (
            array.ndim and missing.any() and _are_numbers(array[~missing])
        ):
            return array, missing
    got = type_text(values) if array.dtype.kind == "O" and not array.ndim else dtype
    raise TypeError(
        f"{argument} must hold numbers or booleans, got {got}.\n"
        "Hint: pass a list, an array, a Series or a DataFrame of numbers; convert objects with "
        "`.astype(float)`. by.Data takes text, categories and dates from the columns of a table: "
        "by.Data(name, table, columns='x', categories='xs')."
    )


def _are_numbers(objects: Iterable[object]) -> bool:
    return all(isinstance(item, numbers.Real | np.bool_) for item in objects)


def _check_none_missing(
    missing: npt.NDArray[np.bool_], argument: str, columns: list[Hashable] | None = None
) -> None:
    if not missing.any():
        return
    indices = np.argwhere(missing)
    positions = [
        f" in row {index[0]}, column {columns[index[1]]!r}"
        if columns is not None
        else position_text(tuple(int(i) for i in index))
        for index in indices[:3]
    ]
    colon, more = ":" if missing.ndim else "", "; ..." if len(indices) > 3 else ""
    raise ValueError(
        f"{argument} must hold no missing values, got {len(indices)}{colon}"
        f"{';'.join(positions)}{more}.\n"
        "Hint: drop or fill them, or pass the values to `observed=` directly, where PyMC "
        "imputes them."
    )


def _check_not_rounded(values: object, array: Numbers, argument: str) -> None:
    """Check that NumPy rounded no large integer of a list to a float, as it does beside floats."""
    large = np.abs(array) >= 2.0**53
    if not large.any():
        return
    items = np.asarray(values, dtype=object)
    for index in map(tuple, np.argwhere(large)):
        if isinstance(items[index], numbers.Integral) and int(items[index]) != int(array[index]):
            raise ValueError(
                f"{argument} must hold values that float64 can represent, got {items[index]}"
                f"{position_text(tuple(int(i) for i in index))}.\n"
                "Hint: pass integers alone, in an array of an integer dtype."
            )


def is_sparse(values: object) -> bool:
    """Return whether values are a sparse matrix of SciPy, or a frame of sparse columns alone.

    The columns of a frame must have 0 for the values that they leave out.
    """
    if not isinstance(values, pd.DataFrame):
        return bool(scipy.sparse.issparse(values))
    return values.shape[1] > 0 and all(
        isinstance(dtype, pd.SparseDtype) and dtype.fill_value == 0 for dtype in values.dtypes
    )


def read_sparse(
    values: pd.DataFrame | scipy.sparse.spmatrix | Numbers,
    argument: str,
    dtype: npt.DTypeLike | None = None,
) -> LabelledArray:
    """Read a sparse matrix, with the index of its axes if it is a frame.

    Parameters
    ----------
    values : sparse matrix or array of SciPy, pandas.DataFrame, or array_like
        Booleans, integers or floats, on two axes. What is dense becomes sparse.
    argument : str
        The argument that `values` came from, as the subject of errors.
    dtype : dtype_like, optional
        The dtype to cast to, if that is exact. By default ``floatX`` for floats, int8 for booleans,
        which PyTensor has no sparse matrices of, and that of the values for integers.

    Returns
    -------
    LabelledArray
        Its array is a ``csr_matrix``, each row in the order of its columns, without duplicates
        and stored zeros. It may share memory with `values`.

    Raises
    ------
    TypeError
        If `values` hold anything else than numbers and booleans.
    ValueError
        If `values` have not two axes, have missing ones or lose some by the cast.
    """
    if isinstance(values, pd.DataFrame):
        columns: Any = values.sparse
        array = read_sparse(columns.to_coo(), argument, dtype).array
        return LabelledArray(array, (values.index, values.columns))
    if values.ndim != 2:
        raise ValueError(
            f"{argument} must have two axes as a sparse matrix, got shape {values.shape}.\n"
            "Hint: pass a dense array, or a matrix of one column."
        )
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"{argument} must hold numbers or booleans, got a sparse matrix of {values.dtype}.\n"
            "Hint: convert its values with `.astype(float)`."
        )
    matrix: scipy.sparse.csr_matrix = scipy.sparse.csr_matrix(values)
    # The matrix of the user is not changed.
    if not matrix.has_canonical_format or not matrix.data.all():
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    _check_matrix_complete(matrix, argument)
    if dtype is None:
        is_bool = matrix.dtype.kind == "b"
        dtype = np.dtype(np.int8) if is_bool else natural_dtype([matrix.dtype])
    data = exact_cast(matrix.data, dtype, argument)
    if data is not matrix.data:
        matrix = scipy.sparse.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape)
    return LabelledArray(matrix, (None, None))


def _check_matrix_complete(matrix: scipy.sparse.csr_matrix, argument: str) -> None:
    missing = np.flatnonzero(np.isnan(matrix.data))
    if len(missing):
        entry = int(missing[0])
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        raise ValueError(
            f"{argument} must hold no missing values, got {len(missing)}: in row {row}, column "
            f"{matrix.indices[entry]}{'; ...' if len(missing) > 1 else ''}.\n"
            "Hint: drop or fill them."
        )
