"""Diagnostics of an approximation: its evidence lower bound and its k-hat.

Each costs a log density of all rows for every draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytensor

from bayou.fitting.checks.importance import effective_share, importance_weights
from bayou.fitting.result.fit_draws import coordinate_draws, key_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import jax
    from numpy.typing import NDArray

    from bayou.arguments import RandomSeed
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.result.fitted_model import FittedModel
    from bayou.fitting.rows.all_rows import AllRowsDensity

    type Array = NDArray[np.float64]

# Sums over rows round by about this many times the relative precision of a number. Log ratios that
# differ by no more count as equal.
ROUNDING = 10
# The share of draws that count at which weights are even, whatever the shape of their tail.
EVEN_SHARE = 0.99
# The draws that must count, for a tail to be fitted to more than one weight.
LEAST_EFFECTIVE = 3.0


class Estimate(NamedTuple):
    """A value estimated from draws, and its Monte Carlo standard error."""

    value: float
    error: float


def check_density(density: AllRowsDensity, method: str) -> None:
    """Check that the log density on all rows can be computed, for a method of :class:`bayou.Fit`.

    Raises
    ------
    ValueError
        If it cannot; gives the reason.
    """
    if density.obstacle is None:
        return
    hint = "judge by scores of held-out rows, which by.predict predicts"
    if density.program.latent is None:
        hint = f"observe a by.Minibatch, or {hint}"
    raise ValueError(
        f"`{method}` must have the density of all rows, got none, since {density.obstacle}.\n"
        f"Hint: {hint}."
    )


def draw_densities(
    fit: FittedModel, method: str, draws: int, random_seed: RandomSeed | None
) -> tuple[Array, Array]:
    """Return the log densities of draws from a fit, as :func:`log_densities` does.

    Raises
    ------
    ValueError
        If the log density of all rows cannot be computed, or is nan at a draw.
    """
    check_density(fit.density, method)
    fitted = fit.approximation
    drawn = coordinate_draws(fit.program, fitted, draws, key_seed(random_seed))
    return log_densities(fit.density, fitted.frame, *drawn)


def log_densities(
    density: Callable[[Array], Array],
    frame: Frame,
    coordinates: jax.Array | Array,
    guide_densities: jax.Array | Array,
) -> tuple[Array, Array]:
    """Return the log densities of draws: of the model on all rows, and of the approximation.

    Parameters
    ----------
    density : callable
        The log density of the model: from positions, shape (num_draws, size), to an array of shape
        (num_draws,).
    frame : Frame
        The coordinates.
    coordinates : array, shape (num_draws, size)
        Draws from the approximation.
    guide_densities : array, shape (num_draws,)
        The log densities of the guide at these coordinates.

    Returns
    -------
    model, approximation : ndarray, shape (num_draws,)
        In nats, of positions; that of the model is not normalized by the evidence.

    Raises
    ------
    ValueError
        If a log density of the model is nan.
    """
    model = density(frame.positions(np.asarray(coordinates)))
    num_nan = int(np.isnan(model).sum())
    if num_nan:
        raise ValueError(
            "The log density of the model must be a number at the draws of the approximation, "
            f"got nan at {num_nan} of {len(model)}.\n"
            "Hint: the draws leave the range that the model can compute; look at fit.summary()."
        )
    # The density of a position is that of its coordinates over the volume of the map.
    return model, np.asarray(guide_densities) - frame.log_determinant


def evidence_lower_bound(model: Array, approximation: Array) -> Estimate:
    """Return the mean log ratio of the densities.

    Examples
    --------
    >>> evidence_lower_bound(np.array([-3.0, -5.0]), np.array([-1.0, -1.0]))
    Estimate(value=-3.0, error=1.0)
    """
    log_weights = model - approximation
    # A draw without density makes the value -inf and its error nan, without a warning.
    with np.errstate(invalid="ignore"):
        error = np.std(log_weights, ddof=1) / np.sqrt(len(log_weights))
    return Estimate(float(log_weights.mean()), float(error))


def pareto_khat(model: Array, approximation: Array) -> float:
    """Return the shape of the generalized Pareto tail of the ratios of the densities.

    It is -inf if the ratios are equal apart from rounding, and so have no tail, as
    :func:`khat_of_ratios` says of nearly equal ones.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> pareto_khat(np.zeros(1000), np.zeros(1000))
    -inf
    >>> pareto_khat(4 * random.normal(size=1000), np.zeros(1000)) > 0.7
    True
    """
    log_weights = model - approximation
    precision = np.finfo(pytensor.config.floatX).eps * np.abs(model).max()
    if np.ptp(log_weights) <= ROUNDING * precision:
        return -np.inf
    return khat_of_ratios(log_weights)


def khat_of_ratios(log_ratios: Array) -> float:
    """Return k-hat from logs of ratios, 0 if these are nearly equal, inf if few have all weight.

    k-hat is the shape of a tail and not its size: of ratios that differ by a tenth of a percent, it
    may be 2, though no weight is far from any other. Where 99% of the draws count, and the largest
    weight is below ten times the mean, the tail does not matter. Where fewer draws have weight than
    a tail is fitted to, no number is too large.

    Examples
    --------
    >>> khat_of_ratios(0.01 * np.random.default_rng(0).standard_cauchy(size=1000).clip(-9, 9))
    0.0
    >>> khat_of_ratios(np.array([0.0] + [-1e4] * 999))
    inf
    """
    # ArviZ takes seconds to import.
    from arviz_stats.base.array import array_stats

    if not len(log_ratios):
        return np.nan
    weights = importance_weights(log_ratios)
    share = effective_share(weights)
    if share * len(weights) < LEAST_EFFECTIVE:
        return np.inf
    if share > EVEN_SHARE:
        return 0.0
    # ArviZ's pareto_khat would fit the tail of the log weights; psislw fits that of the weights.
    _, khat = array_stats.psislw(-np.where(np.isnan(log_ratios), -np.inf, log_ratios))
    return float(khat) if np.isfinite(khat) else np.inf
