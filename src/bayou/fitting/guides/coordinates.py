"""Coordinates in which a posterior is nearly a standard normal, so that steps have a scale."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Frame(NamedTuple):
    """An affine map: positions are ``origin + factor @ coordinates``.

    Its fields and methods take arrays of NumPy and of JAX, and return the same kind.

    Attributes
    ----------
    origin : array, shape (size,)
        The position whose coordinates are zero.
    factor : array, shape (size, size) or (size,)
        The matrix; its diagonal if the matrix is diagonal.
    """

    origin: Any
    factor: Any

    def positions(self, coordinates: Any) -> Any:
        """Return the positions of coordinates, shapes (..., size)."""
        return self.origin + self.directions(coordinates)

    def coordinates(self, position: Any) -> Any:
        """Return the coordinates of a position, shape (size,)."""
        if self.factor.ndim == 1:
            return (position - self.origin) / self.factor
        return np.linalg.solve(self.factor, position - self.origin)

    def directions(self, steps: Any) -> Any:
        """Return the displacements of the position that steps make, shapes (..., size)."""
        if self.factor.ndim == 1:
            return steps * self.factor
        # Written as steps @ factor.T, XLA transposes the factor in each step of a fit, which
        # took two thirds of the time of a step with 143 elements (docs/engine.md).
        return self.factor @ steps if steps.ndim == 1 else steps @ self.factor.T

    def gradients(self, gradients: Any) -> Any:
        """Return gradients with respect to the coordinates, shapes (..., size)."""
        return gradients * self.factor if self.factor.ndim == 1 else gradients @ self.factor

    def stds(self, stds: Any) -> Any:
        """Return the standard deviations of a position with independent coordinates, (size,)."""
        if self.factor.ndim == 1:
            return self.factor * stds
        return ((self.factor * stds) ** 2).sum(axis=1) ** 0.5

    @property
    def log_determinant(self) -> float:
        """The log of the volume of the image of a unit cube of coordinates."""
        if self.factor.ndim == 1:
            return float(np.log(self.factor).sum())
        if not np.triu(self.factor, 1).any():
            return float(np.log(np.abs(np.diagonal(self.factor))).sum())
        return float(np.linalg.slogdet(self.factor)[1])
