"""Orders by name: one table drives what all of them hold, and each does what its name says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.order import ORDERS
from bayou.sampling.uniform import stream_key, uniform_rows

KEY = stream_key(42, 0)


@pytest.mark.parametrize("name", ORDERS)
@given(
    first=st.integers(0, 10**6),
    counts=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    num_rows=st.integers(1, 10**10),
    batch_size=st.integers(1, 30),
)
def test_rows_are_a_pure_function_of_the_step(
    name: str, first: int, counts: tuple[int, int], num_rows: int, batch_size: int
) -> None:
    order = ORDERS[name]
    rows = order(KEY, first, sum(counts), num_rows, batch_size)
    assert rows.shape == (sum(counts), batch_size)
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < num_rows)).all()
    later = order(KEY, first + counts[0], counts[1], num_rows, batch_size)
    np.testing.assert_array_equal(later, rows[counts[0] :])


@pytest.mark.parametrize("name", ORDERS)
def test_another_key_gives_other_rows(name: str) -> None:
    rows = [ORDERS[name](stream_key(seed, 0), 0, 5, 1000, 100) for seed in (1, 2)]
    assert (rows[0] != rows[1]).any()


def test_an_epoch_is_without_replacement() -> None:
    rows = ORDERS["epoch"](KEY, 3, 7, 50, 8)
    np.testing.assert_array_equal(rows, epoch_rows(KEY, 3, 7, 50, 8))


def test_uniform_is_with_replacement() -> None:
    rows = ORDERS["uniform"](KEY, 3, 7, 50, 8)
    np.testing.assert_array_equal(rows, uniform_rows(KEY, np.arange(3, 10), 50, 8))
    assert len(np.unique(ORDERS["uniform"](KEY, 0, 1, 50, 50))) < 50
