"""The moments of a position whose coordinates have a guide, and coordinates that whiten it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.guides import Guide, Params

    type Array = NDArray[np.float64]


def position_moments(guide: Guide, params: Params, frame: Frame) -> tuple[Array, Array]:
    """Return the means and the standard deviations of the position, shapes (size,).

    Parameters
    ----------
    guide : Guide
        The family of distributions of the coordinates. One of a user's own has the coordinates of
        the model, or independent ones.
    params : pytree of jax.Array
        The member of the family.
    frame : Frame
        The coordinates.
    """
    mean = frame.positions(np.asarray(guide.mean(params)))
    if frame.factor.ndim == 2 and isinstance(guide, FullRank | LowRank):
        columns = _displacements(guide, params, frame)
        return mean, np.sqrt((columns**2).sum(axis=0))
    return mean, frame.stds(np.asarray(guide.std(params)))


def normal_frame(guide: Guide, params: Params, frame: Frame) -> Frame:
    """Return coordinates in which the position has nearly mean 0 and the identity as covariance.

    The arguments are those of :func:`position_moments`. The factor is a diagonal where the
    covariance is that of a user's own guide, or singular to working precision.
    """
    if isinstance(guide, FullRank | LowRank):
        whitened = covariance_frame(guide, params, frame)
        if whitened is not None:
            return whitened
    mean, stds = position_moments(guide, params, frame)
    if isinstance(guide, MeanField) and frame.factor.ndim == 2:
        return Frame(mean, np.asarray(frame.factor) * np.asarray(guide.std(params)))
    return Frame(mean, stds)


def position_covariance(
    guide: Guide, params: Params, frame: Frame, elements: NDArray[np.int64]
) -> Array:
    """Return the covariance of some elements of the position, shape (num_elements, num_elements).

    Parameters
    ----------
    guide : Guide
        The family of distributions of the coordinates, as in :func:`position_moments`.
    params : pytree of jax.Array
        The member of the family.
    frame : Frame
        The coordinates.
    elements : ndarray of int64, shape (num_elements,)
        Their numbers.
    """
    if isinstance(guide, LowRank) and frame.factor.ndim == 1:
        # Without a matrix of all elements.
        scale = (frame.factor * np.exp(np.asarray(params.log_scale)))[elements]
        common = scale[:, None] * np.asarray(params.factor)[elements]
        low_rank: Array = np.diag(scale**2) + common @ common.T
        return low_rank
    if isinstance(guide, FullRank | LowRank):
        columns = _displacements(guide, params, frame)[:, elements]
        correlated: Array = columns.T @ columns
        return correlated
    stds = np.asarray(guide.std(params))
    if frame.factor.ndim == 1:
        return np.diag((frame.factor * stds)[elements] ** 2)
    rows = np.asarray(frame.factor)[elements] * stds
    covariance: Array = rows @ rows.T
    return covariance


def covariance_frame(guide: FullRank | LowRank, params: Params, frame: Frame) -> Frame | None:
    """Return the coordinates in which the normal over those of a frame is a standard normal.

    None if its covariance is singular to working precision.
    """
    columns = _displacements(guide, params, frame)
    try:
        factor = np.linalg.cholesky(columns.T @ columns)
    except np.linalg.LinAlgError:
        return None
    return Frame(frame.positions(np.asarray(guide.mean(params))), factor)


def _displacements(guide: FullRank | LowRank, params: Params, frame: Frame) -> Array:
    """Return the displacements of the position by each unit of noise, shape (any, size)."""
    displacements: Array = frame.directions(np.asarray(guide.covariance_factor(params)).T)
    return displacements
