"""Reads anything that a container accepts as an array of numbers with its labels; a pass or two.

A kind of table that is to be accepted joins `to_array`, and nothing else changes.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytensor

from bayou.containers.reading.exact_cast import exact_cast, place

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt


@dataclass(frozen=True)
class LabelledArray:
    """Numbers or booleans without missing values, and the index of each axis that has one."""

    array: npt.NDArray[Any]
    labels: tuple[pd.Index[Any] | None, ...]


def to_array(value: Any, what: str, dtype: npt.DTypeLike | None = None) -> LabelledArray:
    """Read an array with its labels from anything that a container accepts.

    Parameters
    ----------
    value : array_like, pandas.Series or pandas.DataFrame
        Booleans, integers or floats.
    what : str
        The argument that `value` came from, as the subject of the errors.
    dtype : dtype_like, optional
        The dtype to cast to, where that is exact; by default ``floatX`` for floats, and the dtype
        that `value` has for booleans and integers.

    Returns
    -------
    LabelledArray
        The array may share memory with `value`.

    Raises
    ------
    TypeError
        If `value` holds anything else than numbers and booleans.
    ValueError
        If `value` is ragged, has missing values or loses some by the cast.
    """
    if isinstance(value, pd.DataFrame):
        return LabelledArray(_frame_to_array(value, what, dtype), (value.index, value.columns))
    array, missing = _numbers(value, what)
    _refuse_missing(missing, what)
    if isinstance(value, list | tuple) and array.dtype.kind == "f":
        _refuse_rounded_integers(value, array, what)
    array = exact_cast(array, dtype or natural_dtype([array.dtype]), what)
    labels = (value.index,) if isinstance(value, pd.Series) else (None,) * array.ndim
    return LabelledArray(array, labels)


def _frame_to_array(
    frame: pd.DataFrame, what: str, dtype: npt.DTypeLike | None
) -> npt.NDArray[Any]:
    names = [f"{what} (column {label!r})" for label in frame.columns]
    columns: list[npt.NDArray[Any]] = []
    missing = np.empty(frame.shape, dtype=bool)
    for position, column_name in enumerate(names):
        column, missing[:, position] = _numbers(frame.iloc[:, position], column_name)
        columns.append(column)
    _refuse_missing(missing, what, list(frame.columns))
    array = np.empty(frame.shape, dtype or natural_dtype([column.dtype for column in columns]))
    for position, column_name in enumerate(names):
        array[:, position] = exact_cast(columns[position], array.dtype, column_name)
    return array


def _numbers(values: Any, what: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the array of `values`, and where they are missing; refuse all but numbers."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{what} must form an array, got a ragged {type(values).__name__} ({error}).\n"
            "Hint: give all rows the same length."
        ) from error
    if isinstance(values, np.ma.MaskedArray):
        return array, np.ma.getmaskarray(values) | _numbers(array, what)[1]
    dtype = getattr(values, "dtype", array.dtype)
    if array.dtype.kind in "biufO" and not isinstance(dtype, pd.CategoricalDtype):
        missing = np.asarray(pd.isna(array))
        # Objects are taken for numbers only to say where some are missing.
        if array.dtype.kind != "O" or (
            array.ndim and missing.any() and _are_numbers(array[~missing])
        ):
            return array, missing
    got = f"a {type(values).__name__}" if array.dtype.kind == "O" and not array.ndim else dtype
    raise TypeError(
        f"{what} must hold numbers or booleans, got {got}.\n"
        "Hint: pass a list, an array, a Series or a DataFrame of numbers; turn text and categories "
        "into codes (`pandas.factorize`), dates into numbers, and objects with `.astype(float)`."
    )


def _are_numbers(objects: Iterable[Any]) -> bool:
    return all(isinstance(item, numbers.Real | np.bool_) for item in objects)


def natural_dtype(dtypes: list[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the dtype that holds columns of these: floatX if any is a float, else an integer."""
    if not dtypes or any(dtype.kind == "f" for dtype in dtypes):
        floats: np.dtype[Any] = np.dtype(pytensor.config.floatX)
        return floats
    common = np.result_type(*dtypes)
    # NumPy falls back on floats where int64 and uint64 meet.
    return np.dtype(np.int64) if common.kind == "f" else common


def _refuse_missing(
    missing: npt.NDArray[np.bool_], what: str, columns: list[Any] | None = None
) -> None:
    if not missing.any():
        return
    indices = np.argwhere(missing)
    places = [
        f" in row {index[0]}, column {columns[index[1]]!r}"
        if columns is not None
        else place(tuple(int(i) for i in index))
        for index in indices[:3]
    ]
    colon, more = ":" if missing.ndim else "", "; ..." if len(indices) > 3 else ""
    raise ValueError(
        f"{what} must hold no missing values, got {len(indices)}{colon}{';'.join(places)}{more}.\n"
        "Hint: drop or fill them, or pass the values to `observed=` directly, where PyMC "
        "imputes them."
    )


def _refuse_rounded_integers(value: Any, array: npt.NDArray[Any], what: str) -> None:
    """Refuse a list in which NumPy rounded large integers because floats stand beside them."""
    large = np.abs(array) >= 2.0**53
    if not large.any():
        return
    items = np.asarray(value, dtype=object)
    for index in map(tuple, np.argwhere(large)):
        if isinstance(items[index], numbers.Integral) and int(items[index]) != int(array[index]):
            raise ValueError(
                f"{what} must hold values that float64 can represent, got {items[index]}"
                f"{place(tuple(int(i) for i in index))}.\n"
                "Hint: pass integers alone, in an array of an integer dtype."
            )
