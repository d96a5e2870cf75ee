"""Coordinates in which a posterior is nearly a standard normal, so that steps have a size."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Frame(NamedTuple):
    """Positions are ``origin + factor @ coordinates``; works on arrays of NumPy and of JAX.

    ``factor`` has shape (size, size), or (size,) where it is diagonal.
    """

    origin: Any
    factor: Any

    def positions(self, coordinates: Any) -> Any:
        """Return the positions of coordinates, shapes (..., size)."""
        return self.origin + self.directions(coordinates)

    def directions(self, steps: Any) -> Any:
        """Return the displacements that steps in the coordinates make, shapes (..., size)."""
        if self.factor.ndim == 1:
            return steps * self.factor
        # XLA would transpose the factor anew in each step of a fit.
        return self.factor @ steps if steps.ndim == 1 else steps @ self.factor.T

    def gradients(self, gradients: Any) -> Any:
        """Return gradients with respect to the coordinates, shapes (..., size)."""
        return gradients * self.factor if self.factor.ndim == 1 else gradients @ self.factor

    def stds(self, stds: Any) -> Any:
        """Return the standard deviations of positions whose coordinates are independent."""
        if self.factor.ndim == 1:
            return self.factor * stds
        return ((self.factor * stds) ** 2).sum(axis=1) ** 0.5

    @property
    def log_determinant(self) -> float:
        """The log of the volume that a unit cube of coordinates takes."""
        if self.factor.ndim == 1:
            return float(np.log(self.factor).sum())
        return float(np.linalg.slogdet(self.factor)[1])
