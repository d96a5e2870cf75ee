"""Antithetic noise: what is exact of its moments, whatever the seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayou.fitting.fixed_draws.antithetic import antithetic_normals, antithetic_signs

SEEDS, HALVES, SIZES = st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 5)


@given(SEEDS, HALVES, SIZES)
def test_odd_moments_are_zero(seed: int, half: int, size: int) -> None:
    for draw in (antithetic_normals, antithetic_signs):
        noise = draw(seed, 2 * half, size)
        assert noise.shape == (2 * half, size)
        np.testing.assert_array_equal(noise[:half], -noise[half:])
        np.testing.assert_array_equal(noise, draw(seed, 2 * half, size))


@given(SEEDS, HALVES, SIZES)
def test_second_moments_of_signs_are_one(seed: int, half: int, size: int) -> None:
    np.testing.assert_array_equal(np.abs(antithetic_signs(seed, 2 * half, size)), 1)
