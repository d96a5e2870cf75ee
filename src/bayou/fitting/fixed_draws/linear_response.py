"""Linear-response covariances: how the means of a mean-field fit respond to the density.

Giordano, Broderick and Jordan (2018), "Covariances, robustness, and variational Bayes". A
mean-field fit understates the standard deviations of correlated variables; the response of its
optimum to a tilt of the log density gives their covariance to first order. It costs
``num_draws * size`` Hessian-vector products, each a pass over all rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator
    from bayou.fitting.fixed_draws.optimize import IndependentNormal

    type Array = NDArray[np.float64]

# With fewer draws, the response of the scales is left to chance and is taken from a quadratic
# density instead.
MANY_DRAWS = 16


def linear_response(evaluator: Evaluator, normal: IndependentNormal, noise: Array) -> Array | None:
    """Return the covariance of the position, corrected by linear response.

    Parameters
    ----------
    evaluator : Evaluator
        The model on all of its rows.
    normal : IndependentNormal
        A minimum of the mean-field loss.
    noise : ndarray, shape (num_draws, size)
        The draws that the loss is averaged over.

    Returns
    -------
    ndarray, shape (size, size), or None
        None if the loss has no minimum there, and so no response.
    """
    frame, size = normal.frame, noise.shape[1]
    steps = np.exp(normal.log_scale) * noise
    positions = frame.positions(normal.location + steps)
    axes = frame.directions(np.eye(size))
    location, cross, log_scale = (np.zeros((size, size)) for _ in range(3))
    # Blocks outside, draws inside, so that rows that are not in memory are read once.
    for block in evaluator.blocks:
        block_evaluator = replace(evaluator, blocks=[block])
        for position, step in zip(positions, steps, strict=True):
            gradient, products = block_evaluator.hessian_products(position, axes)
            slope = -frame.gradients(gradient)
            hessian = -frame.gradients(products) / len(noise)
            location += hessian
            cross += hessian * step
            log_scale += step[:, None] * hessian * step + np.diag(slope * step / len(noise))
    if len(noise) < MANY_DRAWS:
        # Few draws leave this block to chance; it is close to what a quadratic density has there.
        log_scale = np.diag(2 * np.exp(2 * normal.log_scale) * np.diag(location))
    if not all(np.isfinite(block).all() for block in (location, cross, log_scale)):
        return None
    try:
        np.linalg.cholesky(log_scale)
        precision = location - cross @ np.linalg.solve(log_scale, cross.T)
        np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return None
    factor = frame.directions(np.linalg.cholesky(np.linalg.inv(precision)).T).T
    covariance: Array = factor @ factor.T
    return covariance
