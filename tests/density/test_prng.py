"""Noise: standard normal, independent between steps, a pure function of seed and step."""

import jax
import numpy as np
import pytest
from scipy import stats

from bayou.density.prng import noise_key


def normals(seed: int, step: int, size: int = 20_000) -> np.ndarray:
    key = jax.random.fold_in(noise_key(seed), step)
    return np.asarray(jax.random.normal(key, (size,)))


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_noise_is_standard_normal(seed: int) -> None:
    assert stats.kstest(normals(seed, 3), "norm").pvalue > 0.001


def test_steps_and_seeds_are_independent() -> None:
    draws = np.stack([normals(1, 0), normals(1, 1), normals(1, 2**31 - 1), normals(2, 0)])
    correlations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(draws.shape[1])
    assert (
        stats.kstest(np.array([normals(1, step, 1)[0] for step in range(500)]), "norm").pvalue
        > 0.001
    )


def test_noise_repeats() -> None:
    np.testing.assert_array_equal(normals(7, 9, 10), normals(7, 9, 10))


def test_keys_split_and_bits_of_every_width() -> None:
    keys = jax.random.split(noise_key(5), (2, 3))
    assert keys.shape == (2, 3)
    assert (
        len({tuple(words) for words in np.asarray(jax.random.key_data(keys)).reshape(-1, 2)}) == 6
    )
    for width in (8, 16, 32, 64):
        bits = np.asarray(jax.random.bits(noise_key(5), (4096,), f"uint{width}"))
        assert abs(bits.astype(float).mean() / 2**width - 0.5) < 0.03


def test_noise_without_64_bits() -> None:
    with jax.enable_x64(False):
        draws = np.asarray(jax.random.normal(noise_key(1), (10,)))
    assert draws.dtype == np.float32
    assert np.isfinite(draws).all()
