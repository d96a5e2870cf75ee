"""Sizes, seeds, None and Ellipsis: which axes they mean, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.axes import axis_samples, memory_slices


def sizes(batch_size: Any, ndim: int) -> dict[int, int]:
    return {sample.axis: sample.size for sample in axis_samples(batch_size, 42, ndim)}


@pytest.mark.parametrize(
    ("batch_size", "ndim", "expected"),
    [
        (5, 3, {0: 5}),
        (np.int64(5), 3, {0: 5}),
        (None, 2, {}),
        ([], 2, {}),
        ([5, 6], 2, {0: 5, 1: 6}),
        ([2, ..., 10], 5, {0: 2, 4: 10}),
        ([2, None, 20], 5, {0: 2, 2: 20}),
        ([2, None, 20, ..., 10], 5, {0: 2, 2: 20, 4: 10}),
        ([..., 3], 1, {0: 3}),
        ((4, (3, 7)), 2, {0: 4, 1: 3}),
        ([..., None], 3, {}),
    ],
)
def test_axes(batch_size: Any, ndim: int, expected: dict[int, int]) -> None:
    assert sizes(batch_size, ndim) == expected


entry = st.one_of(st.integers(1, 9), st.none(), st.tuples(st.integers(1, 9), st.integers(0, 99)))


@given(head=st.lists(entry, max_size=3), tail=st.lists(entry, max_size=3), extra=st.integers(0, 3))
def test_ellipsis_stands_for_the_axes_left_over(head: Any, tail: Any, extra: int) -> None:
    ndim = len(head) + extra + len(tail)
    filled = [*head, *[None] * extra, *tail]
    assert sizes([*head, ..., *tail], ndim) == sizes(filled, ndim)


def test_seeds_are_own_or_the_default_and_a_repeated_seed_is_another_stream() -> None:
    samples = axis_samples([5, (5, 1), (5, 42), (5, 1)], 42, 4)
    assert [(sample.seed, sample.stream) for sample in samples] == [
        (42, 0),
        (1, 0),
        (42, 1),
        (1, 1),
    ]


def test_rows_of_the_same_seed_agree_across_axes() -> None:
    [first] = axis_samples([(5, 1)], 42, 2)
    [second] = axis_samples([None, (5, 1)], 42, 2)
    assert first.key() == second.key() != first.key(1)


@pytest.mark.parametrize(
    ("batch_size", "error", "text"),
    [
        (0, ValueError, r"`batch_size` takes sizes of at least 1, got 0.\nHint: use an int"),
        ([3, -1], ValueError, r"at least 1, got -1 in \[3, -1\]"),
        (True, TypeError, r"takes sizes of type int, got True of type bool"),
        (2.5, TypeError, r"must be an int, None or a list, got 2.5 of type float"),
        ("ten", TypeError, r"must be an int, None or a list, got 'ten' of type str"),
        ([2.5], TypeError, r"takes sizes of type int, got 2.5 of type float in \[2.5\]"),
        ([(1, 2, 3)], TypeError, r"takes pairs \(size, seed\), got \(1, 2, 3\)"),
        ([(5, "a")], TypeError, r"`batch_size` takes seeds of type int, got 'a' in"),
        ([(5, -1)], ValueError, r"`batch_size` takes seeds of at least 0, got -1 in"),
        ([..., ...], ValueError, r"`batch_size` takes a single Ellipsis, got \[Ellipsis, Ellips"),
        ([1, 2, 3], ValueError, r"has 3 entries for data with 2 axes, got \[1, 2, 3\]"),
        ([1, 2, ..., 3], ValueError, r"has 3 entries for data with 2 axes"),
    ],
)
def test_wrong_batch_size(batch_size: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        axis_samples(batch_size, 42, 2)


@pytest.mark.parametrize(
    ("seed", "error", "text"),
    [
        (None, TypeError, "`random_seed` takes seeds of type int, got None in None"),
        (-3, ValueError, "`random_seed` takes seeds of at least 0, got -3"),
    ],
)
def test_wrong_seed(seed: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        axis_samples(5, seed, 2)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, (4, 5, 6)),
        (2, (2, 5, 6)),
        ([2, 3], (2, 3, 6)),
        ([..., 2], (4, 5, 2)),
        ([None, slice(1, 4)], (4, 3, 6)),
        ([slice(None, None, 2), ..., 1], (2, 5, 1)),
    ],
)
def test_memory_slices(size: Any, expected: tuple[int, ...]) -> None:
    assert np.zeros((4, 5, 6))[memory_slices(size, 3)].shape == expected


@pytest.mark.parametrize(
    ("size", "error", "text"),
    [
        (1.5, TypeError, "`in_memory_size` must be an int, None or a list, got 1.5"),
        ([(1, 2)], TypeError, r"`in_memory_size` takes sizes of type int, got \(1, 2\)"),
        (0, ValueError, "`in_memory_size` takes sizes of at least 1, got 0"),
        ([..., ...], ValueError, "`in_memory_size` takes a single Ellipsis"),
        ([1] * 4, ValueError, "`in_memory_size` has 4 entries for data with 3 axes"),
    ],
)
def test_wrong_memory_size(size: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        memory_slices(size, 3)
