"""Deterministic ADVI: an objective of fixed draws, lowered by a quasi-Newton method.

Giordano, Ingram and Broderick (2024), "Black box variational inference with a deterministic
objective". Draws come in pairs of opposite signs, so that the odd moments of the noise are exact.
Each evaluation passes once over all of the rows for each draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayou.density.evaluator import Array, Evaluator
    from bayou.fitting.guides.coordinates import Frame

MAX_ITERATIONS = 2000
# In nats, for a step of one standard deviation of the approximation.
GRADIENT_TOLERANCE = 1e-3
# Rounding may bring the search to a halt a little before that.
HALT_TOLERANCE = 0.05
WALL = 1e6
NARROWINGS = 5
# Scales of the coordinates stay within a factor of exp(15) of 1.
MAX_LOG_SCALE = 15.0


@dataclass(frozen=True)
class Optimum:
    """A mean-field normal in the coordinates of a frame, and how the optimiser came to it."""

    frame: Frame
    location: Array
    log_scale: Array
    losses: Array
    converged: bool
    reason: str

    @property
    def is_finite(self) -> bool:
        """Whether a normal was found, and not a scale without bounds."""
        return bool(np.isfinite(self.mean).all() and np.abs(self.log_scale).max() < MAX_LOG_SCALE)

    @property
    def mean(self) -> Array:
        """The mean of the position, shape (size,)."""
        mean: Array = self.frame.positions(self.location)
        return mean

    @property
    def variances(self) -> Array:
        """The variances of the position, shape (size,)."""
        stds: Array = self.frame.stds(np.exp(self.log_scale))
        return stds**2


def opposite_pairs(seed: int, num_draws: int, size: int) -> Array:
    """Return standard normals in pairs of opposite signs, shape (num_draws, size)."""
    half = np.random.default_rng(seed).normal(size=(num_draws // 2, size))
    return np.concatenate([half, -half])


def opposite_signs(seed: int, num_draws: int, size: int) -> Array:
    """Return pairs of opposite points of the unit cube, shape (num_draws, size).

    Few of them stand for a standard normal better than draws do: their second moments are exact.
    """
    half = np.random.default_rng(seed).choice([-1.0, 1.0], size=(num_draws // 2, size))
    return np.concatenate([half, -half])


def minimise(
    evaluator: Evaluator,
    frame: Frame,
    noise: Array,
    max_iterations: int | None,
    report: Callable[[Array], None],
) -> Optimum:
    """Find the normal, independent in the coordinates of a frame, of the least loss.

    Parameters
    ----------
    evaluator : Evaluator
        The model on all of its rows.
    frame : Frame
        The coordinates; the search starts from a standard normal in them.
    noise : ndarray, shape (num_draws, size)
        The fixed draws.
    max_iterations : int or None
        None for as many as it takes, within reason.
    report : callable
        Told the losses of the iterations as they are done, in nats.

    Returns
    -------
    Optimum
    """
    size = noise.shape[1]
    bound = max_iterations or MAX_ITERATIONS
    constant = 0.5 * size * (1 + np.log(2 * np.pi)) + frame.log_determinant
    losses: list[float] = []
    known: list[tuple[Array, float]] = []

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(point: Array) -> tuple[float, Array]:
        location, log_scale = point[:size], point[size:]
        steps = np.exp(log_scale) * noise
        densities, gradients = evaluator.gradients(frame.positions(location + steps))
        slopes = frame.gradients(gradients)
        loss = -densities.mean() - log_scale.sum() - constant
        slope = -np.concatenate([slopes.mean(0), (slopes * steps).mean(0) + 1])
        if np.isfinite(loss) and np.isfinite(slope).all():
            known[:] = [(point.copy(), float(loss))]
            return float(loss), slope
        # A wall that rises from the last point that was fine, for the line search to step back.
        origin, level = known[0] if known else (point, 0.0)
        away = point - origin
        return level + WALL * (1 + float(away @ away)), 2 * WALL * away

    def callback(intermediate_result: Any) -> None:
        losses.append(float(intermediate_result.fun))
        report(np.array(losses[-1:]))

    def search(begin: Array, widest: float) -> Any:
        scales = [(scale - widest, scale + widest) for scale in begin[size:]]
        return minimize(
            loss_and_gradient,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None)] * size + scales,
            callback=callback,
            options={
                "maxiter": bound - len(losses),
                "maxfun": 10 * bound,
                "maxcor": 30,
                "ftol": 1e-14,
                "gtol": GRADIENT_TOLERANCE,
            },
        )

    begin = np.zeros(2 * size)
    for _ in range(NARROWINGS):
        loss_and_gradient(begin)
        if known:
            break
        begin[size:] += np.log(0.1)  # Wide draws may leave the support where narrow ones do not.
    # Far from the mode, where curvature misleads, the location is found before the scales are free.
    found = search(begin, 0.0)
    if len(losses) < bound:
        found = search(found.x, MAX_LOG_SCALE)
    location, log_scale = found.x[:size], found.x[size:]
    converged = bool(found.success and np.abs(found.jac).max() < HALT_TOLERANCE)
    reason = _reason(found, len(losses), bound)
    if not known:
        converged, reason = False, "the loss is not finite around the start"
    elif np.abs(log_scale).max() >= MAX_LOG_SCALE:
        converged, reason = False, "a scale left all bounds, so the posterior may be improper"
    return Optimum(frame, location, log_scale, np.array(losses), converged, reason)


def _reason(found: Any, num_iterations: int, bound: int) -> str:
    if found.success and np.abs(found.jac).max() < HALT_TOLERANCE:
        return f"the gradient vanished after {num_iterations} iterations"
    if num_iterations >= bound:
        return f"{num_iterations} iterations did not suffice"
    return f"the line search failed after {num_iterations} iterations: {found.message.lower()}"
