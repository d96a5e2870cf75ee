"""Shards: workers together draw the rows that one would, in every order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.order import ORDERS
from bayou.sampling.sequence import sequential_rows
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted
from bayou.sampling.window import Windows

# For a number of rows, each order there is.
ALL_ORDERS: dict[str, Callable[[int], Any]] = {
    **{name: lambda num_rows, order=order: order for name, order in ORDERS.items()},
    "sequential": lambda num_rows: sequential_rows,
    "windows": lambda num_rows: Windows((num_rows // 3, num_rows - num_rows // 3), 20).rows,
    "weighted": lambda num_rows: Weighted(np.arange(1, num_rows + 1)).rows,
    "stratified": lambda num_rows: Stratified(np.arange(num_rows) % 2).rows,
}


@pytest.mark.parametrize("name", ALL_ORDERS)
@given(
    seed=st.integers(0, 2**32),
    first=st.integers(0, 50),
    count=st.integers(1, 5),
    num_rows=st.integers(2, 100),
    num_shards=st.integers(1, 8),
    more=st.integers(0, 30),
)
def test_shards_together_are_the_batch(
    name: str, seed: int, first: int, count: int, num_rows: int, num_shards: int, more: int
) -> None:
    order, key, batch_size = ALL_ORDERS[name](num_rows), stream_key(seed), num_shards + more + 1
    whole = order(key, first, count, num_rows, batch_size)
    parts = [
        Shard(index, num_shards).rows(order, key, first, count, num_rows, batch_size)
        for index in range(num_shards)
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    sizes = {part.shape[1] for part in parts}
    assert max(sizes) - min(sizes) <= 1


@given(num_shards=st.integers(1, 9), more=st.integers(0, 40), seed=st.integers(0, 100))
def test_the_mean_of_even_parts_is_that_of_the_batch(num_shards: int, more: int, seed: int) -> None:
    size = num_shards + more
    values = np.random.default_rng(seed).normal(size=size)
    counted = np.zeros(size)
    means = []
    for index in range(num_shards):
        shard = Shard(index, num_shards, even=True)
        part, weights = shard.part(size), shard.weights(size)
        own = np.ones(len(values[part])) if weights is None else weights
        assert len(own) == -(-size // num_shards)
        assert part.stop <= size
        means.append(np.mean(own * values[part]))
        # In the part that one's rows are in, and nowhere else.
        counted[part] += own > 0
        np.testing.assert_array_equal(
            np.arange(size)[part][own > 0], np.arange(size)[Shard(index, num_shards).part(size)]
        )
    np.testing.assert_array_equal(counted, 1)
    assert np.mean(means) == pytest.approx(values.mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("index", "num_shards", "text"),
    [
        (0, 0, "`num_shards` must be a whole number of at least 1, got 0.\nHint: it counts"),
        (-1, 2, "`index` must be a whole number of at least 0, got -1.\nHint: processes are"),
        (2, 2, "`index` must be below `num_shards`=2, got 2.\nHint: processes are counted from"),
        (0.5, 2, "`index` must be a whole number of at least 0, got 0.5"),
    ],
)
def test_no_such_worker(index: Any, num_shards: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Shard(index, num_shards)
