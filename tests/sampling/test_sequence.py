"""Rows in order, again and again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.sequence import sequential_rows
from bayou.sampling.uniform import stream_key


@given(
    seed=st.integers(0, 9),
    first=st.integers(0, 10**12),
    count=st.integers(0, 20),
    num_rows=st.integers(1, 10**10),
    batch_size=st.integers(1, 30),
)
def test_rows_count_on(seed: int, first: int, count: int, num_rows: int, batch_size: int) -> None:
    rows = sequential_rows(stream_key(seed), first, count, num_rows, batch_size)
    assert rows.shape == (count, batch_size)
    assert rows.dtype == np.int64
    start = first * batch_size
    expected = [place % num_rows for place in range(start, start + count * batch_size)]
    np.testing.assert_array_equal(rows.ravel(), expected)
