"""Strata: a fixed number of rows of each in every batch, exact epochs within, unbiased."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayou.sampling.stratified import Stratified
from bayou.sampling.uniform import stream_key

KEY = stream_key(42)
codes = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def group_sizes(strata: Any, rows: np.ndarray) -> list[dict[Any, int]]:
    return [
        dict(zip(*(part.tolist() for part in np.unique(batch, return_counts=True)), strict=True))
        for batch in np.asarray(strata)[rows]
    ]


@given(strata=codes, first=st.integers(0, 99), more=st.integers(0, 40))
def test_every_batch_has_the_same_rows_of_each(strata: list[int], first: int, more: int) -> None:
    order, batch_size = Stratified(strata), len(set(strata)) + more
    rows = order.rows(KEY, first, 5, len(strata), batch_size)
    assert rows.shape == (5, batch_size)
    assert rows.dtype == np.int64
    assert group_sizes(strata, rows) == [order.sizes(batch_size)] * 5
    assert sum(order.sizes(batch_size).values()) == batch_size
    later = order.rows(KEY, first + 2, 3, len(strata), batch_size)
    np.testing.assert_array_equal(later, rows[2:])


@given(strata=codes, more=st.integers(0, 40))
def test_sizes_are_in_proportion(strata: list[int], more: int) -> None:
    batch_size = len(set(strata)) + more
    for stratum, size in Stratified(strata).sizes(batch_size).items():
        due = strata.count(stratum) * batch_size / len(strata)
        assert size == 1 or size < due + 1
        assert size > due - len(set(strata))


def test_sizes_by_largest_remainder() -> None:
    strata = ["a"] * 50 + ["b"] * 30 + ["c"] * 19 + ["d"]
    assert Stratified(strata).sizes(10) == {"a": 5, "b": 3, "c": 1, "d": 1}
    assert Stratified(strata).sizes(100) == {"a": 50, "b": 30, "c": 19, "d": 1}
    assert Stratified(strata, {"d": 1, "a": 1, "b": 3, "c": 1}).sizes(6) == {
        "a": 1,
        "b": 3,
        "c": 1,
        "d": 1,
    }


@given(strata=codes, sizes=st.lists(st.integers(1, 7), min_size=5, max_size=5))
def test_each_stratum_is_gone_through_in_epochs(strata: list[int], sizes: list[int]) -> None:
    batch_rows = {stratum: sizes[stratum] for stratum in set(strata)}
    rows = Stratified(strata, batch_rows).rows(KEY, 0, 70, len(strata), sum(batch_rows.values()))
    for stratum in batch_rows:
        members = np.flatnonzero(np.array(strata) == stratum)
        drawn = rows[np.array(strata)[rows] == stratum]
        epoch = drawn[: len(members)]
        np.testing.assert_array_equal(np.sort(epoch), members)


@given(
    strata=codes,
    sizes=st.lists(st.integers(1, 7), min_size=5, max_size=5),
    seed=st.integers(0, 99),
)
def test_weights_make_the_sum_unbiased(strata: list[int], sizes: list[int], seed: int) -> None:
    terms = np.random.default_rng(seed).normal(size=len(strata))
    batch_rows = {stratum: sizes[stratum] for stratum in set(strata)}
    batch_size = sum(batch_rows.values())
    order = Stratified(strata, batch_rows)
    # Over as many batches as make whole epochs of every stratum, the mean is the sum itself.
    num_batches = int(np.lcm.reduce([strata.count(stratum) for stratum in batch_rows]))
    rows = order.rows(KEY, 0, min(num_batches, 5000), len(strata), batch_size)
    weights = order.weights(rows)
    assert weights.shape == rows.shape
    if num_batches <= 5000:
        estimates = (weights * terms[rows]).sum(axis=1) * len(strata) / batch_size
        assert estimates.mean() == pytest.approx(terms.sum(), abs=1e-9)
    # One row of a stratum stands for as many as there are.
    np.testing.assert_allclose(weights.mean(axis=1), 1)


def test_strata_are_drawn_apart() -> None:
    rows = Stratified(np.repeat([0, 1], 100)).rows(KEY, 0, 50, 200, 4)
    assert (rows[:, :2] != rows[:, 2:] - 100).any()


@pytest.mark.parametrize(
    ("strata", "batch_rows", "text"),
    [
        (
            [],
            None,
            r"`strata` must be a vector with a stratum for each row, got shape \(0,\).\nHint: ",
        ),
        ([[1]], None, r"`strata` must be a vector with a stratum for each row, got shape \(1, 1\)"),
        (["a", "b"], {"a": 1}, "`batch_rows` must have all strata, 'a', 'b', got 'a'.\nHint: "),
        ([1], {1: 0}, "`batch_rows` must be a whole number of at least 1, got 0.\nHint: it count"),
        (range(12), {0: 1}, "strata, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more, got 0."),
    ],
)
def test_wrong_strata(strata: Any, batch_rows: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Stratified(strata, batch_rows)


def test_wrong_batch_size() -> None:
    with pytest.raises(ValueError, match="`batch_size` must be at least 3, a row of each stratum"):
        Stratified([1, 2, 3]).rows(KEY, 0, 1, 3, 2)
    with pytest.raises(ValueError, match="`batch_size` must be the sum of `batch_rows`, 3, got 4"):
        Stratified([1, 2], {1: 1, 2: 2}).rows(KEY, 0, 1, 2, 4)
