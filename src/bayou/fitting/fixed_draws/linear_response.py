"""Linear-response covariances: how the means of a mean-field fit respond to the density.

Giordano, Broderick and Jordan (2018), "Covariances, robustness, and variational Bayes". A
mean-field fit understates the standard deviations of correlated variables; the response of its
optimum to a tilt of the log density gives their covariance to first order. It costs
``num_draws * size`` Hessian-vector products, each a pass over all rows.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.errors import WorkerDiedError, failure_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator
    from bayou.fitting.fixed_draws.optimize import IndependentNormal

    type Array = NDArray[np.float64]

_logger = logging.getLogger(__name__)

# With fewer draws, the response of the scales is left to chance and is taken from a quadratic
# density instead.
MANY_DRAWS = 16
# Numbers of second derivatives in memory at a time: 64 MB.
DERIVATIVE_NUMBERS = 2**23


class ResponseError(Exception):
    """A fit has no linear response. The message says why."""


@contextmanager
def naming_failures() -> Iterator[None]:
    """Raise whatever goes wrong in a ``with`` block as a :class:`ResponseError`.

    JAX, XLA, NumPy and what reads rows have no type of error in common, and a fit that is done
    needs no response. Workers that die are no fault of the model, and that error stays.
    """
    try:
        yield
    except (ResponseError, WorkerDiedError):
        raise
    except Exception as error:
        raise ResponseError(f"it cannot be computed ({failure_text(error)})") from error


def covariance_or_none(
    evaluator: Evaluator, normal: IndependentNormal, noise: Array
) -> Array | None:
    """Return what :func:`linear_response` does, for coordinates; None without a response."""
    try:
        return linear_response(evaluator, normal, noise)
    except ResponseError as error:
        _logger.info("Coordinates are without correlations, since their response: %s", error)
        return None


def linear_response(
    evaluator: Evaluator,
    normal: IndependentNormal,
    noise: Array,
    is_log: NDArray[np.bool_] | None = None,
) -> Array:
    """Return the covariance of the position, corrected by linear response.

    The variance of a log may be that which gives its exponential the right one: the response of the
    mean of the exponential to a tilt by it. For a gamma posterior that is exact, where the response
    of the log itself is the variance of the log of a gamma, whose left tail is long: a log-normal
    of that variance is too wide.

    Parameters
    ----------
    evaluator : Evaluator
        The model on all of its rows.
    normal : IndependentNormal
        A minimum of the mean-field loss.
    noise : ndarray, shape (num_draws, size)
        The draws that the loss is averaged over.
    is_log : ndarray of bool, shape (size,), optional
        Whether each element of the position is a log whose exponential is to have its variance. By
        default none is, which gives the moments of the position itself.

    Returns
    -------
    ndarray, shape (size, size)

    Raises
    ------
    ResponseError
        If the loss has no minimum there, or its second derivatives cannot be computed.
    """
    with naming_failures():
        return response_covariance(normal, second_derivatives(evaluator, normal, noise), is_log)


class SecondDerivatives(NamedTuple):
    """The Hessian of the loss with respect to locations and log scales, in three blocks.

    Attributes
    ----------
    location, cross, log_scale : ndarray, shapes (size, size)
        The derivatives with respect to the locations, to these and the log scales, and to the log
        scales.
    """

    location: Array
    cross: Array
    log_scale: Array


def response_covariance(
    normal: IndependentNormal,
    derivatives: SecondDerivatives,
    is_log: NDArray[np.bool_] | None = None,
) -> Array:
    """Return what :func:`linear_response` does, from the second derivatives of the loss.

    Raises
    ------
    ResponseError
        If the loss has no minimum there.
    """
    location, cross, log_scale = derivatives
    try:
        np.linalg.cholesky(log_scale)
        solved = np.linalg.solve(log_scale, cross.T)
        precision = np.linalg.cholesky(location - cross @ solved)
    except np.linalg.LinAlgError:
        raise ResponseError("the loss has no minimum where the fit ended") from None
    by_location = normal.frame.directions(np.eye(len(location))).T
    root = np.linalg.inv(precision).T
    factor = by_location @ root
    covariance: Array = factor @ factor.T
    if is_log is None:
        return covariance
    by_log_scale = moment_slopes(by_location, np.exp(2 * normal.log_scale), is_log)
    direct = (by_location - by_log_scale @ solved) @ root
    rest = by_log_scale * np.linalg.solve(log_scale, by_log_scale.T).T
    variances = log_normal_variances((direct**2 + rest).sum(axis=1), is_log)
    # The correlations stay, so that the matrix is one of a normal.
    scale = np.sqrt(variances / np.diag(covariance))
    return scale[:, None] * covariance * scale


def moment_slopes(by_location: Array, variances: Array, is_log: NDArray[np.bool_]) -> Array:
    """Return how the moments of elements change with the log scales of coordinates.

    The moment of an element is its mean; of a log, the log of the mean of its exponential, which is
    its mean plus half of its variance.

    Parameters
    ----------
    by_location : ndarray, shape (..., size, num_coordinates)
        How the elements change with the coordinates.
    variances : ndarray, shape (..., num_coordinates)
        Of the coordinates.
    is_log : ndarray of bool, shape (size,)
        Whether each element is a log.

    Returns
    -------
    ndarray, shape (..., size, num_coordinates)
    """
    return np.where(is_log[:, None], by_location**2 * variances[..., None, :], 0.0)


def log_normal_variances(relative: Array, is_log: NDArray[np.bool_]) -> Array:
    """Return the variances of elements from those of their exponentials, where they are logs.

    Parameters
    ----------
    relative : ndarray, shape (..., size)
        Variances; of a log, of its exponential divided by the mean of that.
    is_log : ndarray of bool, shape (size,)
        Whether each element is a log.
    """
    return np.where(is_log, np.log1p(relative), relative)


def second_derivatives(
    evaluator: Evaluator, normal: IndependentNormal, noise: Array
) -> SecondDerivatives:
    """Return the Hessian of the loss; the arguments are those of :func:`linear_response`.

    Raises
    ------
    ResponseError
        If it is not finite.
    """
    derivatives = average_derivatives(evaluator, normal, noise)
    if len(noise) < MANY_DRAWS:
        # Few draws leave this block to chance; it is close to what a quadratic density has there.
        quadratic = np.diag(2 * np.exp(2 * normal.log_scale) * np.diag(derivatives.location))
        derivatives = derivatives._replace(log_scale=quadratic)
    return derivatives


def average_derivatives(
    evaluator: Evaluator, normal: IndependentNormal, noise: Array
) -> SecondDerivatives:
    """Return the mean Hessian of the loss over the draws, as it is for any number of them.

    Raises
    ------
    ResponseError
        If it is not finite.
    """
    frame, size = normal.frame, noise.shape[1]
    steps = np.exp(normal.log_scale) * noise
    positions = frame.positions(normal.location + steps)
    axes = frame.directions(np.eye(size))
    location, cross, log_scale = (np.zeros((size, size)) for _ in range(3))
    most = max(1, DERIVATIVE_NUMBERS // size**2)
    for start in range(0, len(noise), most):
        part = slice(start, start + most)
        gradients, hessians = evaluator.hessians(positions[part], axes)
        step = steps[part]
        slopes = -frame.gradients(gradients) / len(noise)
        # As one product of matrices: NumPy would take one after the other.
        products = frame.gradients(hessians.reshape(-1, size)).reshape(hessians.shape)
        products /= -len(noise)
        location += products.sum(axis=0)
        products *= step[:, None, :]
        cross += products.sum(axis=0)
        log_scale += np.einsum("ki,kij->ij", step, products) + np.diag((slopes * step).sum(axis=0))
    if not all(np.isfinite(block).all() for block in (location, cross, log_scale)):
        raise ResponseError("the second derivatives of the loss are not finite")
    return SecondDerivatives(location, cross, log_scale)
