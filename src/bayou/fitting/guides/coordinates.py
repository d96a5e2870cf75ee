"""Coordinates in which a posterior is nearly a standard normal, so that steps have a scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import jax
    from numpy.typing import NDArray


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

    def positions[Array: (jax.Array, NDArray[np.float64])](self, coordinates: Array) -> Array:
        """Return the positions of coordinates, shapes (..., size)."""
        positions: Array = self.origin + self.directions(coordinates)
        return positions

    def coordinates(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates of a position, shape (size,)."""
        offset: NDArray[np.float64] = position - self.origin
        return (
            offset / self.factor if self.factor.ndim == 1 else np.linalg.solve(self.factor, offset)
        )

    def directions[Array: (jax.Array, NDArray[np.float64])](self, steps: Array) -> Array:
        """Return the displacements of the position that steps make, shapes (..., size)."""
        displacements: Array
        if self.factor.ndim == 1:
            displacements = steps * self.factor
            return displacements
        # Written as steps @ factor.T, XLA transposes the factor in each step of a fit, which
        # took two thirds of the time of a step with 143 elements (docs/engine.md).
        displacements = self.factor @ steps if steps.ndim == 1 else steps @ self.factor.T
        return displacements

    def gradients[Array: (jax.Array, NDArray[np.float64])](self, gradients: Array) -> Array:
        """Return gradients with respect to the coordinates, shapes (..., size)."""
        product: Array = (
            gradients * self.factor if self.factor.ndim == 1 else gradients @ self.factor
        )
        return product

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
