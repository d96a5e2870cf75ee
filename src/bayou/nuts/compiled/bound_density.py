"""A compiled density with data: where chains start, in which coordinates, and what nutpie calls.

Chains move in coordinates of the position, ``origin + factor @ coordinates``. By default these are
the position itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from bayou.models.initial_point import StartCandidates

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.fitting.guides.coordinates import Frame

    type Array = NDArray[np.float64]


# With more elements than this, coordinates are scales alone, without a matrix.
MAX_DENSE = 256


@dataclass(frozen=True)
class DrawLayout:
    """The places of the free variables and deterministics of a model in a flat draw.

    Attributes
    ----------
    names, dtypes : tuple of str
    shapes : tuple of tuple of int
    """

    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """The length of a flat draw."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Return the numbers of each variable in a draw."""
        return dict(zip(self.names, map(math.prod, self.shapes), strict=True))

    def split(self, draws: NDArray[np.float64]) -> dict[str, Numbers]:
        """Cut flat draws, shape (..., size), into arrays of shape (..., *shape) in their dtypes."""
        values, end = {}, 0
        for name, dtype, shape in zip(self.names, self.dtypes, self.shapes, strict=True):
            begin, end = end, end + math.prod(shape)
            piece = draws[..., begin:end].reshape(*draws.shape[:-1], *shape)
            values[name] = piece.astype(dtype)
        return values


@dataclass(frozen=True, eq=False, kw_only=True)
class BoundDensity(ABC):
    """A compiled density with data, in coordinates.

    Attributes
    ----------
    size : int
        The length of a position.
    draw_layout : DrawLayout
        Where variables lie in the draws that nutpie returns.
    candidate : callable
        (seed, attempt) -> a position, as :class:`bayou.models.initial_point.StartCandidates` gives
        them.
    frame : Frame
        The coordinates.
    spread : float, optional
        The standard deviation of the coordinates of starting points. By default chains start at the
        candidates.
    """

    # What compiled it: "numba" or "jax".
    backend: ClassVar[str]

    size: int
    draw_layout: DrawLayout
    candidate: Callable[[int, int], Array]
    frame: Frame
    spread: float | None = None

    @property
    @abstractmethod
    def nutpie_model(self) -> Any:
        """The model that nutpie samples from."""

    @abstractmethod
    def gradients(self, coordinates: Array) -> tuple[Array, Array]:
        """Return log densities and gradients at coordinates; not finite where they do not exist.

        Parameters
        ----------
        coordinates : ndarray, shape (num_points, size)

        Returns
        -------
        ndarray, shape (num_points,), and ndarray, shape (num_points, size)
        """

    def num_threads(self, num_chains: int, num_parallel: int) -> int:
        """Return the number of chains that run at a time, of those that the cores allow."""
        return num_parallel

    def in_frame(self, frame: Frame, spread: float | None = None) -> Self:
        """Return the density in coordinates, whose draws are those of the model all the same.

        Parameters
        ----------
        frame : Frame
            The coordinates.
        spread : float, optional
            The standard deviation of starting points in them; by default the model's own.
        """
        return replace(self, frame=frame, spread=spread)

    def find_start(self, seed: int) -> Array:
        """Return the first starting point of a seed that is finite; the first of all if none is."""
        for attempt in range(StartCandidates.COUNT):
            coordinates = self._start(seed, attempt)
            if self.is_finite(coordinates):
                return coordinates
        return self._start(seed, 0)

    def is_finite(self, coordinates: Array) -> bool:
        """Return whether density and gradient are finite at coordinates, shape (size,)."""
        values, gradients = self.gradients(coordinates[None])
        return bool(np.isfinite(values).all() and np.isfinite(gradients).all())

    def is_finite_at_start(self, seed: int) -> bool:
        """Return whether density and gradient are finite at the starting point of a seed."""
        return self.is_finite(self.find_start(seed))

    def _start(self, seed: int, attempt: int) -> Array:
        if self.spread is None:
            coordinates: Array = self.frame.coordinates(self.candidate(seed, attempt))
            return coordinates
        # Further attempts are nearer to the origin.
        scale = self.spread * 0.7**attempt
        return scale * np.random.default_rng(seed).normal(size=self.size)
