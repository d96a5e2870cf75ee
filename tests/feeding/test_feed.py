"""Feeds: stacked batches are the single ones, aligned feeds agree, streams say what is wrong."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from bayou.feeding.feed import Feed, ItemFeed, SliceFeed, empty_slots, step_bytes
from bayou.sampling.axes import BatchSize, axis_samples
from bayou.sampling.order import ORDERS
from bayou.sampling.shard import Shard

# Each element tells its place.
ARRAY = np.arange(30 * 20 * 4).reshape(30, 20, 4)
# One row for each way to sample the axes: the batch size, and the shape of a batch.
SLICES: dict[str, tuple[BatchSize, tuple[int, ...]]] = {
    "none": (None, (30, 20, 4)),
    "first": (7, (7, 20, 4)),
    "second": ([None, 6], (30, 6, 4)),
    "last": ([..., 3], (30, 20, 3)),
    "first two": ([7, 6], (7, 6, 4)),
    "outer two": ([7, ..., 3], (7, 20, 3)),
    "all": ([(7, 1), (6, 2), (3, 1)], (7, 6, 3)),
    "more than there are": ([50, None, 9], (50, 20, 9)),
}
CASES = list(product(SLICES, ORDERS))


def slice_feed(name: str, order: str, seed: int = 1) -> SliceFeed:
    return SliceFeed((ARRAY,), axis_samples(SLICES[name][0], 42, ARRAY.ndim), order, seed)


def gather(feed: Feed, first: int, count: int) -> tuple[np.ndarray, ...]:
    """Return the batches of some steps in arrays of their own."""
    slots = empty_slots(feed, count)
    feed.fill(first, slots)
    return slots


def stack(feed: Feed, first: int, count: int) -> np.ndarray:
    """The batches of a feed of one input."""
    [stacked] = gather(feed, first, count)
    return stacked


@pytest.mark.parametrize(("name", "order"), CASES)
def test_stacked_slices_are_the_single_ones(name: str, order: str) -> None:
    feed = slice_feed(name, order)
    stacked = stack(feed, 5, 9)
    assert stacked.shape == (9, *SLICES[name][1])
    assert stacked.dtype == ARRAY.dtype
    singles = [stack(feed, step, 1)[0] for step in range(5, 14)]
    np.testing.assert_array_equal(stacked, np.stack(singles))
    assert feed.shapes == (SLICES[name][1],)
    assert feed.dtypes == (ARRAY.dtype,)
    assert step_bytes([feed, feed]) == 2 * singles[0].nbytes


@pytest.mark.parametrize(("name", "order"), CASES)
def test_slices_are_cut_at_the_rows_of_the_order(name: str, order: str) -> None:
    feed = slice_feed(name, order)
    rows = [np.arange(length) for length in ARRAY.shape]
    for sample in feed.samples:
        length = ARRAY.shape[sample.axis]
        [rows[sample.axis]] = ORDERS[order](sample.key(1), 5, 1, length, sample.size)
    np.testing.assert_array_equal(stack(feed, 5, 1)[0], ARRAY[np.ix_(*rows)])


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_shards_together_are_the_slice(order: str, even: bool) -> None:
    samples = axis_samples(7, 42, ARRAY.ndim)
    whole = stack(SliceFeed((ARRAY,), samples, order, 1), 5, 9)
    for index in range(3):
        shard = Shard(index, 3, even=even)
        feed = SliceFeed((ARRAY,), samples, order, 1, shard)
        found = stack(feed, 5, 9)
        assert feed.shapes == (found.shape[1:],)
        np.testing.assert_array_equal(found, whole[:, shard.part(7)])


@pytest.mark.parametrize("order", ORDERS)
def test_slices_of_one_seed_are_aligned(order: str) -> None:
    matrix = np.arange(90.0).reshape(30, 3)
    vector = matrix[:, 0].copy()
    feeds = [
        SliceFeed((array,), axis_samples(7, 42, array.ndim), order, 1) for array in (vector, matrix)
    ]
    both = SliceFeed((vector, matrix), feeds[0].samples, order, 1)
    for first, count in ((0, 4), (4, 9)):
        vectors, matrices = (stack(feed, first, count) for feed in feeds)
        np.testing.assert_array_equal(vectors, matrices[:, :, 0])
        for found, expected in zip(gather(both, first, count), (vectors, matrices), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_slots_are_where_xla_reads_them_in_place() -> None:
    feed = SliceFeed(
        (np.zeros((5, 3), dtype=np.float32), np.zeros(5, dtype=np.int8)),
        axis_samples(3, 1, 1),
        "epoch",
        1,
    )
    slots = empty_slots(feed, 7)
    assert [slot.shape for slot in slots] == [(7, 3, 3), (7, 3)]
    assert [slot.dtype for slot in slots] == [np.float32, np.int8]
    assert all(slot.ctypes.data % 64 == 0 for slot in slots)


@pytest.mark.parametrize("order", ORDERS)
def test_other_seeds_of_the_fit_or_of_the_axis_draw_other_rows(order: str) -> None:
    vector = np.arange(1000)
    draws = {
        tuple(stack(SliceFeed((vector,), axis_samples(100, own, 1), order, seed), 0, 1)[0])
        for own, seed in product((1, 2, 3), (1, 2, 3))
    }
    assert len(draws) == 9


def test_axes_of_one_seed_are_not_tied() -> None:
    rows = np.arange(40)[:, None] + np.zeros((40, 40), int)
    samples = axis_samples([40, 40], 42, 2)
    along_rows = stack(SliceFeed((rows,), samples, "epoch", 1), 0, 1)[0, :, 0]
    along_columns = stack(SliceFeed((rows.T,), samples, "epoch", 1), 0, 1)[0, 0]
    assert (along_rows != along_columns).any()


def test_a_slice_follows_its_array_when_that_is_another() -> None:
    # Rows that were drawn for one length must not serve another one.
    samples = axis_samples(5, 42, 1)
    stack(SliceFeed((np.arange(100),), samples, "epoch", 1), 0, 10)
    short = stack(SliceFeed((np.arange(10),), samples, "epoch", 1), 0, 2)
    np.testing.assert_array_equal(np.sort(short.ravel()), np.arange(10))


def item_feed(items: Iterator[Any]) -> ItemFeed:
    return ItemFeed(lambda: next(items), "stream", np.zeros(2))


def test_items_come_once_each_and_in_order() -> None:
    feed = item_feed(np.full(2, float(index)) for index in range(10))
    np.testing.assert_array_equal(stack(feed, 0, 3)[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(stack(feed, 3, 2), [[3, 3], [4, 4]])


def test_items_that_run_out() -> None:
    feed = item_feed(iter([np.zeros(2)] * 3))
    stack(feed, 0, 2)
    with pytest.raises(
        ValueError, match=r"`stream` must yield an item for each step .* got no more.\nHint: fit"
    ):
        stack(feed, 2, 2)


def test_items_of_several_shapes() -> None:
    feed = item_feed(iter([np.zeros(2), np.zeros(3), np.zeros(2)]))
    with pytest.raises(
        ValueError, match=r"`stream` must yield items of one shape .* got \(3,\) after \(2,\).\nH"
    ):
        stack(feed, 0, 3)


def raising(error: type[Exception]) -> Callable[[], Any]:
    def take() -> Any:
        raise error("of the source")

    return take


@pytest.mark.parametrize("error", [OSError, KeyError])
def test_an_error_of_the_source_stays_what_it_is(error: type[Exception]) -> None:
    with pytest.raises(error, match="of the source"):
        stack(ItemFeed(raising(error), "stream", np.zeros(2)), 0, 2)


@pytest.mark.parametrize("num_steps", [1, 3, 9])
def test_a_sample_is_of_several_steps_at_once(num_steps: int) -> None:
    vector, matrix = np.arange(30), np.arange(60).reshape(30, 2)
    feed = SliceFeed((vector, matrix), axis_samples(7, 42, 1), "epoch", 1)
    rows, pairs = feed.sample_rows(5, num_steps)
    np.testing.assert_array_equal(pairs[:, 0], 2 * rows)
    counts = np.bincount(rows, minlength=30)
    assert counts.sum() == 7 * num_steps
    assert np.ptp(counts) <= 1
