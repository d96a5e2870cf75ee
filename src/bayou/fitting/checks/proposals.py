"""Distributions to draw positions from: normals and Student's t, in pairs of mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.guides.approximation import Approximation

    type Array = NDArray[np.float64]


@dataclass(frozen=True)
class Proposal:
    """A distribution over positions whose contours are ellipsoids.

    Attributes
    ----------
    origin : ndarray, shape (size,)
        Its mean.
    factor : ndarray, shape (size, size) or (size,)
        A root of its scale matrix; the diagonal, if that is diagonal.
    degrees : float
        Degrees of freedom of a Student's t; inf for a normal.
    """

    origin: Array
    factor: Array
    degrees: float = np.inf

    def draw(self, seed: int, num_pairs: int) -> Array:
        """Return positions, shape (2 * num_pairs, size): the second half mirrors the first."""
        random = np.random.default_rng(seed)
        steps = random.normal(size=(num_pairs, len(self.origin)))
        if np.isfinite(self.degrees):
            steps *= np.sqrt(self.degrees / random.chisquare(self.degrees, size=(num_pairs, 1)))
        displacements = self.directions(steps)
        mirrored: Array = self.origin + np.concatenate([displacements, -displacements])
        return mirrored

    def directions(self, steps: Array) -> Array:
        """Return the displacements of positions that steps make, shapes (num_draws, size)."""
        moved: Array = steps * self.factor if self.factor.ndim == 1 else steps @ self.factor.T
        return moved

    def steps(self, positions: Array) -> Array:
        """Return what standard draws of positions are, shapes (num_draws, size)."""
        displacements = positions - self.origin
        if self.factor.ndim == 1:
            return displacements / self.factor
        solved: Array = np.linalg.solve(self.factor, displacements.T).T
        return solved

    def log_densities(self, positions: Array) -> Array:
        """Return the log densities of positions, shape (num_draws,), in nats."""
        size, degrees = len(self.origin), self.degrees
        squares = (self.steps(positions) ** 2).sum(axis=1)
        volume = (
            np.log(np.abs(self.factor)).sum()
            if self.factor.ndim == 1
            else np.linalg.slogdet(self.factor)[1]
        )
        if np.isinf(degrees):
            values = -0.5 * (squares + size * np.log(2 * np.pi)) - volume
        else:
            values = (
                gammaln((degrees + size) / 2)
                - gammaln(degrees / 2)
                - 0.5 * size * np.log(degrees * np.pi)
                - volume
                - 0.5 * (degrees + size) * np.log1p(squares / degrees)
            )
        return np.asarray(values, dtype=np.float64)


def fitted_normal(approximation: Approximation) -> Proposal | None:
    """Return the normal over positions that a fit ended with, None if its guide is a user's own."""
    guide, frame = approximation.guide, approximation.frame
    frame_factor = np.asarray(frame.factor, dtype=np.float64)
    if isinstance(guide, MeanField):
        factor = frame_factor * np.exp(np.asarray(approximation.params.log_scale, np.float64))
    elif isinstance(guide, FullRank | LowRank):
        root = np.asarray(guide.covariance_factor(approximation.params), np.float64)
        root = frame_factor[:, None] * root if frame_factor.ndim == 1 else frame_factor @ root
        try:
            factor = np.linalg.cholesky(root @ root.T)
        except np.linalg.LinAlgError:
            return None
    else:
        return None
    mean = np.asarray(guide.mean(approximation.params), np.float64)
    return Proposal(np.asarray(frame.positions(mean), np.float64), factor)
