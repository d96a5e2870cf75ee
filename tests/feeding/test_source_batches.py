"""Rows of a source in every order, by every way they are had, and what is refused."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.feeding.feed import empty_slots
from bayou.feeding.source_batches import NAMED_ORDERS, SourceFeed
from bayou.sampling.shard import Shard
from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted
from bayou.sampling.window import Windows


def gather(feed: SourceFeed, first: int, count: int) -> tuple[np.ndarray, ...]:
    """Return the batches of some steps in arrays of their own."""
    slots = empty_slots(feed, count)
    feed.fill(first, slots)
    return slots


KEY = stream_key(42)
blocks = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 5)


def row_feed(source: Any, batch_size: int, **options: Any) -> SourceFeed:
    return SourceFeed([source["row"]], batch_size, key=KEY, **options)


def rows_of(feed: SourceFeed, first: int, count: int) -> np.ndarray:
    return gather(feed, first, count)[0]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("bayou-window")]


# The ways in which rows are had: by number, from a copy in memory, or through windows.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "access": ({"access": True}, {}),
    "memory": ({}, {"in_memory_size": 60}),
    "memory, counted": ({"known": False}, {"in_memory_size": 60}),
    "windows": ({}, {"in_memory_size": 20}),
    "windows, counted": ({"known": False}, {"in_memory_size": 20}),
}
ALL_COLUMNS = ["row", "x", ["z", "x"], ["row", "x"], "pixels", "flag", "day", "kind"]


@pytest.mark.parametrize("order", ["epoch", "sequential"])
@pytest.mark.parametrize("way", WAYS)
def test_all_columns_are_of_the_same_rows(row_source: Any, way: str, order: str) -> None:
    settings, options = WAYS[way]
    source = row_source([20, 0, 13, 27], **settings)
    columns = [source[name] for name in ALL_COLUMNS]
    feed = SourceFeed(columns, 8, key=KEY, order=order, **options)
    assert feed.shapes == ((8,), (8,), (8, 2), (8, 2), (8, 2, 3), (8,), (8,), (8,))
    assert [dtype.name for dtype in feed.dtypes] == [
        *("int64", "float64", "float64", "float64", "float32", "bool", "datetime64[D]", "int32")
    ]
    for first, count in ((0, 5), (5, 3), (2, 20)):
        rows, x, matrix, mixed, *others = gather(feed, first, count)
        np.testing.assert_array_equal(x, rows / 2)
        np.testing.assert_array_equal(matrix, np.stack([-rows, rows / 2], axis=-1))
        np.testing.assert_array_equal(mixed, np.stack([rows, rows / 2], axis=-1))
        for name, values in zip(ALL_COLUMNS[4:], others, strict=True):
            np.testing.assert_array_equal(values, source.values_of(name, rows))
    feed.close()


@pytest.mark.parametrize("order", NAMED_ORDERS)
@pytest.mark.parametrize("way", ["access", "memory", "memory, counted"])
def test_rows_at_hand_come_in_the_named_order(row_source: Any, way: str, order: str) -> None:
    settings, options = WAYS[way]
    feed = row_feed(row_source([20, 0, 13, 27], **settings), 7, order=order, **options)
    expected = NAMED_ORDERS[order](KEY, 3, 20, 60, 7)
    np.testing.assert_array_equal(rows_of(feed, 3, 20), expected)
    assert threads() == []


@given(
    sizes=blocks,
    piece=st.integers(1, 50),
    window=st.integers(2, 100),
    batch_size=st.integers(1, 6),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    shuffled=st.booleans(),
)
def test_windows_give_the_rows_that_arithmetic_says(
    row_source: Any,
    sizes: list[int],
    piece: int,
    window: int,
    batch_size: int,
    counts: list[int],
    shuffled: bool,
) -> None:
    num_rows = sum(sizes)
    size = min(window, num_rows - 1)
    order = "epoch" if shuffled else "sequential"
    feed = row_feed(row_source(sizes, piece=piece), batch_size, order=order, in_memory_size=size)
    expected = Windows(tuple(sizes), size // 2, shuffled).rows(
        KEY, 0, sum(counts), num_rows, batch_size
    )
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    rows = [rows_of(feed, start, count) for start, count in zip(starts, counts, strict=True)]
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    feed.close()
    assert threads() == []


@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), min_size=1, max_size=10),
    window=st.integers(2, 59),
)
def test_windows_are_exact_after_any_jump(
    row_source: Any, steps: list[tuple[int, int]], window: int
) -> None:
    feed = row_feed(row_source([20, 0, 13, 27]), 5, in_memory_size=window)
    windows = Windows((20, 0, 13, 27), window // 2)
    for first, count in steps:
        expected = windows.rows(KEY, first, count, 60, 5)
        np.testing.assert_array_equal(rows_of(feed, first, count), expected)
    feed.close()


@given(
    num_shards=st.integers(1, 6),
    more=st.integers(0, 10),
    way=st.sampled_from([*WAYS]),
    epochs=st.sampled_from([None, 2]),
)
def test_shards_together_are_the_batch(
    row_source: Any, num_shards: int, more: int, way: str, epochs: int | None
) -> None:
    settings, options = WAYS[way]
    source, size = row_source([20, 0, 13, 27], **settings), num_shards + more
    whole = row_feed(source, size, epochs=epochs, **options)
    shards = [
        row_feed(source, size, epochs=epochs, shard=Shard(index, num_shards), **options)
        for index in range(num_shards)
    ]
    assert {shard.num_batches for shard in shards} == {whole.num_batches}
    for step in range(whole.num_batches or 20):
        expected, *parts = [last(feed, step) for feed in (whole, *shards)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    for feed in (whole, *shards):
        feed.close()


def last(feed: SourceFeed, step: int) -> np.ndarray:
    part = feed.part(step)
    slot = np.empty((1, part.stop - part.start), dtype=np.int64)
    feed.fill(step, [slot])
    return slot[0]


@pytest.mark.parametrize("way", WAYS)
def test_epochs_end(row_source: Any, way: str) -> None:
    settings, options = WAYS[way]
    source = row_source([20, 0, 13, 27], **settings)
    feed = row_feed(source, 7, epochs=2, **options)
    assert feed.num_batches == 18
    rows = np.concatenate([last(feed, step) for step in range(18)])
    assert len(rows) == 120
    np.testing.assert_array_equal(np.sort(rows.reshape(2, 60)), [np.arange(60)] * 2)
    feed.close()
    if way == "windows":
        # Nothing is read beyond the end.
        assert source.blocks_read.count(0) == 2


def test_weights_are_one_more_input(row_source: Any) -> None:
    source = row_source([20, 40], access=True)
    for order in (Weighted(np.arange(1, 61)), Stratified(np.arange(60) % 7)):
        feed = row_feed(source, 9, order=order)
        assert feed.shapes == ((9,), (9,))
        assert feed.dtypes == (np.dtype(np.int64), np.dtype(np.float64))
        rows, weights = gather(feed, 4, 6)
        np.testing.assert_array_equal(rows, order.rows(KEY, 4, 6, 60, 9))
        np.testing.assert_array_equal(weights, order.weights(rows))
        shard = row_feed(source, 9, order=order, shard=Shard(1, 2))
        assert shard.shapes == ((5,), (5,))
        part_rows, part_weights = gather(shard, 4, 6)
        np.testing.assert_array_equal(part_rows, rows[:, 4:])
        np.testing.assert_array_equal(part_weights, weights[:, 4:])


def test_a_sequence_is_streamed_without_a_window(row_source: Any) -> None:
    source = row_source([10] * 6)
    feed = row_feed(source, 10, order="sequential", in_memory_size=20)
    np.testing.assert_array_equal(rows_of(feed, 0, 12).ravel(), np.tile(np.arange(60), 2))
    feed.close()


def test_rows_are_loaded_once(row_source: Any) -> None:
    source = row_source([20, 40])
    feed = row_feed(source, 10, in_memory_size=60)
    assert source.blocks_read == []
    rows_of(feed, 0, 30)
    rows_of(feed, 3, 30)
    assert source.blocks_read == [0, 1]


def test_rows_are_loaded_by_default_where_memory_is_free(row_source: Any) -> None:
    feed = row_feed(row_source([20, 40]), 10)
    np.testing.assert_array_equal(rows_of(feed, 0, 9), NAMED_ORDERS["epoch"](KEY, 0, 9, 60, 10))


@pytest.mark.parametrize("size", [20, 21, 19])
def test_windows_are_kept_where_there_is_room(size: int, row_source: Any) -> None:
    room = np.full(size, -1)
    feed, other = (row_feed(row_source([10] * 10), 10, in_memory_size=20) for _ in range(2))
    feed.use_buffers((room,))
    np.testing.assert_array_equal(rows_of(feed, 0, 25), rows_of(other, 0, 25))
    feed.close()
    other.close()
    # Two windows of ten rows, or nothing where only one has room.
    assert np.count_nonzero(room >= 0) == (20 if size >= 20 else 0)


def test_memory_is_two_windows_and_a_piece(row_source: Any) -> None:
    source = row_source([10] * 10)
    feed = row_feed(source, 10, in_memory_size=20)
    rows_of(feed, 0, 1)
    feed.close()
    # The window that is read, the one after it, and the piece that is decoded ahead of that.
    assert len(source.blocks_read) <= 3


@pytest.mark.parametrize("way", WAYS)
def test_an_error_arrives_at_the_batch_that_it_concerns(row_source: Any, way: str) -> None:
    settings, options = WAYS[way]
    source = row_source([20, 0, 13, 27], **settings)
    healthy = row_feed(source, 5, **options)
    feed = row_feed(source, 5, **options)
    expected = rows_of(healthy, 0, 12)
    source.fails_at = int(expected[8, 2])
    good = {"access": 8, "windows": 8, "memory": 0}[way.removesuffix(", counted")]
    if good and way != "access":
        good = 40 // 5
        assert Windows((20, 0, 13, 27), 10).locate(8 * 5)[0] == 4
    for step in range(good):
        np.testing.assert_array_equal(rows_of(feed, step, 1)[0], expected[step])
    for _ in range(2):
        with pytest.raises(OSError, match=r"part-3\.parquet: no row"):
            rows_of(feed, good, 1)
    if good:
        # What came before is still there.
        np.testing.assert_array_equal(rows_of(feed, good - 1, 1)[0], expected[good - 1])
    source.fails_at = None
    np.testing.assert_array_equal(rows_of(feed, 0, 12), expected)
    for each in (feed, healthy):
        each.close()
    assert threads() == []


@pytest.mark.parametrize("in_memory_size", [40, 60])
@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([20, 3], "`source` must yield 40 rows for block 1, got 3.\nHint: the data changed"),
        ([20, 0], "`source` must yield 40 rows for block 1, got 0"),
        ([32, 40], "`source` must yield 20 rows for block 0, got more"),
    ],
)
def test_blocks_must_have_the_rows_that_they_say(
    row_source: Any, in_memory_size: int, found: list[int], text: str
) -> None:
    feed = row_feed(row_source([20, 40], found=found), 5, in_memory_size=in_memory_size)
    with pytest.raises(ValueError, match=text):
        rows_of(feed, 0, 12)
    feed.close()


@pytest.mark.parametrize("way", WAYS)
def test_tables_must_be_as_the_fields_say(row_source: Any, way: str, monkeypatch: Any) -> None:
    settings, options = WAYS[way]
    feed = row_feed(row_source([20, 0, 13, 27], **settings), 5, **options)
    monkeypatch.setattr(
        row_source, "table", lambda self, rows, names: {"row": rows.astype(np.int32)}
    )
    text = r"`source` must yield int64 of shape .* for field 'row', got int32 of shape .*\nHint: "
    with pytest.raises(ValueError, match=text):
        rows_of(feed, 0, 3)
    feed.close()


def test_the_thread_ends_when_the_feed_is_dropped(row_source: Any) -> None:
    feed = row_feed(row_source([10] * 10), 10, in_memory_size=20)
    rows_of(feed, 0, 1)
    [thread] = threads()
    del feed
    thread.join(60)
    assert not thread.is_alive()


def test_a_closed_feed_may_be_closed_again(row_source: Any) -> None:
    feed = row_feed(row_source([10] * 10), 10, in_memory_size=20)
    feed.close()
    feed.close()


@pytest.mark.parametrize(
    ("sizes", "settings", "batch_size", "options", "text"),
    [
        ([9], {}, 0, {}, "`batch_size` must be a whole number of at least 1, got 0.\nHint: it cou"),
        (
            [9],
            {},
            10,
            {},
            "`batch_size` must be at most the number of rows, 9, got 10.\nHint: this",
        ),
        ([9], {}, 2, {"shard": Shard(0, 3)}, "`batch_size` must be at least the number of shards"),
        ([0], {}, 1, {}, "`source` must have at least one row, got none.\nHint: check the path,"),
        ([9], {}, 2, {"in_memory_size": 1}, "`in_memory_size` must be a whole number of at least"),
        ([9], {"access": True}, 2, {"in_memory_size": 9}, "`in_memory_size` is for sources that"),
        ([9], {}, 2, {"epochs": 0}, "`epochs` must be a whole number of at least 1, got 0"),
        ([9], {}, 2, {"epochs": 1, "order": "uniform"}, '`epochs` is for the orders "epoch" and'),
        ([9], {}, 2, {"order": "shuffle"}, "`order` must be one of 'epoch', 'uniform', 'sequentia"),
        ([9], {}, 2, {"order": None}, "or a by.Weighted or by.Stratified, got None.\nHint: 'epo"),
        (
            [9],
            {},
            2,
            {"order": Weighted([1, 2])},
            "`order` must have an entry for each row of the source, 9, ",
        ),
        ([9], {}, 2, {"order": Stratified(range(9))}, "`batch_size` must be at least 9, a row of "),
        (
            [9],
            {},
            2,
            {"order": "uniform", "in_memory_size": 8},
            r'`order` must be "epoch" or "sequential" for a source that is read block by block and '
            "has more rows than memory, 9 and 8, got 'uniform'.\nHint: raise `in_memory_size`",
        ),
    ],
)
def test_what_is_refused(
    row_source: Any, sizes: Any, settings: Any, batch_size: int, options: Any, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        row_feed(row_source(sizes, **settings), batch_size, **options)


def test_columns_that_are_refused(row_source: Any) -> None:
    source, other = row_source([9]), row_source([9])
    with pytest.raises(TypeError, match=r"must be numbers, .* got `name` of text"):
        SourceFeed([source["x"], source["name"]], 2, key=KEY)
    with pytest.raises(ValueError, match="`columns` must be of one source, got columns of several"):
        SourceFeed([source["x"], other["z"]], 2, key=KEY)
    with pytest.raises(ValueError, match="`columns` must hold at least one column, got none"):
        SourceFeed([], 2, key=KEY)
