"""The end of a fit whose rows came in windows: where all of the rows together have it.

Rows that are read in windows are no random sample, step by step: where the source is sorted, each
window pulls its own way, and an optimiser that scales its steps by what it saw does not weigh them
alike. A few passes over all rows make that good, by Newton steps in coordinates in which the
curvature is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.fitting.fixed_draws.optimise import opposite_signs
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRankParams
from bayou.fitting.guides.mean_field import MeanFieldParams

if TYPE_CHECKING:
    from bayou.density.evaluator import Evaluator

NUM_DRAWS = 8
MAX_PASSES = 8


def settled(
    evaluator: Evaluator,
    frame: Frame,
    params: MeanFieldParams | FullRankParams,
    seed: int,
    tolerance: float,
) -> MeanFieldParams | FullRankParams | None:
    """Move a normal to where the gradient of all rows vanishes.

    In its own coordinates a normal with every correlation has none: it is moved and scaled there.

    Parameters
    ----------
    evaluator : Evaluator
        The model on all of its rows.
    frame : Frame
        The coordinates.
    params : MeanFieldParams or FullRankParams
        The normal over them.
    seed : int
        Of the draws that the gradient is averaged over.
    tolerance : float
        The root mean square of a move, in standard deviations, below which it is the last one;
        so is one that the draws do not tell from none.

    Returns
    -------
    MeanFieldParams or FullRankParams or None
        None if the moves do not shrink so far.
    """
    if isinstance(params, MeanFieldParams):
        return _independent(evaluator, frame, params, seed, tolerance)
    cholesky = params.cholesky
    own = Frame(
        frame.positions(np.asarray(params.location, dtype=np.float64)),
        frame.directions(np.asarray(cholesky, dtype=np.float64).T).T,
    )
    zeros = jnp.zeros(len(params.location))
    found = _independent(evaluator, own, MeanFieldParams(zeros, zeros), seed, tolerance)
    if found is None:
        return None
    return FullRankParams(
        params.location + cholesky @ found.location,
        params.log_diagonal + found.log_scale,
        params.factor * jnp.exp(found.log_scale),
    )


def _independent(
    evaluator: Evaluator, frame: Frame, params: MeanFieldParams, seed: int, tolerance: float
) -> MeanFieldParams | None:
    location = np.asarray(params.location, dtype=np.float64)
    log_scale = np.asarray(params.log_scale, dtype=np.float64)
    noise = opposite_signs(seed, NUM_DRAWS, len(location))
    # In coordinates that a covariance gave, the curvature is one.
    dense = frame.factor.ndim == 2
    last, damping = np.inf, 1.0
    for _ in range(MAX_PASSES):
        scale = np.exp(log_scale)
        variance = np.ones_like(scale) if dense else scale**2
        _, gradients = evaluator.gradients(frame.positions(location + scale * noise))
        slopes = frame.gradients(gradients)
        if not np.isfinite(slopes).all():
            return None
        pairs = (slopes[: NUM_DRAWS // 2] + slopes[NUM_DRAWS // 2 :]) / 2 * variance**0.5
        move = pairs.mean(axis=0)
        error = pairs.std(axis=0, ddof=1) / (NUM_DRAWS // 2) ** 0.5
        size, known = (float(np.sqrt(np.mean(value**2))) for value in (move, error))
        if dense:
            curvature = -(slopes * noise).mean(axis=0) / scale
            log_scale = np.where(curvature > 0, -0.5 * np.log(np.abs(curvature)), log_scale)
        # Where coordinates are correlated, whole steps may lead too far.
        damping = damping / 2 if size > last else damping
        if size > 2 * known:
            location = location + damping * move * variance**0.5
        if size < max(tolerance, 2 * known):
            return MeanFieldParams(jnp.asarray(location), jnp.asarray(log_scale))
        last = size
    return None
