"""Weighted draws: in proportion, a pure function of the step, unbiased by their weights."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.sampling.uniform import stream_key
from bayou.sampling.weighted import Weighted

KEY = stream_key(42)
given_weights = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40)


@given(
    probabilities=given_weights,
    first=st.integers(0, 10**12),
    counts=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    batch_size=st.integers(1, 30),
)
def test_rows_are_a_pure_function_of_the_step(
    probabilities: list[float], first: int, counts: tuple[int, int], batch_size: int
) -> None:
    order, num_rows = Weighted(probabilities), len(probabilities)
    rows = order.rows(KEY, first, sum(counts), num_rows, batch_size)
    assert rows.shape == (sum(counts), batch_size)
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < num_rows)).all()
    later = order.rows(KEY, first + counts[0], counts[1], num_rows, batch_size)
    np.testing.assert_array_equal(later, rows[counts[0] :])


def test_rows_are_drawn_in_proportion() -> None:
    probabilities = np.array([1.0, 5.0, 0.5, 3.5])
    rows = Weighted(probabilities).rows(KEY, 0, 1000, 4, 50)
    expected = 50_000 * probabilities / 10
    assert stats.chisquare(np.bincount(rows.ravel()), expected).pvalue > 0.001


@given(probabilities=given_weights, seed=st.integers(0, 99))
def test_weights_make_the_sum_unbiased(probabilities: list[float], seed: int) -> None:
    terms = np.random.default_rng(seed).normal(size=len(probabilities))
    weights = Weighted(probabilities).weights(np.arange(len(terms)))
    # The mean over a draw, in exact proportion, of the sum that it stands for.
    chances = np.array(probabilities) / sum(probabilities)
    assert chances @ (weights * terms) * len(terms) == pytest.approx(terms.sum(), abs=1e-9)


def test_estimates_are_spread_around_the_sum_of_all_terms() -> None:
    terms = np.random.default_rng(1).normal(2, 1, size=200)
    order = Weighted(np.abs(terms) + 0.1)
    rows = order.rows(KEY, 0, 2000, 200, 20)
    estimates = (order.weights(rows) * terms[rows]).sum(axis=1) * 200 / 20
    error = stats.sem(estimates)
    assert abs(estimates.mean() - terms.sum()) < 4 * error


def test_likely_rows_weigh_less() -> None:
    np.testing.assert_allclose(Weighted([1, 1, 2]).weights(np.array([[0, 2]])), [[4 / 3, 2 / 3]])
    np.testing.assert_allclose(Weighted(np.full(7, 3.0)).weights(np.arange(7)), np.ones(7))


@pytest.mark.parametrize(
    ("probabilities", "text"),
    [
        ([], r"`probabilities` must be a vector with one number a row, got shape \(0,\).\nHint: "),
        ([[1.0]], r"`probabilities` must be a vector with one number a row, got shape \(1, 1\)"),
        ([1, 0, 2], "`probabilities` must be positive and finite, got 0.0 in row 1.\nHint: the l"),
        ([1, 2, np.nan], "`probabilities` must be positive and finite, got nan in row 2"),
        ([np.inf], "`probabilities` must be positive and finite, got inf in row 0"),
    ],
)
def test_wrong_probabilities(probabilities: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Weighted(probabilities)
