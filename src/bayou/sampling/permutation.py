"""A keyed permutation of any number of places, had place by place and in no memory.

It is a Feistel network that walks cycles (Black and Rogaway 2002): numbers of a few bits more than
needed are permuted again until they are in range. A place costs some twenty nanoseconds, where many
are wanted at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.uniform import GOLDEN, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    # The bits of the low half, and the masks of the low and the high one.
    type Halves = tuple[int, int, int]
    # From one half of a number to the bits that the other half is changed by.
    type Round = Callable[[NDArray[np.int64]], NDArray[np.int64]]

ROUNDS = 3
# A network over few bits has few permutations to choose from; walking on makes up for the width.
MIN_BITS = 10
# Places whose numbers stay in the cache while they are permuted.
PIECE = 2**15


def network(size: int) -> Halves:
    """Return the halves that numbers below ``size`` are cut into."""
    num_bits = max(MIN_BITS, (size - 1).bit_length())
    low_bits = num_bits // 2
    return low_bits, 2**low_bits - 1, 2 ** (num_bits - low_bits) - 1


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
    if 2 * size <= 2**MIN_BITS:
        return _few(key, size)[first : first + count]
    halves = network(size)
    rounds = list(_rounds(key, halves, count))
    places = np.empty(count, dtype=np.int64)
    for begin in range(0, count, PIECE):
        piece = places[begin : begin + PIECE]
        piece[:] = np.arange(first + begin, first + begin + len(piece))
        _pass(piece, rounds, halves)
        # What is no place is permuted on until it is one, which keeps the order exact.
        beyond = np.flatnonzero(piece >= size)
        while len(beyond):
            walked = piece[beyond]
            _pass(walked, rounds, halves)
            piece[beyond] = walked
            beyond = beyond[walked >= size]
    return places


def _few(key: np.uint64, size: int) -> NDArray[np.int64]:
    """Return all of a permutation that is much smaller than its network; walks are short in all."""
    halves = network(size)
    numbers = np.arange(2**MIN_BITS)
    _pass(numbers, list(_rounds(key, halves, len(numbers))), halves)
    following = numbers.tolist()
    places = []
    for number in range(size):
        place = following[number]
        while place >= size:
            place = following[place]
        places.append(place)
    return np.array(places)


def _rounds(key: np.uint64, halves: Halves, count: int) -> Iterator[Round]:
    """Return what changes the high half, then the low one, and so on."""
    _, low_mask, high_mask = halves
    word = np.uint64(key)
    for _ in range(ROUNDS):
        for seen, changed in ((low_mask, high_mask), (high_mask, low_mask)):
            with np.errstate(over="ignore"):
                word = word + GOLDEN
            yield _round(word, seen, changed, count)


def _round(word: np.uint64, seen: int, changed: int, count: int) -> Round:
    """Return a round; where many places are wanted, its results for all halves, looked up."""

    def bits(half: NDArray[np.int64]) -> NDArray[np.int64]:
        with np.errstate(over="ignore"):
            mixed: NDArray[np.uint64] = mix(half.astype(np.uint64) ^ word)
        return mixed.astype(np.int64) & changed

    if count < 2 * seen:
        # A table would be looked up once an entry.
        return bits
    results = bits(np.arange(seen + 1))
    # Every half is in range, which need not be checked.
    return lambda half: results.take(half, mode="clip")


def _pass(numbers: NDArray[np.int64], rounds: Sequence[Round], halves: Halves) -> None:
    """Put numbers of as many bits as the network has where it does, in place."""
    low_bits, low_mask, _ = halves
    high, low = numbers >> low_bits, numbers & low_mask
    for change_high, change_low in zip(rounds[::2], rounds[1::2], strict=True):
        high ^= change_high(low)
        low ^= change_low(high)
    np.bitwise_or(high << low_bits, low, out=numbers)
