"""The row numbers of many steps in one pass, without the GIL: loops that Numba compiles.

Import this only where rows are drawn from memory at the rate of computing: Numba takes a third of a
second and 90 MB, which reading in windows does without.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bayou.sampling import uniform
from bayou.sampling.permutation import ROUNDS
from bayou.sampling.uniform import GOLDEN

# Rows that are still in the nearest cache when they are looked at again.
PIECE = 2048
mix = numba.njit(uniform.mix)
_scale = numba.njit(uniform.scale)


@numba.njit(nogil=True, forceinline=True)
def _pass(place: Any, key: Any, low_bits: Any, low_mask: Any, high_mask: Any) -> Any:
    """Return where the network puts a number of as many bits as it has; all are uint64."""
    high, low = place >> low_bits, place & low_mask
    word = key
    for _ in range(ROUNDS):
        word += GOLDEN
        high ^= mix(low ^ word) & high_mask
        word += GOLDEN
        low ^= mix(high ^ word) & low_mask
    return (high << low_bits) | low


@numba.njit(nogil=True)
def _permute(
    places: Any, key: Any, first: Any, size: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    """Write what :func:`bayou.sampling.permutation.permutation` returns."""
    # Without a branch, several numbers are under way at once.
    for index in range(len(places)):
        place = np.uint64(first) + np.uint64(index)
        places[index] = np.int64(_pass(place, key, low_bits, low_mask, high_mask))
    for index in range(len(places)):
        place = np.uint64(places[index])
        while place >= size:
            place = _pass(place, key, low_bits, low_mask, high_mask)
        places[index] = np.int64(place)


@numba.njit(nogil=True, cache=True)
def fill_epochs(
    rows: Any, key: Any, start: Any, num_rows: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    """Write the rows at the places from ``start`` on of an endless stream of epochs."""
    epoch, place = start // num_rows, start % num_rows
    done = 0
    while done < len(rows):
        count = min(PIECE, num_rows - place, len(rows) - done)
        epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
        _permute(
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


@numba.njit(nogil=True, cache=True)
def fill_uniform(rows: Any, key: Any, first: Any, num_rows: Any) -> None:
    """Write what :func:`bayou.sampling.uniform.uniform_rows` returns."""
    for step in range(rows.shape[0]):
        start = mix(key + mix(first + np.uint64(step) + GOLDEN))
        for index in range(rows.shape[1]):
            bits = mix(start + np.uint64(index + 1) * GOLDEN)
            rows[step, index] = np.int64(_scale(bits, num_rows))
