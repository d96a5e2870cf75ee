"""The moments of a position whose coordinates have a guide, and coordinates that whiten it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank

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
