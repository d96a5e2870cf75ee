"""A keyed permutation of any number of places, had place by place and in no memory.

It is a Feistel network that walks cycles (Black and Rogaway 2002): numbers of a few bits more than
needed are permuted again until they are in range. A place costs some ten nanoseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from bayou.sampling import uniform
from bayou.sampling.uniform import GOLDEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 3
# A network over few bits has few permutations to choose from; walking on makes up for the width.
MIN_BITS = 10
mix = numba.njit(uniform.mix)


def network(size: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Return the halves that numbers below ``size`` are cut into: bits of the low one, masks."""
    num_bits = max(MIN_BITS, (size - 1).bit_length())
    low_bits = num_bits // 2
    masks = (np.uint64(2**bits - 1) for bits in (low_bits, num_bits - low_bits))
    return np.uint64(low_bits), *masks  # type: ignore[return-value]


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


@numba.njit(nogil=True, cache=True)
def fill(
    places: Any, key: Any, first: Any, size: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    """Write where the permutation of ``key`` puts the places from ``first`` on."""
    # Without a branch, several numbers are under way at once.
    for index in range(len(places)):
        place = np.uint64(first) + np.uint64(index)
        places[index] = np.int64(_pass(place, key, low_bits, low_mask, high_mask))
    # What is no place is permuted on until it is one, which keeps the order exact.
    for index in range(len(places)):
        place = np.uint64(places[index])
        while place >= size:
            place = _pass(place, key, low_bits, low_mask, high_mask)
        places[index] = np.int64(place)


def permutation(key: np.uint64, size: int, first: int, count: int) -> NDArray[np.int64]:
    """Return a stretch of a keyed permutation.

    Parameters
    ----------
    key : uint64
        Decides the permutation.
    size : int
        The places that are permuted; at least 1.
    first, count : int
        The stretch: places first, ..., first + count - 1.

    Returns
    -------
    ndarray of int64, shape (count,)
        Where those places go: numbers below ``size``, each once over all places.

    Examples
    --------
    >>> sorted(permutation(np.uint64(7), 5, 0, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    places = np.empty(count, dtype=np.int64)
    fill(places, np.uint64(key), np.uint64(first), np.uint64(size), *network(size))
    return places
