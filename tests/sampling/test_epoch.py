"""Epochs: exact permutations, a pure function of their place, uniform, of any number of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.sampling.epoch import epoch_rows
from bayou.sampling.uniform import stream_key

seeds = st.integers(0, 2**32)
sizes = st.integers(1, 60)


@given(seed=seeds, num_rows=st.integers(1, 3000), batch_size=sizes, num_epochs=st.integers(1, 4))
def test_each_epoch_holds_every_row_once(
    seed: int, num_rows: int, batch_size: int, num_epochs: int
) -> None:
    num_steps = -(-num_epochs * num_rows // batch_size)
    rows = epoch_rows(stream_key(seed, 0), 0, num_steps, num_rows, batch_size)
    assert rows.shape == (num_steps, batch_size)
    assert rows.dtype == np.int64
    epochs = rows.ravel()[: num_epochs * num_rows].reshape(num_epochs, num_rows)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(num_rows), (num_epochs, 1)))


@given(
    seed=seeds,
    num_rows=st.integers(1, 300),
    batch_size=sizes,
    first=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 20), min_size=1, max_size=5),
)
def test_any_chunks_give_the_same_rows(
    seed: int, num_rows: int, batch_size: int, first: int, counts: list[int]
) -> None:
    key = stream_key(seed, 0)
    whole = epoch_rows(key, first, sum(counts), num_rows, batch_size)
    starts = first + np.cumsum([0, *counts[:-1]])
    chunks = [
        epoch_rows(key, int(start), count, num_rows, batch_size)
        for start, count in zip(starts, counts, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@given(seed=seeds, num_rows=st.integers(1, 300), batch_size=sizes)
def test_places_count_rows_whatever_the_batch(seed: int, num_rows: int, batch_size: int) -> None:
    key = stream_key(seed, 0)
    batches = epoch_rows(key, 3, 5, num_rows, batch_size)
    singles = epoch_rows(key, 3 * batch_size, 5 * batch_size, num_rows, 1)
    np.testing.assert_array_equal(batches.ravel(), singles.ravel())


def test_a_batch_may_hold_several_epochs() -> None:
    [rows] = epoch_rows(stream_key(1, 0), 0, 1, 10, 30)
    np.testing.assert_array_equal(np.sort(rows.reshape(3, 10)), np.tile(np.arange(10), (3, 1)))


def test_a_single_row() -> None:
    np.testing.assert_array_equal(epoch_rows(stream_key(5, 0), 7, 4, 1, 3), np.zeros((4, 3)))


def test_more_rows_than_memory_holds() -> None:
    num_rows, batch_size = 10**10, 1000
    first = num_rows // batch_size - 50
    rows = epoch_rows(stream_key(2, 0), first, 100, num_rows, batch_size)
    assert rows.min() >= 0
    assert rows.max() < num_rows
    before, after = rows[:50].ravel(), rows[50:].ravel()
    assert len(np.unique(before)) == len(np.unique(after)) == 50_000
    for half in (before, after):
        assert stats.kstest(half / num_rows, "uniform").pvalue > 0.001


def test_epochs_and_keys_differ() -> None:
    orders = [
        tuple(order)
        for seed in range(10)
        for order in epoch_rows(stream_key(seed, 0), 0, 10, 100, 100)
    ]
    assert len(set(orders)) == 100


def test_the_order_of_a_seed_stays() -> None:
    # A fit that is resumed by a later version must meet the same rows.
    rows = epoch_rows(stream_key(42, 0), 0, 2, 10, 10)
    assert rows.tolist() == [[7, 6, 2, 3, 1, 0, 9, 8, 4, 5], [2, 7, 9, 1, 6, 4, 5, 3, 8, 0]]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("num_rows", [700, 1500])
def test_each_place_is_uniform_over_epochs(seed: int, num_rows: int) -> None:
    epochs = epoch_rows(stream_key(seed, 0), 0, 2000, num_rows, num_rows)
    columns = epochs[:, ::5].T
    pvalues = [
        stats.chisquare(np.histogram(column, 20, (0, num_rows))[0]).pvalue for column in columns
    ]
    assert min(pvalues) > 0.01 / len(columns)
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001


@pytest.mark.parametrize("num_rows", [3, 4, 5])
def test_every_permutation_of_a_few_rows_is_as_likely(num_rows: int) -> None:
    epochs = epoch_rows(stream_key(3, 0), 0, 12_000, num_rows, num_rows)
    counts = np.unique(epochs, axis=0, return_counts=True)[1]
    assert len(counts) == np.prod(np.arange(1, num_rows + 1))
    assert stats.chisquare(counts).pvalue > 0.001


def test_neighbours_in_an_epoch_are_unrelated() -> None:
    rows = epoch_rows(stream_key(4, 0), 0, 400, 1000, 1000)
    pairs = np.histogram2d(rows[:, :-1].ravel() // 100, rows[:, 1:].ravel() // 100, bins=10)[0]
    # A pair holds no row twice, so that pairs within a tenth are rarer by 1 in 100.
    expected = np.full((10, 10), 100 * 100.0) - 100 * np.eye(10)
    expected *= pairs.sum() / expected.sum()
    assert stats.chisquare(pairs.ravel(), expected.ravel()).pvalue > 0.001
