"""The share of a posterior in each of its modes, by bridge sampling.

Meng and Wong (1996): the integral of a density from draws of it and from draws of a distribution
near it. A Student's t with the moments of half of the chains of a mode is near the other half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from bayou.density.evaluator import Evaluator
from bayou.fitting.checks.adaptive import DEGREES, WeightedDraws
from bayou.fitting.checks.check import LEAST_SHARE, resample
from bayou.fitting.checks.importance import even_power
from bayou.fitting.checks.proposals import Proposal, fitted_normal
from bayou.fitting.checks.short_chains import NUM_CHAINS, run_short_chains
from bayou.fitting.rows.all_rows import all_row_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.fitting.result.fit_result import Fit

    type Array = NDArray[np.float64]

NUM_PAIRS = 500
# Draws of the t distribution, in pairs.
BRIDGE_PAIRS = 2000
ITERATIONS = 100
# Halves of the chains may differ by so many nats. Masses are then known to about a tenth.
MOST_APART = 0.4


def mode_masses(fits: Sequence[Fit], seed: int) -> Array | None:
    """Return the share of the posterior in each of some modes, None where that is not known.

    Parameters
    ----------
    fits : sequence of Fit
        One in each mode, of the same model.
    seed : int
        Decides the draws.

    Returns
    -------
    ndarray, shape (num_modes,), or None
        They add up to one.
    """
    normals = [normal for fit in fits if (normal := fitted_normal(fit.approximation)) is not None]
    if len(normals) < len(fits):
        return None
    program = fits[0].program
    evaluator = Evaluator(program, all_row_blocks(program))
    evidences = [_log_evidence(evaluator, normals, mode, seed) for mode in range(len(normals))]
    if any(value is None for value in evidences):
        return None
    logs = np.array(evidences, dtype=np.float64)
    masses: Array = np.exp(logs - logsumexp(logs))
    return masses


def _log_evidence(
    evaluator: Evaluator, normals: Sequence[Proposal], mode: int, seed: int
) -> float | None:
    """Return the log of the integral of the density over a mode, None where halves differ."""
    normal = normals[mode]
    positions = normal.draw(seed, NUM_PAIRS)
    ratios = evaluator.gradients(positions)[0] - normal.log_densities(positions)
    power = even_power(ratios, LEAST_SHARE)
    starts = resample(WeightedDraws(positions, power * ratios), NUM_CHAINS, seed)
    chains = run_short_chains(normal, starts, evaluator.gradients, seed + 1)
    if not chains.agree:
        return None
    halves = [chains.positions[:, ::2], chains.positions[:, 1::2]]
    values = [
        _bridge(evaluator, normals, mode, _flat(one), _flat(other), seed)
        for one, other in (halves, halves[::-1])
    ]
    if not np.isfinite(values).all() or abs(values[0] - values[1]) > MOST_APART:
        return None
    return float(np.mean(values))


def _bridge(
    evaluator: Evaluator,
    normals: Sequence[Proposal],
    mode: int,
    fitted: Array,
    drawn: Array,
    seed: int,
) -> float:
    """Return the log evidence from draws of a mode, and from a t with the moments of others."""
    covariance = np.atleast_2d(np.cov(fitted, rowvar=False)) * (DEGREES - 2) / DEGREES
    proposal = Proposal(fitted.mean(axis=0), np.linalg.cholesky(covariance), DEGREES)
    proposed = proposal.draw(seed + 2, BRIDGE_PAIRS)
    drawn = drawn[_nearest(normals, drawn) == mode]
    of_drawn = evaluator.gradients(drawn)[0] - proposal.log_densities(drawn)
    of_proposed = evaluator.gradients(proposed)[0] - proposal.log_densities(proposed)
    # What is nearer to another mode belongs to that.
    of_proposed = np.where(_nearest(normals, proposed) == mode, of_proposed, -np.inf)
    of_proposed = np.where(np.isnan(of_proposed), -np.inf, of_proposed)
    first = np.log(len(drawn) / (len(drawn) + len(proposed)))
    second = np.log(len(proposed) / (len(drawn) + len(proposed)))
    level = float(logsumexp(of_proposed) - np.log(len(proposed)))
    for _ in range(ITERATIONS):
        numerator = logsumexp(of_proposed - np.logaddexp(first + of_proposed, second + level))
        denominator = logsumexp(-np.logaddexp(first + of_drawn, second + level))
        new = float(numerator - np.log(len(proposed)) - denominator + np.log(len(drawn)))
        if abs(new - level) < 1e-6:
            break
        level = new
    return level


def _nearest(normals: Sequence[Proposal], positions: Array) -> NDArray[np.intp]:
    """Return the number of the mode that is the nearest, in its own standard deviations."""
    squares = [(normal.steps(positions) ** 2).sum(axis=1) for normal in normals]
    nearest: NDArray[np.intp] = np.argmin(squares, axis=0)
    return nearest


def _flat(positions: Array) -> Array:
    return positions.reshape(-1, positions.shape[-1])
