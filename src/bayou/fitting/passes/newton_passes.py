"""Passes over all rows that move a normal to where the mean gradient of its draws vanishes.

In coordinates in which the posterior is a standard normal, a Newton step is the mean gradient
itself. All draws are evaluated in one pass, which also tells how far the coordinates are from that:
the gradient at a draw would be minus the draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.guides.coordinates import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator

    type Array = NDArray[np.float64]

# The largest error of a mean that the next move is expected to leave, in standard deviations.
MOVE_TOLERANCE = 0.01
# The most passes until the mean is settled, and the most in a row that lower the ELBO.
MAX_PASSES = 40
MAX_FALLS = 4
# Moves that are remembered.
MEMORY = 10


@dataclass(frozen=True)
class Pass:
    """What one pass over the rows tells about a normal.

    Attributes
    ----------
    frame : Frame
        The coordinates in which it is a standard normal.
    noise : ndarray, shape (num_draws, size)
        The draws in these coordinates: the later half is minus the first.
    elbo : float
        The evidence lower bound, in nats.
    slopes : ndarray, shape (num_draws, size)
        The gradients with respect to the coordinates.
    slope : ndarray, shape (size,)
        Their mean, in which priors count at more draws. It is the Newton step.
    row_slope : ndarray, shape (size,)
        The part of the rows in it.
    errors : ndarray, shape (size,)
        The Monte Carlo error of the mean that each element would have without a slope, in its
        standard deviations.
    """

    frame: Frame
    noise: Array
    elbo: float
    slopes: Array
    slope: Array
    row_slope: Array
    errors: Array

    @property
    def is_finite(self) -> bool:
        """Whether the density and its gradient are numbers."""
        return bool(np.isfinite(self.elbo) and np.isfinite(self.slopes).all())

    @property
    def residuals(self) -> Array:
        """The gradients of each element that a normal of this covariance would not have.

        The root mean square over the draws, in standard deviations, shape (size,).
        """
        rest = relative_steps(self.frame, self._rest)
        root: Array = np.sqrt((rest**2).mean(axis=0))
        return root

    @property
    def variance_changes(self) -> tuple[Array, Array]:
        """The relative change of the variance of each element that the gradients ask for.

        And its Monte Carlo error, shapes (size,).
        """
        steps = relative_steps(self.frame, self.noise)
        products = _pairs(relative_steps(self.frame, self._rest) * steps)
        return products.mean(axis=0), _standard_error(products)

    def distance(self, move: Array) -> float:
        """Return the largest distance of a move over the elements, in standard deviations."""
        return float(np.abs(relative_steps(self.frame, move)).max())

    def moved(self, move: Array) -> Frame:
        """Return the coordinates around the mean after a move."""
        return Frame(self.frame.positions(move), self.frame.factor)

    @property
    def _rest(self) -> Array:
        rest: Array = self.slopes + self.noise - self.slopes.mean(axis=0)
        return rest


@dataclass(frozen=True)
class PassDensity:
    """The log density of a model: its rows at the draws of a pass, its priors at more.

    Priors cost nothing beside the rows, and those of a hierarchy are far from normal.

    Attributes
    ----------
    rows : Evaluator
        All terms of the density, on the rows.
    priors : Evaluator
        The terms without rows.
    prior_noise : ndarray, shape (num_prior_draws, size)
        The draws of the priors, the later half minus the first.
    """

    rows: Evaluator
    priors: Evaluator
    prior_noise: Array

    def evaluate(self, frame: Frame, noise: Array) -> Pass:
        """Evaluate a normal at some draws in one pass over the rows.

        Parameters
        ----------
        frame : Frame
            The coordinates in which the normal is a standard one.
        noise : ndarray, shape (num_draws, size)
            Draws in them, the later half minus the first.
        """
        densities, gradients = self.rows.gradients(frame.positions(noise))
        # At once, so that one function is compiled.
        every = frame.positions(np.vstack([noise, self.prior_noise]))
        of_priors, prior_gradients = self.priors.gradients(every)
        few_densities, many_densities = np.split(of_priors, [len(noise)])
        few, many = np.split(prior_gradients, [len(noise)])
        entropy = 0.5 * noise.shape[1] * (1 + np.log(2 * np.pi)) + frame.log_determinant
        with np.errstate(all="ignore"):
            slopes = frame.gradients(gradients)
            of_rows = _pairs(slopes - frame.gradients(few))
            prior_slopes = _pairs(frame.gradients(many))
            errors = [
                _standard_error(relative_steps(frame, pairs)) for pairs in (of_rows, prior_slopes)
            ]
            return Pass(
                frame,
                noise,
                float((densities - few_densities).mean() + many_densities.mean()) + entropy,
                slopes,
                of_rows.mean(axis=0) + prior_slopes.mean(axis=0),
                of_rows.mean(axis=0),
                np.hypot(*errors),
            )


def relative_steps(frame: Frame, steps: Array) -> Array:
    """Return displacements of the elements in their standard deviations, shapes (..., size)."""
    relative: Array = frame.directions(steps) / frame.stds(1.0)
    return relative


def _pairs(values: Array) -> Array:
    """Return the means of draws of opposite sign, which have no error of odd order."""
    half = len(values) // 2
    pairs: Array = (values[:half] + values[half:]) / 2
    return pairs


def _standard_error(values: Array) -> Array:
    error: Array = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return error


def settle_mean(
    density: PassDensity,
    frame: Frame,
    noise: Array,
    report: Callable[[Pass], None],
    tolerance: float = MOVE_TOLERANCE,
    max_passes: int = MAX_PASSES,
) -> Settled | None:
    """Pass over the rows until the mean is expected to be right after the next move.

    Moves are those of the limited-memory BFGS method (Nocedal 1980), whose first one is a Newton
    step in these coordinates. One that lowers the ELBO is shortened.

    Parameters
    ----------
    density : PassDensity
        The model.
    frame : Frame
        The coordinates in which the normal is a standard one, at first.
    noise : ndarray, shape (num_draws, size)
        The draws, the later half minus the first.
    report : callable
        Called with each pass that raised the ELBO, or did not lower it.
    tolerance : float
        The largest error of a mean, in standard deviations, that the last move may leave.
    max_passes : int
        The most passes.

    Returns
    -------
    Settled or None
        Whether it settled, it says itself. None if moves lower the ELBO however short they are.
    """
    last: Pass | None = None
    move, part, falls = np.zeros(noise.shape[1]), 1.0, 0
    pairs: list[tuple[Array, Array]] = []
    last_distance = np.inf
    for _ in range(max_passes):
        now = density.evaluate(frame, noise)
        if not now.is_finite or (last is not None and _has_fallen(now, last)):
            falls += 1
            if last is None or falls > MAX_FALLS:
                return None
            # The move went too far.
            part /= 4
            frame = last.moved(part * move)
            continue
        report(now)
        if last is not None:
            pairs = _with_pair(pairs, part * move, last.slope - now.slope)
        move = _quasi_newton(pairs, now.slope)
        distance = now.distance(move)
        if distance * _ratio(now, distance, last_distance) < tolerance:
            return Settled(now, move, is_near=True)
        last, falls, part, last_distance = now, 0, 1.0, distance
        frame = now.moved(move)
    return None if last is None else Settled(last, part * move, is_near=False)


@dataclass(frozen=True)
class Settled:
    """The last pass over the rows, and the move that is still to be made.

    Attributes
    ----------
    last : Pass
        The pass.
    move : ndarray, shape (size,)
        The move, in coordinates.
    is_near : bool
        Whether the mean is expected to be right after it.
    """

    last: Pass
    move: Array
    is_near: bool

    @property
    def frame(self) -> Frame:
        """The coordinates around the mean after the move."""
        return self.last.moved(self.move)


def _has_fallen(now: Pass, last: Pass) -> bool:
    """Return whether a move lowered the ELBO by more than rounding."""
    return now.elbo < last.elbo - 1e-9 * abs(last.elbo) - 1e-3


def _ratio(now: Pass, distance: float, last_distance: float) -> float:
    """Return the part of its distance that a move is expected to leave."""
    # Of a move of s standard deviations, skewness leaves a part of the order of s.
    ratio = distance / last_distance if np.isfinite(last_distance) else distance
    return float(min(1.0, max(ratio, now.residuals.max())))


def _with_pair(
    pairs: list[tuple[Array, Array]], step: Array, change: Array
) -> list[tuple[Array, Array]]:
    """Return the last moves, each with the change of the slope that it made, with one more."""
    if step @ change <= 1e-8 * (change @ change):
        return pairs
    return [*pairs, (step, change)][-MEMORY:]


def _quasi_newton(pairs: list[tuple[Array, Array]], slope: Array) -> Array:
    """Return the move of the limited-memory BFGS method, from the identity."""
    move, weights = slope.copy(), []
    for step, change in reversed(pairs):
        weights.append(step @ move / (step @ change))
        move -= weights[-1] * change
    for (step, change), weight in zip(pairs, reversed(weights), strict=True):
        move += (weight - change @ move / (step @ change)) * step
    return move
