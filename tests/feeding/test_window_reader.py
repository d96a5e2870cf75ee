from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.feeding.layout import ColumnLayout
from bayou.feeding.window_reader import WindowReader, WindowStream
from bayou.sampling.uniform import stream_key
from bayou.sampling.window import Windows

KEY = stream_key(3)


def stream_of(source: Any, windows: Windows) -> WindowStream:
    return WindowStream(ColumnLayout((source["row"], source["x"])), windows, KEY)


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any),
    piece=st.integers(1, 10),
    window_rows=st.integers(1, 30),
    shuffled=st.booleans(),
    reads=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40)), min_size=1, max_size=4),
)
def test_rows_are_those_of_the_windows(
    row_source: Any,
    sizes: list[int],
    piece: int,
    window_rows: int,
    shuffled: bool,
    reads: list[tuple[int, int]],
) -> None:
    windows = Windows(sizes, window_rows, shuffled=shuffled)
    reader = WindowReader(stream_of(row_source(sizes, piece=piece), windows))
    try:
        for position, count in reads:
            slots = [np.empty(count, np.int64), np.empty(count)]
            reader.read(position, slots)
            expected = windows.rows(KEY, position, count, sum(sizes), 1).ravel()
            np.testing.assert_array_equal(slots[0], expected)
            np.testing.assert_array_equal(slots[1], expected / 2)
    finally:
        reader.close()


def test_windows_are_kept_in_buffers_that_have_room(row_source: Any) -> None:
    windows = Windows([20], 5)
    for room, is_used in ((10, True), (9, False)):
        buffers = (np.full(room, -1), np.full(room, -1.0))
        reader = WindowReader(stream_of(row_source([20]), windows))
        reader.use_buffers(buffers)
        reader.read(0, [np.empty(5, np.int64), np.empty(5)])
        reader.close()
        assert (buffers[0] >= 0).any() == is_used


def test_no_window_after_the_end_is_read(row_source: Any) -> None:
    source = row_source([5, 5, 5, 5], piece=5)
    reader = WindowReader(stream_of(source, Windows([5] * 4, 5, shuffled=False)), end=10)
    for position in range(0, 10, 5):
        reader.read(position, [np.empty(5, np.int64), np.empty(5)])
    reader.close()
    # A piece more is decoded in advance.
    assert set(source.blocks_read) <= {0, 1, 2}


def test_a_window_that_is_no_longer_wanted_is_given_up(row_source: Any) -> None:
    stream = stream_of(row_source([20]), Windows([20], 10))
    with pytest.raises(CancelledError):
        stream.fill(0, stream.empty())
    stream.wanted = 0
    arrays = stream.empty()
    stream.fill(0, arrays)
    assert len(np.unique(arrays[0])) == 10
    stream.close()


@pytest.mark.parametrize(("found", "received"), [([5, 4], "4"), ([5, 6], "more")])
def test_a_block_that_has_changed_is_refused(
    row_source: Any, found: list[int], received: str
) -> None:
    windows = Windows([5, 5], 10, shuffled=False)
    stream = stream_of(row_source([5, 5], found=found), windows)
    stream.wanted = 0
    text = f"`source` must yield 5 rows for block 1, got {received}.\nHint: the data changed"
    with pytest.raises(ValueError, match=text):
        stream.fill(0, stream.empty())
    stream.close()
