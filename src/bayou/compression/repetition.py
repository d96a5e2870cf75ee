"""Whether rows repeat often enough for the distinct ones to pay, by a look at a sample of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Of the rows, at most so many may be distinct for these to take their place.
MOST_DISTINCT = 0.5
# Of n rows of a sample, about n**2 / (2 k) pairs are equal where k rows are distinct: 33 with the
# 2**14 of 10**9 rows of which 4 * 10**6 are.
LEAST_SAMPLE, MOST_SAMPLE = 2**10, 2**14


def sample_repeats(columns: Sequence[NDArray[np.generic]]) -> bool:
    """Return whether a sample of rows lets expect that at most half of all rows are distinct.

    Where a column alone has no value twice in the sample, nothing else is looked at.

    Parameters
    ----------
    columns : sequence of ndarray, shapes (rows, ...)
        The rows, of one length.
    """
    num_rows = len(columns[0])
    size = int(np.clip(4 * num_rows**0.5, LEAST_SAMPLE, MOST_SAMPLE))
    # One seed, so that a model is always compressed or never.
    sample = (
        np.arange(num_rows)
        if num_rows <= size
        else np.random.default_rng(0).choice(num_rows, size, replace=False)
    )
    words = []
    for column in columns:
        values = np.ascontiguousarray(column[sample]).reshape(len(sample), -1)
        flat = values.view(np.uint8).reshape(len(sample), -1)
        if _num_distinct(flat) == len(sample):
            return False
        words.append(flat)
    num_equal = len(sample) - _num_distinct(np.concatenate(words, axis=1))
    if len(sample) == num_rows:
        return num_equal >= (1 - MOST_DISTINCT) * num_rows
    # As many as are expected if just MOST_DISTINCT of all rows were distinct, equally often each.
    expected = len(sample) ** 2 / (2 * MOST_DISTINCT * num_rows)
    return num_equal >= expected / 2


def _num_distinct(rows: NDArray[np.uint8]) -> int:
    """Return the number of distinct rows of bytes."""
    return len(set(map(bytes, rows)))
