"""Exact epochs without replacement: row numbers in an order that is a pure function of its place.

The order of an epoch is a keyed permutation of the rows, so it takes no memory, whatever the number
of rows. A row costs some ten nanoseconds. Batches run on across the end of an epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.permutation import network

if TYPE_CHECKING:
    from numpy.typing import NDArray


def epoch_rows(
    key: np.uint64, first: int, count: int, num_rows: int, batch_size: int
) -> NDArray[np.int64]:
    """Return the rows of consecutive steps.

    Parameters
    ----------
    key : uint64
        The key of the stream, from :func:`bayou.sampling.uniform.stream_key`.
    first, count : int
        The steps first, ..., first + count - 1.
    num_rows : int
        Rows of an epoch; at least 1.
    batch_size : int
        Rows of a step.

    Returns
    -------
    ndarray of int64, shape (count, batch_size)
        Each stretch of num_rows places, counted from step 0, holds every row once.
    """
    from bayou.sampling.kernels import fill_epochs

    rows = np.empty(count * batch_size, dtype=np.int64)
    halves = (np.uint64(number) for number in network(num_rows))
    fill_epochs(rows, np.uint64(key), first * batch_size, num_rows, *halves)
    return rows.reshape(count, batch_size)
