"""The curvature of a posterior around a normal, and the covariance that it gives.

The Hessian of the rows is averaged over two draws of opposite sign, that of the priors over many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.fixed_draws.antithetic import antithetic_signs
from bayou.fitting.fixed_draws.linear_response import (
    SecondDerivatives,
    average_derivatives,
    naming_failures,
    response_covariance,
)
from bayou.fitting.fixed_draws.optimize import IndependentNormal
from bayou.fitting.guides.coordinates import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.passes.newton_passes import PassDensity

    type Array = NDArray[np.float64]

# Draws of the Hessian of the rows.
HESSIAN_DRAWS = 2


@dataclass(frozen=True)
class Curvature:
    """The second derivatives of the loss around a normal.

    Attributes
    ----------
    normal : IndependentNormal
        A standard normal in some coordinates.
    derivatives : SecondDerivatives
        With respect to them.
    of_rows : ndarray, shape (size, size)
        The part of the rows in those of the location.
    num_rows : int
        The number of rows that they are of.
    """

    normal: IndependentNormal
    derivatives: SecondDerivatives
    of_rows: Array
    num_rows: int

    def covariance(self, is_log: NDArray[np.bool_] | None = None) -> Array:
        """Return the linear-response covariance of the position, shape (size, size).

        Raises
        ------
        ResponseError
            If the loss has no minimum there.
        """
        return response_covariance(self.normal, self.derivatives, is_log)

    def of_rows_in(self, frame: Frame) -> Array:
        """Return the part of the rows with respect to other coordinates, shape (size, size)."""
        factor = self.normal.frame.factor
        if factor.ndim == 1:
            factor = np.diag(factor)
        turn = np.linalg.solve(factor, frame.factor)
        products: Array = turn.T @ self.of_rows @ turn
        return products

    def coordinates(self, frame: Frame) -> Frame:
        """Return the coordinates of the covariance around the mean of a frame.

        It is that of the location alone, of a normal with all correlations.
        """
        precision = self.derivatives._replace(cross=np.zeros_like(self.derivatives.cross))
        covariance = response_covariance(self.normal, precision)
        return Frame(frame.origin, np.linalg.cholesky(covariance))


def curvature_at(
    density: PassDensity,
    frame: Frame,
    seed: int,
    num_rows: int,
    num_prior_draws: int | None = None,
) -> Curvature:
    """Return the curvature around a standard normal in some coordinates.

    Parameters
    ----------
    density : PassDensity
        The model on some rows.
    frame : Frame
        The coordinates.
    seed : int
        Decides the draws of the rows.
    num_rows : int
        The number of the rows.
    num_prior_draws : int, optional
        The draws of the priors; by default all.

    Raises
    ------
    ResponseError
        If it cannot be computed, or is not finite.
    """
    size = len(frame.origin)
    normal = IndependentNormal(frame, np.zeros(size), np.zeros(size))
    noise = antithetic_signs(seed, HESSIAN_DRAWS, size)
    pairs = slice((num_prior_draws or len(density.prior_noise)) // 2)
    prior_noise = np.vstack([half[pairs] for half in np.split(density.prior_noise, 2)])
    with naming_failures():
        whole = average_derivatives(density.rows, normal, noise)
        few = average_derivatives(density.priors, normal, noise)
        priors = average_derivatives(density.priors, normal, prior_noise)
    of_rows = whole.location - few.location
    # Two draws leave all but the mean Hessian of the rows to chance. That of a quadratic density
    # does not change with the location, and its second derivatives with respect to log scales are
    # twice its diagonal.
    derivatives = SecondDerivatives(
        location=of_rows + priors.location,
        cross=priors.cross,
        log_scale=np.diag(2 * np.diag(of_rows)) + priors.log_scale,
    )
    return Curvature(normal, derivatives, of_rows, num_rows)
