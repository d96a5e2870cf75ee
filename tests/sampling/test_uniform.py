"""Uniform rows: in range, uniform, a pure function of their coordinates, the same in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayou.sampling.uniform import scale, stream_key, uniform_rows

words = st.integers(0, 2**64 - 1)


@given(bits=words, num_rows=st.integers(1, 2**63))
def test_scale_is_the_high_word_of_the_product(bits: int, num_rows: int) -> None:
    assert int(scale(np.uint64(bits), np.uint64(num_rows))) == (bits * num_rows) >> 64


@given(
    seed=st.integers(0, 2**32),
    step=st.integers(0, 2**63),
    num_rows=st.integers(1, 2**62),
    batch_size=st.integers(1, 50),
)
def test_rows_are_in_range_and_repeat(seed: int, step: int, num_rows: int, batch_size: int) -> None:
    key = stream_key(seed, 0)
    rows = uniform_rows(key, step, num_rows, batch_size)
    assert rows.shape == (batch_size,)
    assert rows.dtype == np.int64
    assert ((rows >= 0) & (rows < num_rows)).all()
    np.testing.assert_array_equal(rows, uniform_rows(key, step, num_rows, batch_size))


def test_many_steps_are_the_steps_one_by_one() -> None:
    key = stream_key(42, 0)
    steps = np.arange(7) + 11
    stacked = uniform_rows(key, steps, 1000, 20)
    single = [uniform_rows(key, step, 1000, 20) for step in steps]
    np.testing.assert_array_equal(stacked, np.stack(single))


def test_jax_draws_the_same_rows() -> None:
    key = stream_key(42, 0)
    expected = uniform_rows(key, np.arange(5), 10**9 + 7, 100)
    with jax.enable_x64(True):
        found = jax.jit(lambda steps: uniform_rows(key, steps, 10**9 + 7, 100, jnp))(np.arange(5))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("num_rows", [7, 50, 1000])
def test_rows_are_uniform(num_rows: int) -> None:
    rows = uniform_rows(stream_key(42, 0), np.arange(2000), num_rows, 100)
    counts = np.bincount(rows.ravel(), minlength=num_rows)
    assert stats.chisquare(counts).pvalue > 0.01
    first, second = rows[:, 0], rows[:, 1]
    pairs = np.histogram2d(first % 7, second % 7, bins=7)[0]
    assert stats.chi2_contingency(pairs).pvalue > 0.01
    steps = np.histogram2d(first[:-1] % 7, first[1:] % 7, bins=7)[0]
    assert stats.chi2_contingency(steps).pvalue > 0.01


def test_seeds_and_streams_differ() -> None:
    draws = {
        tuple(uniform_rows(stream_key(seed, stream), 0, 2**62, 3))
        for seed in range(20)
        for stream in range(5)
    }
    assert len(draws) == 100
