"""Many short chains of Hamiltonian Monte Carlo, from draws of a fit and in its coordinates.

If the fit is right, its draws are already from the posterior, and chains from them stay so. Where
it is not, they move away, in as few iterations as the coordinates are good. Unlike weights, this
does not degrade with the number of elements: chains mend each draw on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.fitting.checks.proposals import Proposal

    type Array = NDArray[np.float64]
    type Gradient = Callable[[Array], tuple[Array, Array]]

NUM_CHAINS = 64
# Iterations of a round. In the first half of all rounds, chains forget where they began.
ITERATIONS = 32
# Rounds come until the chains agree and are enough, at most so many, and while no more positions
# than this are evaluated.
ROUNDS = 5
MAX_EVALUATIONS = 60_000
# The least acceptance rate of chains that move.
MOVING = 0.5
# The ratio of the spread of all chains to that within them (R-hat) at which they agree. Means of
# 64 chains are then known to 0.08 standard deviations at least, and what is left of where they
# began is below a hundredth: the chains were run for as long before they are counted, which is more
# than four times what they need to forget.
AGREEMENT = 1.3
# Trajectories are of about a quarter of a turn around a standard normal, of at most so many steps.
TRAJECTORY = 1.5
MAX_STEPS = 12
# The acceptance rate that step sizes are adapted to (Hoffman and Gelman 2014), and how fast.
ACCEPTANCE = 0.8
ADAPTATION = 0.5


@dataclass(frozen=True)
class Chains:
    """Positions that the chains have passed.

    Attributes
    ----------
    positions : ndarray, shape (num_kept, num_chains, size)
    acceptance : float
        Their mean acceptance rate.
    """

    positions: Array
    acceptance: float

    @property
    def draws(self) -> Array:
        """All positions, shape (num_kept * num_chains, size)."""
        return self.positions.reshape(-1, self.positions.shape[-1])

    @property
    def agree(self) -> bool:
        """Whether the chains move, and each passes what all pass."""
        return self.rhat < AGREEMENT and self.acceptance > MOVING

    @cached_property
    def rhat(self) -> float:
        """The largest R-hat of an element, of its normalized ranks (Vehtari et al. 2021).

        So it is the same for a scale and for its log, whose tail towards 0 is long.
        """
        length, num_draws = len(self.positions), len(self.draws)
        ranks = 1 + self.draws.argsort(axis=0).argsort(axis=0)
        normal = ndtri((ranks - 0.375) / (num_draws + 0.25)).reshape(self.positions.shape)
        within = normal.var(axis=0, ddof=1).mean(axis=0)
        between = normal.mean(axis=0).var(axis=0, ddof=1)
        ratio = (length - 1) / length + between / np.maximum(within, np.finfo(float).tiny)
        return float(np.sqrt(ratio.max()))


def run_short_chains(
    proposal: Proposal,
    starts: Array,
    log_density_and_gradient: Gradient,
    seed: int,
    are_enough: Callable[[Chains], bool] = lambda _: True,
) -> Chains:
    """Run a chain from each of some positions.

    Parameters
    ----------
    proposal : Proposal
        The distribution whose coordinates the chains move in.
    starts : ndarray, shape (num_chains, size)
    log_density_and_gradient : callable
        (positions) -> their log densities under the model, and the gradients of these.
    seed : int
        Decides the moves.
    are_enough : callable, optional
        (chains that agree) -> whether no more rounds are needed. By default they are not.
    """
    random = np.random.default_rng(seed)
    positions = starts
    density, slope = _evaluate(proposal, positions, log_density_and_gradient)
    step = 0.5 * len(proposal.origin) ** -0.25
    passed: list[Array] = []
    rates: list[float] = []
    evaluations = 0
    for iteration in range(ROUNDS * ITERATIONS):
        momentum = random.normal(size=positions.shape)
        energy = density - 0.5 * (momentum**2).sum(axis=1)
        # Each iteration has another length, so that no period of the posterior is hit.
        size = step * random.uniform(0.8, 1.2)
        num_steps = int(np.clip(round(TRAJECTORY * random.uniform(0.3, 1.2) / size), 1, MAX_STEPS))
        evaluations += num_steps * len(positions)
        new, new_density, new_slope = positions, density, slope
        with np.errstate(invalid="ignore", over="ignore"):
            for _ in range(num_steps):
                momentum = momentum + 0.5 * size * new_slope
                new = new + proposal.directions(size * momentum)
                new_density, new_slope = _evaluate(proposal, new, log_density_and_gradient)
                momentum = momentum + 0.5 * size * new_slope
            gain = new_density - 0.5 * (momentum**2).sum(axis=1) - energy
            gain = np.where(np.isfinite(gain), gain, -np.inf)
            chance = np.exp(np.minimum(gain, 0.0))
        accepted = random.random(len(chance)) < chance
        positions = np.where(accepted[:, None], new, positions)
        density = np.where(accepted, new_density, density)
        slope = np.where(accepted[:, None], new_slope, slope)
        step *= np.exp(ADAPTATION * (1 + iteration) ** -0.5 * (chance.mean() - ACCEPTANCE))
        passed.append(positions)
        rates.append(chance.mean())
        if len(passed) % ITERATIONS == 0:
            half = len(passed) // 2
            chains = Chains(np.stack(passed[half:]), float(np.mean(rates[half:])))
            if chains.agree and are_enough(chains):
                break
            # What another round would take, too.
            if evaluations * (1 + ITERATIONS / len(passed)) > MAX_EVALUATIONS:
                break
    return chains


def _evaluate(
    proposal: Proposal, positions: Array, log_density_and_gradient: Gradient
) -> tuple[Array, Array]:
    """Return log densities, and gradients with respect to the coordinates."""
    density, gradients = log_density_and_gradient(positions)
    factor = proposal.factor
    slopes = gradients * factor if factor.ndim == 1 else gradients @ factor
    # Beyond the support a gradient is of no use; the draw is rejected by its density.
    return density, np.where(np.isfinite(slopes), slopes, 0.0)
