"""Casts an array to another dtype where every value survives; one pass over the array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def exact_cast(array: npt.NDArray[Any], dtype: npt.DTypeLike, what: str) -> npt.NDArray[Any]:
    """Cast `array` to `dtype`, refusing any value that would become another one.

    Booleans and integers must keep their value whatever they are cast to, and floats theirs when
    they are cast to integers or booleans. A float that is cast to another float type may be
    rounded, since its precision is the user's choice (``floatX``), but must stay finite.

    Parameters
    ----------
    array : ndarray
        Booleans, integers or floats, of any shape.
    dtype : dtype_like
        A boolean, integer or float dtype.
    what : str
        The argument that `array` came from, as the subject of the error.

    Returns
    -------
    ndarray
        Of `dtype` and the shape of `array`; `array` itself where it has that dtype already.

    Raises
    ------
    TypeError
        If `array` or `dtype` is of another kind than boolean, integer and float.
    ValueError
        If a value would change. The error names the first one and its place.

    Examples
    --------
    >>> exact_cast(np.array([1.0, 2.0]), "int8", "`value`")
    array([1, 2], dtype=int8)
    >>> exact_cast(np.array([1.0, 2.5]), "int8", "`value`")
    Traceback (most recent call last):
        ...
    ValueError: `value` must hold values that int8 can represent, got 2.5 (float64) in row 1.
    Hint: change the values, or build the container from float64 values.
    """
    target = np.dtype(dtype)
    for named in (array.dtype, target):
        if named.kind not in "biuf":
            raise TypeError(
                f"{what} must be of a boolean, integer or float dtype, got {named}.\n"
                "Hint: convert the values to numbers first."
            )
    if array.dtype == target:
        return array
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        cast = array.astype(target)
        survives = np.asarray(_survives(array, cast))
    if not survives.all():
        index = tuple(int(i) for i in np.argwhere(~survives)[0])
        raise ValueError(
            f"{what} must hold values that {target} can represent, "
            f"got {array[index]} ({array.dtype}){place(index)}.\n"
            f"Hint: change the values, or build the container from {array.dtype} values."
        )
    return cast


def place(index: tuple[int, ...]) -> str:
    """Say in words where in an array `index` is, with a leading space; empty for a scalar.

    Examples
    --------
    >>> place((3,)), place((3, 1)), place((3, 1, 0)), place(())
    (' in row 3', ' in row 3, column 1', ' at index (3, 1, 0)', '')
    """
    match index:
        case ():
            return ""
        case (row,):
            return f" in row {row}"
        case (row, column):
            return f" in row {row}, column {column}"
        case _:
            return f" at index {index}"


def _survives(array: npt.NDArray[Any], cast: npt.NDArray[Any]) -> Any:
    """Where `cast` holds the values of `array`, elementwise."""
    match array.dtype.kind, cast.dtype.kind:
        case "b", _:
            return np.ones(array.shape, dtype=bool)
        case _, "b":
            return (array == 0) | (array == 1)
        case "f", "f":
            return np.isfinite(cast) | ~np.isfinite(array)
        case "f", _:
            return _within(array, cast.dtype) & (cast == array)
        case _, "f":
            # Back in integers, since NumPy compares an integer with a float in rounded floats.
            return _within(cast, array.dtype) & (cast.astype(array.dtype) == array)
        case _:
            limits = np.iinfo(cast.dtype)
            return (array >= limits.min) & (array <= limits.max)


def _within(floats: npt.NDArray[Any], integer: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Where `floats` lie in the range of the `integer` dtype, elementwise."""
    limits = np.iinfo(integer)
    # A float16 has no room for the limits of an integer, a float64 has.
    floats = floats.astype(np.result_type(floats, np.float64), copy=False)
    # The upper limit is exclusive: unlike the maximum itself, a power of two is exact in a float.
    return (floats >= float(limits.min)) & (floats < float(limits.max + 1))
