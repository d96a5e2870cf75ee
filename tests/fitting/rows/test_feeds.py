"""The feeds of a model: which inputs share one, and what each of them feeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayou as by
from bayou.density.build import compile_program
from bayou.density.program import Program
from bayou.feeding.feed import empty_slots
from bayou.feeding.source_batches import SourceFeed
from bayou.fitting.rows.feeds import (
    closing_feeds,
    compile_row_order,
    leading_batch_size,
    program_feeds,
)

NUM_ROWS = 60
X = np.arange(NUM_ROWS * 2.0).reshape(NUM_ROWS, 2)


def program_with(*observed: Any) -> Program:
    with pm.Model() as model:
        mu = pm.Normal("mu")
        for number, values in enumerate(observed):
            pm.Normal(f"y{number}", mu, 1, observed=values, total_size=NUM_ROWS)
    return compile_program(model)


def first_batch(feed: Any) -> tuple[np.ndarray, ...]:
    """Return the batches of a feed, those of more axes first."""
    slots = empty_slots(feed, 1)
    feed.fill(0, slots)
    return tuple(sorted((slot[0] for slot in slots), key=np.ndim, reverse=True))


def items() -> Iterator[np.ndarray]:
    while True:
        yield np.zeros(7)


@pytest.fixture(scope="module")
def mixed() -> Program:
    return program_with(
        by.Minibatch(X, 6), by.Minibatch(X[:, 0], 6), by.generator(items()), by.Minibatch(X, [6, 1])
    )


def test_minibatches_that_are_sampled_alike_share_a_feed(mixed: Program) -> None:
    feeds = program_feeds(mixed, "epoch", seed=1)
    assert sorted(type(feed).__name__ for feed in feeds) == ["ItemFeed", "SliceFeed", "SliceFeed"]
    assert sum(len(feed.shapes) for feed in feeds) == len(mixed.fed)
    [shared] = [feed for feed in feeds if leading_batch_size(feed) == 6]
    rows, column = first_batch(shared)
    np.testing.assert_array_equal(rows[:, 0], column)
    assert [leading_batch_size(feed) for feed in feeds if feed is not shared] == [None, None]
    compile_row_order(feeds, "epoch")


def test_rows_depend_on_the_seed_alone(mixed: Program) -> None:
    def batch(seed: int) -> tuple[np.ndarray, ...]:
        feeds = program_feeds(mixed, "epoch", seed)
        return first_batch(next(feed for feed in feeds if leading_batch_size(feed)))

    one, same, other = map(batch, (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0])


def test_weights_of_rows_are_fed_by_a_source() -> None:
    program = program_with(by.Minibatch(X, 6), by.Minibatch(X[:, 0], 6))
    [feed] = program_feeds(program, by.Weighted(np.arange(1.0, NUM_ROWS + 1)), seed=1)
    assert isinstance(feed, SourceFeed)
    with closing_feeds([feed]):
        rows, column, weights = first_batch(feed)
    np.testing.assert_array_equal(rows[:, 0], column)
    assert weights.shape == (6,)
    assert len(feed.shapes) == len(program.fed) + 1
    assert leading_batch_size(feed) == 6


def windowed_feeds(*sizes: int) -> Program:
    def read() -> Iterator[dict[str, np.ndarray]]:
        yield {"a": X[:, 0], "b": X[:, 1]}

    rows = by.source(read, num_rows=NUM_ROWS)
    return program_with(
        *(
            by.Minibatch(rows[name], 6, in_memory_size=size)
            for name, size in zip("ab", sizes, strict=True)
        )
    )


def test_windows_of_a_source_have_one_size() -> None:
    with pytest.raises(
        ValueError,
        match=r"`in_memory_size` must be the same for all .*got 8 for .* 7 for .*\nHint",
    ):
        program_feeds(windowed_feeds(7, 8), "epoch", seed=1)
