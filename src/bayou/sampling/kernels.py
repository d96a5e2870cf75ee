"""The row numbers of many steps in one call, without the GIL: loops that Numba compiles.

They give the same numbers as `permutation` and `uniform`, which are NumPy alone; a property test
holds them together. Both are kept because each is needed. Rows in memory are drawn at the rate at
which a step computes, where these loops are faster than NumPy's passes over temporary arrays, and
run beside Python code. But importing Numba takes a third of a second and 90 MB, which reading in
windows, where decoding takes far longer than the order, does without.

The orders are bayou's own and not `jax.random`: which rows form a batch is documented to be a
function of the seed alone, in every release and on every device, and is computed on the CPU row by
row; `jax.random.permutation` sorts all rows at once, in memory.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bayou.sampling import uniform
from bayou.sampling.permutation import ROUNDS
from bayou.sampling.uniform import GOLDEN

# Rows are permuted in pieces that stay in the first-level cache of a core for the second pass.
PIECE = 2048
mix = numba.njit(uniform.mix)
_scale = numba.njit(uniform.scale)


@numba.njit(nogil=True, forceinline=True)
def _map_number(number: Any, key: Any, low_bits: Any, low_mask: Any, high_mask: Any) -> Any:
    """Return the number to which the network maps a number; all arguments are uint64."""
    high, low = number >> low_bits, number & low_mask
    word = key
    for _ in range(ROUNDS):
        word += GOLDEN
        high ^= mix(low ^ word) & high_mask
        word += GOLDEN
        low ^= mix(high ^ word) & low_mask
    return (high << low_bits) | low


@numba.njit(nogil=True)
def _permute(
    numbers: Any, key: Any, first: Any, size: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    """Write what :func:`bayou.sampling.permutation.permutation` returns."""
    # The first pass has no branch, so that the processor works on several numbers at once. Few of
    # them are out of range, and are mapped again in a second loop.
    for index in range(len(numbers)):
        number = np.uint64(first) + np.uint64(index)
        numbers[index] = np.int64(_map_number(number, key, low_bits, low_mask, high_mask))
    for index in range(len(numbers)):
        number = np.uint64(numbers[index])
        while number >= size:
            number = _map_number(number, key, low_bits, low_mask, high_mask)
        numbers[index] = np.int64(number)


@numba.njit(nogil=True, cache=True)
def fill_epochs(
    rows: Any, key: Any, start: Any, num_rows: Any, low_bits: Any, low_mask: Any, high_mask: Any
) -> None:
    """Write the rows at the positions from `start` on of the endless stream of epochs."""
    epoch, position = start // num_rows, start % num_rows
    done = 0
    while done < len(rows):
        count = min(PIECE, num_rows - position, len(rows) - done)
        epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
        _permute(
            rows[done : done + count],
            epoch_key,
            np.uint64(position),
            np.uint64(num_rows),
            low_bits,
            low_mask,
            high_mask,
        )
        done += count
        position += count
        if position == num_rows:
            epoch, position = epoch + 1, 0


@numba.njit(nogil=True, cache=True)
def fill_uniform(rows: Any, key: Any, first: Any, num_rows: Any) -> None:
    """Write what :func:`bayou.sampling.uniform.uniform_rows` returns."""
    for step in range(rows.shape[0]):
        start = mix(key + mix(first + np.uint64(step) + GOLDEN))
        for index in range(rows.shape[1]):
            bits = mix(start + np.uint64(index + 1) * GOLDEN)
            rows[step, index] = np.int64(_scale(bits, num_rows))
