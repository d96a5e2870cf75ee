"""Exact epochs without replacement: row numbers in an order that is a pure function of its place.

The order of an epoch is a keyed permutation of the rows, so it takes no memory, whatever the number
of rows. A row costs some ten nanoseconds. Batches run on across the end of an epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from bayou.sampling.permutation import mix, network, permuted
from bayou.sampling.uniform import GOLDEN

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
    rows = np.empty(count * batch_size, dtype=np.int64)
    _fill(rows, np.uint64(key), first * batch_size, num_rows, *network(num_rows))
    return rows.reshape(count, batch_size)


@numba.njit(nogil=True, cache=True)
def _fill(
    rows: Any, key: Any, start: Any, num_rows: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    total = np.uint64(num_rows)
    epoch = start // num_rows
    place = start % num_rows
    epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
    for index in range(len(rows)):
        row = permuted(np.uint64(place), epoch_key, total, low_bits, low_mask, high_mask)
        rows[index] = np.int64(row)
        place += 1
        if place == num_rows:
            place = 0
            epoch += 1
            epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
