"""The order "sequential": rows in the order of their numbers, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sequential_rows(
    key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    """Return the rows of consecutive steps; a batch continues with the first row after the last.

    Parameters
    ----------
    key : uint64
        Has no effect, since the order is the same for every key; all orders take one.
    first, count : int
        The first step, and the number of steps.
    num_rows : int
        The number of rows; at least 1.
    batch_size : int
        The number of rows of a step.

    Returns
    -------
    ndarray of int64, shape (count, batch_size)

    Examples
    --------
    >>> sequential_rows(np.uint64(0), 1, 2, 5, 2)
    array([[2, 3],
           [4, 0]])
    """
    start = first * batch_size
    positions = np.arange(count * batch_size, dtype=np.int64) + start % num_rows
    return (positions % num_rows).reshape(count, batch_size)
