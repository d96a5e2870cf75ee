"""A keyed permutation of any number of positions, computed position by position, without memory.

It is a Feistel network with cycle walking [1]_: a permutation of all numbers of some bits, in which
a number that is out of range is mapped again until it is in range. A position costs some twenty
nanoseconds if many are computed at once. `kernels` has the same function compiled, and says why
there are two.

References
----------
.. [1] J. Black, P. Rogaway: Ciphers with arbitrary finite domains. CT-RSA 2002, 114-130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.sampling.uniform import GOLDEN, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    # How numbers are cut in two: the number of low bits, the mask of the low half, the mask of the
    # high half.
    type Halves = tuple[int, int, int]
    # A round function: from one half of numbers to the bits that are added to the other half.
    type Round = Callable[[NDArray[np.int64]], NDArray[np.int64]]

# Each round changes both halves, so that these are six rounds of a Feistel network; four are enough
# for a permutation that is not distinguished from a random one by few of its values (Luby, Rackoff
# 1988). The number decides the order of every seed: it must not change.
ROUNDS = 3
# A network over few bits has few permutations; one of 10 bits, restricted to fewer numbers by cycle
# walking, has enough for any number of rows. It must not change either.
MIN_BITS = 10
# So many positions are permuted at a time: their temporary arrays stay in the second-level cache.
PIECE = 2**15


def network(size: int) -> Halves:
    """Return how the network for numbers below `size` cuts them in halves."""
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
        The number of positions; at least 1.
    first, count : int
        The first position, and the number of positions.

    Returns
    -------
    ndarray of int64, shape (count,)
        The numbers at these positions: all numbers below `size`, each at one position.

    Examples
    --------
    >>> sorted(permutation(np.uint64(7), 5, 0, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    if 2 * size <= 2**MIN_BITS:
        return _small_permutation(key, size)[first : first + count]
    halves = network(size)
    rounds = list(_rounds(key, halves, count))
    numbers = np.empty(count, dtype=np.int64)
    for begin in range(0, count, PIECE):
        piece = numbers[begin : begin + PIECE]
        piece[:] = np.arange(first + begin, first + begin + len(piece))
        _map_numbers(piece, rounds, halves)
        # Cycle walking: a permutation of more numbers, followed from a number in range until it is
        # in range again, is a permutation of the numbers in range.
        beyond = np.flatnonzero(piece >= size)
        while len(beyond):
            walked = piece[beyond]
            _map_numbers(walked, rounds, halves)
            piece[beyond] = walked
            beyond = beyond[walked >= size]
    return numbers


def _small_permutation(key: np.uint64, size: int) -> NDArray[np.int64]:
    """Return a whole permutation that is much smaller than its network.

    A walk takes 2**MIN_BITS / size steps on average; over all positions, they are at most all
    numbers of the network, each mapped once.
    """
    halves = network(size)
    mapped = np.arange(2**MIN_BITS)
    _map_numbers(mapped, list(_rounds(key, halves, len(mapped))), halves)
    next_number = mapped.tolist()
    numbers = []
    for position in range(size):
        number = next_number[position]
        while number >= size:
            number = next_number[number]
        numbers.append(number)
    return np.array(numbers)


def _rounds(key: np.uint64, halves: Halves, count: int) -> Iterator[Round]:
    """Yield the round functions of the high half, of the low half, of the high half, ..."""
    _, low_mask, high_mask = halves
    word = np.uint64(key)
    for _ in range(ROUNDS):
        for seen, changed in ((low_mask, high_mask), (high_mask, low_mask)):
            with np.errstate(over="ignore"):
                word = word + GOLDEN
            yield _round(word, seen, changed, count)


def _round(word: np.uint64, seen: int, changed: int, count: int) -> Round:
    """Return a round function, as a table of its values if many positions are computed."""

    def bits(half: NDArray[np.int64]) -> NDArray[np.int64]:
        with np.errstate(over="ignore"):
            mixed: NDArray[np.uint64] = mix(half.astype(np.uint64) ^ word)
        return mixed.astype(np.int64) & changed

    if count < 2 * seen:
        # A table would have more entries than are looked up twice.
        return bits
    results = bits(np.arange(seen + 1))
    # All halves are in range. "clip" skips the check that "raise" makes.
    return lambda half: results.take(half, mode="clip")


def _map_numbers(numbers: NDArray[np.int64], rounds: Sequence[Round], halves: Halves) -> None:
    """Map numbers by the network, in place."""
    low_bits, low_mask, _ = halves
    high, low = numbers >> low_bits, numbers & low_mask
    for change_high, change_low in zip(rounds[::2], rounds[1::2], strict=True):
        high ^= change_high(low)
        low ^= change_low(high)
    np.bitwise_or(high << low_bits, low, out=numbers)
