"""Padding of rows to a length for which a program is compiled already.

JAX compiles a program once for each shape of its arguments. Rows are therefore padded to one of a
few lengths. The pad is the last row again, not zeros, since a row of zeros may be outside the
support of a distribution and give NaN, whose gradient is NaN even where its weight is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pad_rows[Number: np.generic](
    array: NDArray[Number], length: int, axis: int = 0
) -> NDArray[Number]:
    """Repeat the last row of an array until it has a given number of rows.

    Parameters
    ----------
    array : ndarray
        At least one row along `axis`.
    length : int
        The number of rows of the result, at least that of `array`.
    axis : int, default 0
        The axis of the rows.

    Returns
    -------
    ndarray
        `array` itself, not a copy, if it has this length.

    Examples
    --------
    >>> pad_rows(np.array([1, 2]), 4)
    array([1, 2, 2, 2])
    """
    if array.shape[axis] == length:
        return array
    return array.take(np.arange(length), axis, mode="clip")
