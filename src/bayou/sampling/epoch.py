"""Exact epochs without replacement: row numbers in an order that is a pure function of its place.

The order of an epoch is a keyed permutation of the rows (a Feistel network that walks cycles; Black
and Rogaway 2002), so it takes no memory, whatever the number of rows. A row costs some ten
nanoseconds. Batches run on across the end of an epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from bayou.sampling.uniform import GOLDEN, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 3
# A network over few bits has few permutations to choose from; walking on makes up for the width.
MIN_BITS = 10
_mix = numba.njit(mix)


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
    num_bits = max(MIN_BITS, (num_rows - 1).bit_length())
    _fill(rows, np.uint64(key), first * batch_size, num_rows, np.uint64(num_bits // 2), num_bits)
    return rows.reshape(count, batch_size)


@numba.njit(nogil=True, cache=True)
def _fill(rows: Any, key: Any, start: Any, num_rows: Any, low_bits: Any, num_bits: Any) -> None:
    one = np.uint64(1)
    low_mask = (one << low_bits) - one
    high_mask = (one << (np.uint64(num_bits) - low_bits)) - one
    total = np.uint64(num_rows)
    epoch = start // num_rows
    place = start % num_rows
    epoch_key = _mix(key + np.uint64(epoch) * GOLDEN)
    for index in range(len(rows)):
        row = np.uint64(place)
        # A value that is no row is permuted on until it is one, which keeps the order exact.
        while True:
            high, low = row >> low_bits, row & low_mask
            word = epoch_key
            for _ in range(ROUNDS):
                word += GOLDEN
                high ^= _mix(low ^ word) & high_mask
                word += GOLDEN
                low ^= _mix(high ^ word) & low_mask
            row = (high << low_bits) | low
            if row < total:
                break
        rows[index] = np.int64(row)
        place += 1
        if place == num_rows:
            place = 0
            epoch += 1
            epoch_key = _mix(key + np.uint64(epoch) * GOLDEN)
