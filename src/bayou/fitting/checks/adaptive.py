"""Adaptive importance sampling: Student's t proposals, matched to the moments that weights show.

Cornuet, Marin, Mira and Robert (2012), "Adaptive multiple importance sampling": the draws of all
rounds stay, each weighted against the mixture of all proposals so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import logsumexp

from bayou.fitting.checks.importance import effective_share, even_power, importance_weights
from bayou.fitting.checks.proposals import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

# Proposals of more elements would need many more draws.
MAX_SIZE = 15
ROUNDS = 4
ROUND_PAIRS = 2000
# Tails heavier than those of nearly every posterior, so that weights are bounded; with a variance.
DEGREES = 5.0
# A share of the draws that count at which no further round gains much, and the draws that are to
# count then: so many give means to 1.3% of an sd, and quantiles of 5% to 3%.
ENOUGH = 0.8
ENOUGH_DRAWS = 6000
# Moments are matched to the power of the ratios at which this share of the draws counts.
MATCHING_SHARE = 0.1


class WeightedDraws(NamedTuple):
    """Positions and the logs of their ratios to the distribution that they were drawn from.

    Attributes
    ----------
    positions : ndarray, shape (num_draws, size)
    log_ratios : ndarray, shape (num_draws,)
        Up to a constant.
    """

    positions: Array
    log_ratios: Array

    @property
    def weights(self) -> Array:
        """Weights that add up to one, shape (num_draws,)."""
        return importance_weights(self.log_ratios)

    @property
    def share(self) -> float:
        """The share of the draws that count."""
        return effective_share(self.weights)


def adapt(
    proposal: Proposal,
    positions: Array,
    densities: Array,
    log_density: Callable[[Array], Array],
    seed: int,
) -> WeightedDraws:
    """Return weighted draws from proposals that come nearer to the posterior round by round.

    Parameters
    ----------
    proposal : Proposal
        The first one.
    positions : ndarray, shape (num_draws, size)
        Draws from it.
    densities : ndarray, shape (num_draws,)
        Their log densities under the model.
    log_density : callable
        The log density of the model, of positions.
    seed : int
        Decides the draws.
    """
    proposals, counts = [proposal], [len(positions)]
    for number in range(ROUNDS):
        drawn = WeightedDraws(positions, densities - _mixture(proposals, counts, positions))
        if drawn.share >= ENOUGH and drawn.share * len(positions) >= ENOUGH_DRAWS:
            return drawn
        matched = _match(drawn)
        if matched is None:
            return drawn
        new = matched.draw(seed + number, ROUND_PAIRS)
        proposals, counts = [*proposals, matched], [*counts, len(new)]
        positions = np.concatenate([positions, new])
        densities = np.concatenate([densities, log_density(new)])
    return WeightedDraws(positions, densities - _mixture(proposals, counts, positions))


def _mixture(proposals: list[Proposal], counts: list[int], positions: Array) -> Array:
    """Return the log density of positions under all proposals, each as often as it was drawn."""
    shares = np.log(np.array(counts) / sum(counts))
    parts = [proposal.log_densities(positions) for proposal in proposals]
    mixture: Array = logsumexp(np.stack(parts) + shares[:, None], axis=0)
    return mixture


def _match(drawn: WeightedDraws) -> Proposal | None:
    """Return the t distribution with the moments of weighted draws, None if these have none."""
    power = even_power(drawn.log_ratios, MATCHING_SHARE)
    weights = importance_weights(drawn.log_ratios, power)
    mean = weights @ drawn.positions
    centred = drawn.positions - mean
    covariance = (weights[:, None] * centred).T @ centred
    try:
        factor = np.linalg.cholesky(covariance * (DEGREES - 2) / DEGREES)
    except np.linalg.LinAlgError:
        return None
    return Proposal(mean, factor, DEGREES) if np.isfinite(factor).all() else None
