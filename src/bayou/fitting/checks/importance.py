"""Importance weights of draws: how even they are, and the power at which they are even enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

# Halvings of the interval in which a power is searched: to a millionth.
HALVINGS = 20


def importance_weights(log_ratios: Array, power: float = 1.0) -> Array:
    """Return weights that add up to one, truncated so that no draw takes all (Ionides 2008).

    Parameters
    ----------
    log_ratios : ndarray, shape (num_draws,)
        Logs of the density of the target over that of the draws, up to a constant. One that is not
        a number counts as a draw where the target has no density.
    power : float, default 1
        The ratios are taken to this power: below one, the target is between the two densities.

    Returns
    -------
    ndarray, shape (num_draws,)
        All zero, if the target has no density at any draw.

    Examples
    --------
    >>> importance_weights(np.log([1.0, 1.0, 2.0]))
    array([0.25, 0.25, 0.5 ])
    """
    logs = np.where(np.isnan(log_ratios), -np.inf, log_ratios)
    highest = logs.max()
    if not np.isfinite(highest):
        return np.zeros(len(logs))
    weights = np.exp(power * (logs - highest))
    weights = np.minimum(weights, weights.mean() * np.sqrt(len(weights)))
    total: Array = weights / weights.sum()
    return total


def effective_share(weights: Array) -> float:
    """Return the share of the draws that count: one for equal weights (Kong 1992).

    Parameters
    ----------
    weights : ndarray, shape (num_draws,)

    Examples
    --------
    >>> effective_share(np.array([0.5, 0.5, 0.0, 0.0]))
    0.5
    """
    squares = (weights**2).sum()
    return float(weights.sum() ** 2 / squares / len(weights)) if squares else 0.0


def even_power(log_ratios: Array, least_share: float) -> float:
    """Return the largest power, up to one, at which this share of the draws counts.

    Parameters
    ----------
    log_ratios : ndarray, shape (num_draws,)
        As in :func:`importance_weights`.
    least_share : float
        The share, between 0 and 1.
    """
    if effective_share(importance_weights(log_ratios)) >= least_share:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if effective_share(importance_weights(log_ratios, middle)) >= least_share:
            low = middle
        else:
            high = middle
    return low
