"""The dtype of a container's values, and the cast to it where every value survives, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytensor

if TYPE_CHECKING:
    from bayou.containers.variables.dims import Numbers


def exact_cast(array: Numbers, dtype: npt.DTypeLike, argument: str) -> Numbers:
    """Cast an array to a dtype, if every value survives.

    Booleans and integers must keep their value in every dtype, and floats theirs in integers and
    booleans. A float that is cast to another float dtype may be rounded, since its precision is the
    user's choice (``floatX``), but must stay finite.

    Parameters
    ----------
    array : ndarray
        Booleans, integers or floats, of any shape.
    dtype : dtype_like
        A boolean, integer or float dtype.
    argument : str
        The argument that `array` came from, as the subject of errors.

    Returns
    -------
    ndarray
        Of `dtype` and the shape of `array`; `array` itself if it has that dtype already.

    Raises
    ------
    TypeError
        If `array` or `dtype` is of another kind than boolean, integer and float.
    ValueError
        If a value would change. The error names the first one and its position.

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
    if not {array.dtype.kind, target.kind} <= set("biuf"):
        raise TypeError(
            f"{argument} must be of a boolean, integer or float dtype, got "
            f"{target if array.dtype.kind in 'biuf' else array.dtype}.\n"
            "Hint: convert the values to numbers first."
        )
    if array.dtype == target:
        return array
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        cast = array.astype(target)
        is_exact = np.asarray(_is_exact(array, cast))
    if not is_exact.all():
        index = tuple(int(i) for i in np.argwhere(~is_exact)[0])
        raise ValueError(
            f"{argument} must hold values that {target} can represent, "
            f"got {array[index]} ({array.dtype}){position_text(index)}.\n"
            f"Hint: change the values, or build the container from {array.dtype} values."
        )
    return cast


def natural_dtype(dtypes: list[np.dtype]) -> np.dtype:
    """Return the dtype for columns of these dtypes: floatX if any is a float, else an integer."""
    if not dtypes or any(dtype.kind == "f" for dtype in dtypes):
        floats: np.dtype = np.dtype(pytensor.config.floatX)
        return floats
    common = np.result_type(*dtypes)
    # NumPy's common dtype of int64 and uint64 is float64; the cast checks that int64 is enough.
    return np.dtype(np.int64) if common.kind == "f" else common


def position_text(index: tuple[int, ...]) -> str:
    """Return the position of an element for messages, with a leading space; empty for a scalar.

    Examples
    --------
    >>> position_text((3,)), position_text((3, 1)), position_text((3, 1, 0)), position_text(())
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


def _is_exact(array: npt.NDArray[Any], cast: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return elementwise whether `cast` has the values of `array`."""
    exact: npt.NDArray[np.bool_]
    match array.dtype.kind, cast.dtype.kind:
        case "b", _:
            exact = np.ones(array.shape, dtype=bool)
        case _, "b":
            exact = (array == 0) | (array == 1)
        case "f", "f":
            exact = np.isfinite(cast) | ~np.isfinite(array)
        case "f", _:
            exact = _within(array, cast.dtype) & (cast == array)
        case _, "f":
            # Compared as integers: NumPy rounds an integer to a float to compare the two.
            exact = _within(cast, array.dtype) & (cast.astype(array.dtype) == array)
        case _:
            limits = np.iinfo(cast.dtype)
            exact = (array >= limits.min) & (array <= limits.max)
    return exact


def _within(array: Numbers, dtype: np.dtype) -> npt.NDArray[np.bool_]:
    """Return elementwise whether floats are in the range of an integer dtype."""
    limits = np.iinfo(dtype)
    # A float16 cannot hold the limits of an integer dtype; a float64 can.
    array = array.astype(np.result_type(array, np.float64), copy=False)
    # The maximum, 2**63 - 1, has no exact float64; the power of two above it has.
    return (array >= float(limits.min)) & (array < float(limits.max + 1))
