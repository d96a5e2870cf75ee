"""A fit by passes of models with too many elements for matrices of their pairs.

The mean is found by Newton's method, whose systems are solved by conjugate gradients with products
of the Hessian (Nocedal and Wright 2006, chapter 7), each of which is one pass over the rows. So are
the variances, from random signs, and the few directions that are common to all elements. The result
is a normal whose covariance is a diagonal plus a matrix of low rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.fitting.fixed_draws.antithetic import antithetic_signs
from bayou.fitting.fixed_draws.optimize import START_SCALE
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.low_rank import LowRank, LowRankParams
from bayou.fitting.passes.conjugate_gradients import solve_by_products
from bayou.fitting.passes.probed_variances import probe_variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator
    from bayou.fitting.passes.newton_passes import Pass, PassDensity

    type Array = NDArray[np.float64]

# Draws of a pass. Fewer would be padded to as many.
NUM_DRAWS = 8
MAX_NEWTON_STEPS = 30
MAX_SHORTENINGS = 6
# The largest move that is the last one, in standard deviations of elements by themselves.
LAST_MOVE = 0.01
# Random signs of a variable.
DIAGONAL_SIGNS = 4
# Of conjugate gradients within Newton's method.
TOLERANCE = 1e-3
MAX_ITERATIONS = 60
# Of the curvature of an element, estimated by random signs, the least part of the largest one.
LEAST_CURVATURE = 1e-10


@dataclass(frozen=True)
class LargeNormal:
    """A normal of many elements, settled on all rows.

    Attributes
    ----------
    guide : LowRank
        Its family.
    params : LowRankParams
        The normal, over the position itself.
    alone : Frame
        The normal whose elements are independent, with the variances that they have by themselves.
    error : float
        The standard error of a standard deviation, relative: the median over the elements.
    rise : float
        By how much its ELBO is above that of the independent normal, in nats.
    rise_error : float
        The Monte Carlo error of that.
    residual : float
        The gradients at its draws that a normal would not have: the root mean square over elements
        and draws, in standard deviations.
    """

    guide: LowRank
    params: LowRankParams
    alone: Frame
    error: float
    rise: float
    rise_error: float
    residual: float


def settle_large(
    density: PassDensity, start: Array, seed: int, report: Callable[[Pass], None]
) -> LargeNormal | None:
    """Fit a normal of many elements in passes over all rows.

    Parameters
    ----------
    density : PassDensity
        The model on all rows.
    start : ndarray, shape (size,)
        The position to start from.
    seed : int
        Decides the draws and the random signs.
    report : callable
        Called with each pass that raised the ELBO.

    Returns
    -------
    LargeNormal or None
        None if the passes do not settle.

    Raises
    ------
    ResponseError
        If the Hessian cannot be computed.
    """
    noise = antithetic_signs(seed, NUM_DRAWS, len(start))
    frame = Frame(start, np.full(len(start), START_SCALE))
    last = density.evaluate(frame, noise)
    if not last.is_finite:
        return None
    report(last)
    for _ in range(MAX_NEWTON_STEPS):
        scale = _scales(density.rows, last.frame.origin, seed)
        product = _scaled_product(density.rows, last.frame.origin, scale)
        slope = last.slope / last.frame.factor * scale
        [move] = solve_by_products(product, slope[None], TOLERANCE, MAX_ITERATIONS)
        now = _move(density, last, scale, move, noise)
        if now is None:
            return None
        report(now)
        if np.abs(move).max() < LAST_MOVE:
            return _with_variances(density, now, product, seed)
        last = now
    return None


def _move(density: PassDensity, last: Pass, scale: Array, move: Array, noise: Array) -> Pass | None:
    """Return the pass after a move in units of scales, shortened until the ELBO does not fall.

    None if it falls however short the move is.
    """
    begin = density.evaluate(Frame(last.frame.origin, scale), noise)
    for shortening in range(MAX_SHORTENINGS):
        frame = Frame(last.frame.origin + 0.25**shortening * scale * move, scale)
        now = density.evaluate(frame, noise)
        slack = 1e-9 * abs(begin.elbo) + 1e-3
        if now.is_finite and (not begin.is_finite or now.elbo >= begin.elbo - slack):
            return now
    return None


def _scales(rows: Evaluator, position: Array, seed: int) -> Array:
    """Return the standard deviations of the elements by themselves, about.

    Random signs of one variable at a time give the diagonal of the Hessian: that of a set of
    effects has no other entries. With signs of all variables, the intercept would give each effect
    a curvature as large as its own.
    """
    generator = np.random.default_rng(seed)
    signs = generator.choice([-1.0, 1.0], size=(DIAGONAL_SIGNS, len(position)))
    ends = np.cumsum([int(np.prod(shape)) for shape in rows.program.layout.shapes])
    numbers = np.searchsorted(ends, np.arange(len(position)), side="right")
    in_variable = numbers == np.arange(len(ends))[:, None]
    directions = (in_variable[:, None, :] * signs).reshape(-1, len(position))
    _, products = rows.hessian_products(position, directions)
    products = -(products * directions).reshape(len(ends), DIAGONAL_SIGNS, -1).mean(axis=1)
    curvature = products[numbers, np.arange(len(position))]
    # Far from the optimum, an element may have none; and signs may leave one with hardly any.
    curvature = np.where(curvature > 0, curvature, np.abs(curvature))
    scales: Array = 1 / np.sqrt(np.maximum(curvature, LEAST_CURVATURE * curvature.max()))
    return scales


def _scaled_product(rows: Evaluator, position: Array, scale: Array) -> Callable[[Array], Array]:
    """Return the product with minus the Hessian at a position, in units of scales."""

    def product(vectors: Array) -> Array:
        _, products = rows.hessian_products(position, vectors * scale)
        return -products * scale

    return product


def _with_variances(
    density: PassDensity,
    last: Pass,
    product: Callable[[Array], Array],
    seed: int,
) -> LargeNormal | None:
    """Return the normal around the mean of a pass, with the variances that random signs tell."""
    alone = last.frame
    probed = probe_variances(product, len(alone.origin), seed)
    if not (np.isfinite(probed.variances).all() and (probed.variances > 0).all()):
        return None
    factor = probed.factor
    stds = alone.factor * np.sqrt(probed.variances / (1 + (factor**2).sum(axis=1)))
    inner = np.eye(factor.shape[1]) + factor.T @ factor
    common = antithetic_signs(seed + 1, NUM_DRAWS, factor.shape[1])
    moves = (last.noise + common @ factor.T) * stds
    densities, gradients = density.rows.gradients(alone.origin + moves)
    before, at_mean = density.rows.gradients(
        alone.positions(np.vstack([last.noise, 0 * moves[:1]]))
    )
    entropy = np.log(stds / alone.factor).sum() + 0.5 * np.linalg.slogdet(inner)[1]
    rise = (densities - before[:-1]).reshape(2, -1).mean(axis=0) + entropy
    # The Hessian at the mean times the moves, in the place of the gradients of a normal.
    rest = (gradients - at_mean[-1]) * alone.factor + product(moves / alone.factor)
    return LargeNormal(
        guide=LowRank(factor.shape[1]),
        params=LowRankParams(
            jnp.asarray(alone.origin), jnp.log(jnp.asarray(stds)), jnp.asarray(factor)
        ),
        alone=alone,
        error=float(np.median(probed.errors / probed.variances) / 2),
        rise=float(rise.mean()),
        rise_error=float(rise.std(ddof=1) / np.sqrt(len(rise))),
        residual=float(np.sqrt((rest**2).mean())),
    )
