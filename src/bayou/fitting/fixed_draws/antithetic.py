"""Fixed Monte Carlo noise in antithetic pairs, so that its odd moments are exactly zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Array = NDArray[np.float64]


def antithetic_normals(seed: int, num_draws: int, size: int) -> Array:
    """Return standard normals in pairs of opposite sign, shape (num_draws, size)."""
    half = np.random.default_rng(seed).normal(size=(num_draws // 2, size))
    return np.concatenate([half, -half])


def antithetic_signs(seed: int, num_draws: int, size: int) -> Array:
    """Return pairs of opposite corners of the cube [-1, 1]**size, shape (num_draws, size).

    A few corners integrate a quadratic better than a few normals do: their second moments are
    exact too.
    """
    half = np.random.default_rng(seed).choice([-1.0, 1.0], size=(num_draws // 2, size))
    return np.concatenate([half, -half])
