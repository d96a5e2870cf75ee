"""The order "uniform": rows drawn with replacement; and the hash that all orders are made of.

Draws are counter-based: element i of step t is a hash of (key, t, i), by the finalizer of
SplitMix64 [1]_, so any step is computed without those before it. A row costs about a nanosecond.

The hash is bayou's own, and not `jax.random`, because the rows of a seed are documented to stay the
same in every release, and are needed in NumPy, in Numba and in JAX alike; the bits of `jax.random`
depend on JAX's version and configuration.

References
----------
.. [1] G. L. Steele, D. Lea, C. H. Flood: Fast splittable pseudorandom number generators. OOPSLA
   2014, 453-472.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

# The constants of SplitMix64: 2**64 divided by the golden ratio, and those of its finalizer.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
LOW = np.uint64(0xFFFFFFFF)
SHIFTS = tuple(np.uint64(shift) for shift in (30, 27, 31, 32))


def mix(bits: Any) -> Any:
    """Return the hash of 64 bits, for uint64 scalars and arrays of NumPy, Numba or JAX."""
    bits = (bits ^ (bits >> SHIFTS[0])) * FIRST
    bits = (bits ^ (bits >> SHIFTS[1])) * SECOND
    return bits ^ (bits >> SHIFTS[2])


def scale(bits: Any, num_rows: Any) -> Any:
    """Return ``floor(bits * num_rows / 2**64)``, which maps 64 random bits to row numbers.

    It is the high word of the 128-bit product, from four products of 32-bit halves. Unlike the
    remainder of a division, it is fast, and biased by at most num_rows / 2**64 just as well.
    """
    half = SHIFTS[3]
    high, low = bits >> half, bits & LOW
    top, bottom = num_rows >> half, num_rows & LOW
    middle = high * bottom + ((low * bottom) >> half)
    carry = low * top + (middle & LOW)
    return high * top + (middle >> half) + (carry >> half)


@lru_cache(maxsize=1024)
def stream_key(*numbers: int) -> np.uint64:
    """Return the key of a stream of rows; keys of different numbers are independent."""
    words = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return np.uint64(words[0])


def uniform_rows(
    key: Any, steps: Any, num_rows: Any, batch_size: int, xp: ModuleType = np
) -> NDArray[np.int64]:
    """Draw rows uniformly with replacement for one or many steps.

    Parameters
    ----------
    key : uint64
        The key of the stream, from :func:`stream_key`.
    steps : uint64 or array of uint64, shape (*steps)
        The steps.
    num_rows : uint64
        The number of rows to draw from; at least 1.
    batch_size : int
        The number of rows of a step.
    xp : module, default numpy
        `numpy` or `jax.numpy`; both give the same rows.

    Returns
    -------
    array of int64, shape (*steps, batch_size)
        Row numbers in ``[0, num_rows)``.
    """
    with np.errstate(over="ignore"):
        steps = xp.asarray(steps, dtype=xp.uint64)
        start = mix(xp.asarray(key, dtype=xp.uint64) + mix(steps + GOLDEN))
        counter = (xp.arange(batch_size, dtype=xp.uint64) + np.uint64(1)) * GOLDEN
        bits = mix(start[..., None] + counter)
        rows = scale(bits, xp.asarray(num_rows, dtype=xp.uint64))
    return rows.astype(xp.int64)  # type: ignore[no-any-return]
