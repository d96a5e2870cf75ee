"""The order "epoch": every row once in random order, then every row once in another order.

The order of an epoch is a keyed permutation, computed row by row, so it takes no memory, whatever
the number of rows, and any step is computed without those before it. A row costs some ten
nanoseconds. A batch may continue across the end of an epoch, so that all batches are full.
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
        The first step, and the number of steps.
    num_rows : int
        The number of rows of an epoch; at least 1.
    batch_size : int
        The number of rows of a step.

    Returns
    -------
    ndarray of int64, shape (count, batch_size)
        Row numbers. Flattened from step 0 on, each run of `num_rows` of them has every row once.
    """
    from bayou.sampling.kernels import fill_epochs

    rows = np.empty(count * batch_size, dtype=np.int64)
    halves = (np.uint64(number) for number in network(num_rows))
    fill_epochs(rows, np.uint64(key), first * batch_size, num_rows, *halves)
    return rows.reshape(count, batch_size)
