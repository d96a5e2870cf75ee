"""The level of the ELBO over some hundred steps, and entropies that are impossible.

Single steps scatter, now and then by far, so a level is a median. A fit whose level is far below
its best has left the region of the posterior, however little it moves in its own standard
deviations, which may have grown without bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from bayou.fitting.guides import LOG_2_PI
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.guides import Guide, Params

    type Array = NDArray[np.float64]

# Steps whose median is one level: those of a chunk at most.
LEVEL_STEPS = 512
# A level is far below another if it is lower by so many nats for each element of the position, and
# by so many of the standard errors of both. Iterates at a large rate are worse than their average
# by less than that (a tenth of a nat an element at rate 0.05, on the models of tests/fitting).
FALL = 1.0
ERRORS = 5.0
# Of a normal sample, the standard error of the median is so many interquartile ranges over the
# root of its size.
MEDIAN_ERROR = 0.93
# Draws that the entropy is averaged over.
ENTROPY_DRAWS = 256


class Level(NamedTuple):
    """The median of the ELBO over some steps, and its standard error, in nats."""

    value: float
    error: float


def level_of(elbo: Array) -> Level:
    """Return the level of the ELBO in some steps, shape (num_steps,)."""
    low, median, high = np.quantile(elbo, [0.25, 0.5, 0.75])
    return Level(float(median), float(MEDIAN_ERROR * (high - low) / np.sqrt(len(elbo))))


def best_level(elbo: Array) -> tuple[int, Level]:
    """Return the best level of all stretches of steps, and the number of the step after it."""
    ends = range(min(LEVEL_STEPS, len(elbo)), len(elbo) + 1, LEVEL_STEPS)
    levels = [(end, level_of(elbo[max(0, end - LEVEL_STEPS) : end])) for end in ends]
    return max(levels, key=lambda item: item[1].value)


def is_far_below(level: Level, other: Level, size: int) -> bool:
    """Return whether a level is far below another one, for a position of ``size`` elements.

    Examples
    --------
    >>> is_far_below(Level(-30.0, 0.1), Level(-20.0, 0.1), size=4)
    True
    >>> is_far_below(Level(-22.0, 0.1), Level(-20.0, 0.1), size=4)
    False
    >>> is_far_below(Level(np.nan, 0.1), Level(-20.0, 0.1), size=4)
    True
    """
    slack = FALL * size + ERRORS * float(np.hypot(level.error, other.error))
    return not level.value >= other.value - slack


def excess_entropy(guide: Guide, params: Params, key: jax.Array) -> float:
    """Return by how many nats the entropy of draws is above the largest possible; at most 0 if not.

    No distribution with the same standard deviations has a larger entropy than independent normals.
    Rounding gives one where the factor of a covariance is singular to working precision. Guides
    other than full-rank and low-rank normals have no such factor, or only their author knows it.
    """
    if not isinstance(guide, FullRank | LowRank):
        return 0.0
    size = len(guide.mean(params))

    def negative_log_densities(params: Params) -> jax.Array:
        noise = guide.noise(key, ENTROPY_DRAWS, size, None)
        draws = jax.vmap(lambda draw: guide.transport(params, draw))(noise)
        return -jax.vmap(lambda draw: guide.log_density(params, draw))(draws)

    values = np.asarray(jax.jit(negative_log_densities)(params), dtype=np.float64)
    stds = np.asarray(guide.std(params), dtype=np.float64)
    largest = float(np.log(stds).sum() + size / 2 * (1 + LOG_2_PI))
    # The mean is the entropy; the lower quartile is below it, and is a number whatever the tails.
    return float(np.quantile(values, 0.25)) - largest
