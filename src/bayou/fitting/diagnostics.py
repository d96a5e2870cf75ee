"""How good an approximation is: its evidence lower bound and its k-hat, from one set of draws.

Each costs a density of all rows for every draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.fitting.guides.coordinates import Frame

    type Array = NDArray[np.float64]
    type Density = Callable[[Array], Array]

# Sums over rows round by this many times the precision of their numbers.
ROUNDING = 10


class Estimate(NamedTuple):
    """A value estimated from draws, and its Monte Carlo standard error."""

    value: float
    error: float


def log_densities(
    density: Density, frame: Frame, coordinates: Any, approximation: Any
) -> tuple[Array, Array]:
    """Return the log densities of draws: of the model on all rows, and of the approximation.

    Parameters
    ----------
    density : callable
        From positions, shape (draws, size), to log densities of the model.
    frame : Frame
        The coordinates that the approximation is a distribution of.
    coordinates : array, shape (draws, size)
        Draws from it.
    approximation : array, shape (draws,)
        Its log densities at them.

    Returns
    -------
    model, approximation : ndarray, shape (draws,)
        In nats; that of the model lacks the log evidence.

    Raises
    ------
    ValueError
        If a log density of the model is nan.
    """
    model = density(frame.positions(np.asarray(coordinates)))
    wrong = int(np.isnan(model).sum())
    if wrong:
        raise ValueError(
            "The log density of the model must be a number at the draws of the approximation, "
            f"got nan at {wrong} of {len(model)}.\n"
            "Hint: the draws are out of what the model can compute; look at fit.summary()."
        )
    return model, np.asarray(approximation) - frame.log_determinant


def evidence_lower_bound(model: Array, approximation: Array) -> Estimate:
    """Return the mean log ratio of the densities.

    Examples
    --------
    >>> evidence_lower_bound(np.array([-3.0, -5.0]), np.array([-1.0, -1.0]))
    Estimate(value=-3.0, error=1.0)
    """
    log_weights = model - approximation
    with np.errstate(invalid="ignore"):  # A draw of no density makes it -inf, and its error nan.
        error = np.std(log_weights, ddof=1) / np.sqrt(len(log_weights))
    return Estimate(float(log_weights.mean()), float(error))


def pareto_khat(model: Array, approximation: Array) -> float:
    """Return the shape of the generalised Pareto tail of the ratios of the densities.

    Ratios that are all equal, but for rounding, have no tail: -inf.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> pareto_khat(np.zeros(1000), np.zeros(1000))
    -inf
    >>> pareto_khat(4 * random.normal(size=1000), np.zeros(1000)) > 0.7
    True
    """
    # ArviZ takes seconds to import.
    from arviz_stats.base.array import array_stats

    log_weights = model - approximation
    precision = np.finfo(pytensor.config.floatX).eps * np.abs(model).max()
    if np.ptp(log_weights) <= ROUNDING * precision:
        return -np.inf
    # Its pareto_khat fits the tail of log weights where it is given them; psislw that of weights.
    psislw: Any = array_stats.psislw
    _, khat = psislw(-log_weights)
    return float(khat)
