"""Exact epochs without replacement: row numbers in an order that is a pure function of its place.

The order of an epoch is a keyed permutation of the rows, so it takes no memory, whatever the number
of rows. A row costs some ten nanoseconds. Batches run on across the end of an epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from bayou.sampling.permutation import fill, mix, network
from bayou.sampling.uniform import GOLDEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows that are still in the nearest cache when they are looked at again.
PIECE = 2048


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
    epoch, place = start // num_rows, start % num_rows
    done = 0
    while done < len(rows):
        count = min(PIECE, num_rows - place, len(rows) - done)
        epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
        fill(
            rows[done : done + count],
            epoch_key,
            np.uint64(place),
            np.uint64(num_rows),
            low_bits,
            low_mask,
            high_mask,
        )
        done += count
        place += count
        if place == num_rows:
            epoch, place = epoch + 1, 0
