"""Orders by name: one table drives what all of them hold, and each does what its name says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.order import ORDERS
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key, uniform_rows
from bayou.sampling.weighted import Weighted
from bayou.sampling.window import Windows

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


# What was fitted or shuffled with an earlier release goes on with the same rows.
@pytest.mark.parametrize(
    ("order", "rows"),
    [
        (ORDERS["epoch"], [[4, 5, 3, 8, 0], [8, 7, 6, 2, 3]]),
        (ORDERS["uniform"], [[1, 8, 0, 8, 7], [4, 9, 7, 0, 3]]),
        (Weighted(np.arange(1, 11)).rows, [[3, 9, 1, 9, 8], [6, 9, 8, 1, 5]]),
        (Stratified([0] * 7 + [1] * 3).rows, [[1, 3, 1, 5, 7], [2, 6, 0, 3, 9]]),
        (Windows((4, 3, 3), 5).rows, [[6, 5, 2, 4, 3], [1, 4, 5, 6, 0]]),
    ],
    ids=["epoch", "uniform", "weighted", "stratified", "windows"],
)
def test_the_rows_of_a_key_never_change(order: Any, rows: list[list[int]]) -> None:
    assert int(KEY) == 11465652750463011511
    assert order(KEY, 3, 2, 10, 5).tolist() == rows


def test_the_rows_of_a_large_epoch_never_change() -> None:
    rows = ORDERS["epoch"](KEY, 3, 1, 10**10, 3).tolist()
    assert rows == [[5919425764, 4233534299, 6709695389]]
