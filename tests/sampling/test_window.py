"""Windowed epochs: every row once, a pure function of the place, random from end to end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.sampling.uniform import stream_key
from bayou.sampling.window import Windows

seeds = st.integers(0, 2**32)
blocks = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any).map(tuple)
window_sizes = st.integers(1, 100)
batch_sizes = st.integers(1, 50)


@given(seed=seeds, blocks=blocks, size=window_sizes, batch_size=batch_sizes, shuffled=st.booleans())
def test_each_epoch_holds_every_row_once(
    seed: int, blocks: tuple[int, ...], size: int, batch_size: int, shuffled: bool
) -> None:
    windows = Windows(blocks, size, shuffled)
    num_rows = sum(blocks)
    num_steps = -(-3 * num_rows // batch_size)
    rows = windows.rows(stream_key(seed), 0, num_steps, num_rows, batch_size)
    assert rows.shape == (num_steps, batch_size)
    assert rows.dtype == np.int64
    epochs = rows.ravel()[: 3 * num_rows].reshape(3, num_rows)
    if shuffled:
        epochs = np.sort(epochs)
    np.testing.assert_array_equal(epochs, np.tile(np.arange(num_rows), (3, 1)))


@given(
    seed=seeds, blocks=blocks, size=window_sizes, batch_size=batch_sizes, first=st.integers(0, 99)
)
def test_any_step_by_itself(
    seed: int, blocks: tuple[int, ...], size: int, batch_size: int, first: int
) -> None:
    windows, key = Windows(blocks, size), stream_key(seed)
    whole = windows.rows(key, first, 4, sum(blocks), batch_size)
    singles = [windows.rows(key, first + step, 1, sum(blocks), batch_size)[0] for step in range(4)]
    np.testing.assert_array_equal(whole, singles)
    places = windows.rows(key, first * batch_size, 4 * batch_size, sum(blocks), 1)
    np.testing.assert_array_equal(whole.ravel(), places.ravel())


@given(blocks=blocks, size=window_sizes, position=st.integers(0, 10**15))
def test_a_position_is_located(blocks: tuple[int, ...], size: int, position: int) -> None:
    windows = Windows(blocks, size)
    window, place = windows.locate(position)
    assert 0 <= place < windows.size(window) <= size
    epoch, index = divmod(window, windows.num_windows)
    assert epoch * sum(blocks) + index * size + place == position


@given(seed=seeds, blocks=blocks, size=window_sizes, window=st.integers(0, 50))
def test_a_window_begins_where_the_last_one_ended(
    seed: int, blocks: tuple[int, ...], size: int, window: int
) -> None:
    windows, key = Windows(blocks, size), stream_key(seed)
    epoch, index = divmod(window, windows.num_windows)
    order = windows.block_order(key, epoch)
    assert sorted(order) == list(range(len(blocks)))
    left, skipped = windows.begin(key, window)
    read = len(order) - len(left)
    np.testing.assert_array_equal(left, order[read:])
    assert 0 <= skipped < blocks[left[0]]
    assert sum(blocks[block] for block in order[:read]) + skipped == index * size


@given(seed=seeds, blocks=blocks, size=window_sizes, window=st.integers(0, 50))
def test_places_of_pieces_are_those_of_the_window(
    seed: int, blocks: tuple[int, ...], size: int, window: int
) -> None:
    windows, key = Windows(blocks, size), stream_key(seed)
    count = windows.size(window)
    places = windows.positions(key, window, 0, count)
    np.testing.assert_array_equal(np.sort(places), np.arange(count))
    cut = count // 3
    pieces = [windows.positions(key, window, *piece) for piece in ((0, cut), (cut, count - cut))]
    np.testing.assert_array_equal(np.concatenate(pieces), places)


def test_epochs_windows_and_keys_differ() -> None:
    windows = Windows((100,) * 10, 500)
    orders = {
        tuple(order)
        for seed in range(5)
        for order in windows.rows(stream_key(seed), 0, 4, 1000, 500)
    }
    assert len(orders) == 20
    blocks = {tuple(windows.block_order(stream_key(0), epoch)) for epoch in range(20)}
    assert len(blocks) == 20


def test_the_order_of_a_seed_stays() -> None:
    # A fit that is resumed by a later version must meet the same rows.
    rows = Windows((4, 3, 4), 5).rows(stream_key(42), 0, 2, 11, 11)
    assert rows.tolist() == [
        [2, 3, 1, 7, 0, 4, 10, 5, 9, 8, 6],
        [0, 10, 7, 9, 8, 5, 1, 2, 3, 4, 6],
    ]


def test_every_block_may_come_anywhere() -> None:
    windows = Windows((10,) * 8, 20)
    firsts = [windows.block_order(stream_key(1), epoch)[0] for epoch in range(4000)]
    assert stats.chisquare(np.bincount(firsts, minlength=8)).pvalue > 0.001


@pytest.mark.parametrize("place", [0, 7, 19])
def test_rows_of_a_window_may_come_anywhere_in_it(place: int) -> None:
    windows, key = Windows((20,), 20), stream_key(2)
    found = [windows.positions(key, window, place, 1)[0] for window in range(4000)]
    assert stats.chisquare(np.bincount(found, minlength=20)).pvalue > 0.001
