"""The compiled orders give the same numbers as those of NumPy, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.kernels import PIECE, fill_epochs, fill_uniform
from bayou.sampling.kernels import mix as compiled_mix
from bayou.sampling.permutation import network, permutation
from bayou.sampling.uniform import GOLDEN, mix, uniform_rows

words = st.integers(0, 2**64 - 1).map(np.uint64)


def epochs(key: np.uint64, start: int, count: int, num_rows: int) -> np.ndarray:
    rows = np.empty(count, np.int64)
    halves = (np.uint64(number) for number in network(num_rows))
    fill_epochs(rows, key, start, num_rows, *halves)
    return rows


@given(words)
def test_the_hash_is_the_same(word: np.uint64) -> None:
    with np.errstate(over="ignore"):
        assert compiled_mix(word) == mix(word)


@given(
    key=words,
    num_rows=st.integers(1, 2000) | st.integers(1, 10**12),
    epoch=st.integers(0, 10**6),
    begin=st.floats(0, 1),
    count=st.integers(0, 3000),
)
def test_an_epoch_is_a_permutation(
    key: np.uint64, num_rows: int, epoch: int, begin: float, count: int
) -> None:
    first = min(num_rows - 1, int(begin * num_rows))
    rows = epochs(key, epoch * num_rows + first, count, num_rows)
    parts = []
    while count:
        size = min(count, num_rows - first)
        with np.errstate(over="ignore"):
            epoch_key = mix(key + np.uint64(epoch) * GOLDEN)
        parts.append(permutation(epoch_key, num_rows, first, size))
        count, epoch, first = count - size, epoch + 1, 0
        if len(parts) == 5:
            break
    expected = np.concatenate(parts) if parts else np.empty(0)
    np.testing.assert_array_equal(rows[: len(expected)], expected)


@pytest.mark.parametrize("num_rows", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_pieces_join_at_their_ends(num_rows: int) -> None:
    rows = epochs(np.uint64(5), 0, 2 * num_rows, num_rows).reshape(2, num_rows)
    np.testing.assert_array_equal(np.sort(rows), np.tile(np.arange(num_rows), (2, 1)))
    again = epochs(np.uint64(5), 1, num_rows, num_rows)
    np.testing.assert_array_equal(again, rows.ravel()[1 : num_rows + 1])


@given(
    key=words,
    first=st.integers(0, 2**62),
    shape=st.tuples(st.integers(0, 20), st.integers(1, 20)),
    num_rows=st.integers(1, 2**63 - 1),
)
def test_uniform_rows_are_the_same(
    key: np.uint64, first: int, shape: tuple[int, int], num_rows: int
) -> None:
    rows = np.empty(shape, np.int64)
    fill_uniform(rows, key, np.uint64(first), np.uint64(num_rows))
    steps = np.arange(shape[0], dtype=np.uint64) + np.uint64(first)
    np.testing.assert_array_equal(rows, uniform_rows(key, steps, num_rows, shape[1]))
