"""Deterministic ADVI: an objective of fixed draws, minimized by a quasi-Newton method.

Giordano, Ingram and Broderick (2024), "Black box variational inference with a deterministic
objective". Each evaluation passes once over all of the rows for each draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.optimize import OptimizeResult

    from bayou.fitting.guides.coordinates import Frame

    type Array = NDArray[np.float64]

# The standard deviations of the first coordinates: narrow, so that the first draws stay in the
# support of the likelihood.
START_SCALE = 0.1
# With more elements than this, a fit does without dense matrices of size x size.
MAX_DENSE = 512
MAX_ITERATIONS = 2000
# In nats, for a step of one standard deviation of the approximation. A smaller one takes more
# passes over the rows and moves the means by less than a thousandth of a standard deviation.
GRADIENT_TOLERANCE = 1e-3
# Rounding of sums over many rows can bring the line search to a halt a little before that.
HALT_TOLERANCE = 0.05
# The rise, in nats, of the wall around points where the loss is not finite.
WALL = 1e6
# Attempts to find a start where the loss is finite, each with draws a tenth as wide.
MAX_NARROWINGS = 5
# Scales of the coordinates stay within a factor of exp(15) of 1. A posterior that leaves them is
# taken for improper where a search in larger units leaves them too.
MAX_LOG_SCALE = 15.0


class Gradients(Protocol):
    """What has log densities with their gradients, such as an ``Evaluator``."""

    def gradients(self, positions: Array) -> tuple[Array, Array]:
        """Return log densities and gradients at positions, shape (num_positions, size)."""


@dataclass(frozen=True)
class IndependentNormal:
    """A normal whose coordinates in a frame are independent.

    Attributes
    ----------
    frame : Frame
        The coordinates.
    location, log_scale : ndarray, shape (size,)
        The mean and log standard deviation of each coordinate.
    """

    frame: Frame
    location: Array
    log_scale: Array

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


@dataclass(frozen=True)
class Optimum(IndependentNormal):
    """The normal with the smallest loss, and the record of the optimizer.

    Attributes
    ----------
    losses : ndarray, shape (num_iterations,)
        The loss after each iteration, in nats.
    converged : bool
        Whether the gradient vanished.
    reason : str
        Why the optimizer stopped.
    """

    losses: Array
    converged: bool
    reason: str

    @property
    def loss(self) -> float:
        """The last loss, inf if there is none."""
        return float(self.losses[-1]) if len(self.losses) else np.inf

    @property
    def is_finite(self) -> bool:
        """Whether the optimum is a normal, and not a scale without bounds."""
        return bool(np.isfinite(self.mean).all() and np.abs(self.log_scale).max() < MAX_LOG_SCALE)


class StoppedError(KeyboardInterrupt):
    """Ctrl-C or a callback stopped the optimizer.

    Attributes
    ----------
    optimum : Optimum
        That of the last iteration.
    """

    def __init__(self, optimum: Optimum) -> None:
        super().__init__(optimum.reason)
        self.optimum = optimum


def minimize(
    evaluator: Gradients,
    frame: Frame,
    noise: Array,
    max_iterations: int | None,
    report: Callable[[Array], None],
    *,
    fixed_scales: bool = False,
    tolerance: float = GRADIENT_TOLERANCE,
) -> Optimum:
    """Find the normal with the smallest loss, independent in the coordinates of a frame.

    Parameters
    ----------
    evaluator : Gradients
        The model on all of its rows.
    frame : Frame
        The coordinates; the search starts from a standard normal in them.
    noise : ndarray, shape (num_draws, size)
        The fixed draws.
    max_iterations : int or None
        The most iterations. None for up to 2000.
    report : callable
        Called with the loss of each iteration, shape (1,), in nats.
    fixed_scales : bool, default False
        Whether the scales stay those of the frame, and the location alone is sought.
    tolerance : float
        The largest derivative of the loss at which a search ends, in nats.

    Returns
    -------
    Optimum

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted; a :class:`StoppedError`, once the first iteration is done.
    """
    # Not at the top: it would take a fifth of the time of `import bayou` beyond its dependencies,
    # and 10 MB.
    from scipy import optimize

    size = noise.shape[1]
    max_iterations = max_iterations or MAX_ITERATIONS
    loss = _Loss(evaluator, frame, noise)
    record = _Record(frame, size, report)

    def search(begin: Array, max_change: float) -> OptimizeResult:
        """Search from a point, where log scales change by at most ``max_change``."""
        scales = [(scale - max_change, scale + max_change) for scale in begin[size:]]
        return optimize.minimize(
            loss.value_and_gradient,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None)] * size + scales,
            callback=record,
            options={
                "maxiter": max_iterations - len(record.losses),
                "maxfun": 10 * max_iterations,
                "maxcor": 30,
                # So small that the gradient alone decides when to stop.
                "ftol": 1e-14,
                "gtol": tolerance,
            },
        )

    begin = np.zeros(2 * size)
    for _ in range(MAX_NARROWINGS):
        loss.value_and_gradient(begin)
        if loss.last_finite is not None:
            break
        # Wide draws may leave the support of the likelihood where narrow ones do not.
        begin[size:] += np.log(0.1)
    # Far from the mode, curvature misleads: first the location alone, then the scales too.
    # L-BFGS-B solves systems of 30 numbers, on which threads of BLAS wait for each other: of ten
    # elements, an iteration took 1.5 ms of CPU with two threads and 0.04 with one (busy cores).
    try:
        with limited_threads(usable_cores()):
            result = search(begin, 0.0)
            if len(record.losses) < max_iterations and not fixed_scales:
                result = search(result.x, MAX_LOG_SCALE)
    except StoppedError:
        raise
    except KeyboardInterrupt:
        if not record.losses:
            raise
        raise record.stopped("the keyboard") from None
    location, log_scale = result.x[:size], result.x[size:]
    vanished = bool(result.success and np.abs(result.jac).max() < HALT_TOLERANCE)
    if loss.last_finite is None:
        converged, reason = False, "the loss is not finite around the start"
    elif np.abs(log_scale).max() >= MAX_LOG_SCALE:
        converged, reason = False, "a scale left all bounds, so the posterior may be improper"
    else:
        converged, reason = vanished, _reason(result, vanished, len(record.losses), max_iterations)
    return Optimum(frame, location, log_scale, np.array(record.losses), converged, reason)


class _Record:
    """The losses of the iterations that are done, and the last point; reports each loss."""

    def __init__(self, frame: Frame, size: int, report: Callable[[Array], None]) -> None:
        self.losses: list[float] = []
        self._frame, self._size, self._report = frame, size, report
        self._latest = np.zeros(2 * size)

    # SciPy passes the result by the name of this parameter.
    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Take the result of an iteration."""
        self._latest = intermediate_result.x.copy()
        self.losses.append(float(intermediate_result.fun))
        try:
            self._report(np.array(self.losses[-1:]))
        except StopIteration:
            # SciPy would go on to the next search.
            raise self.stopped("a callback") from None

    def stopped(self, by_whom: str) -> StoppedError:
        """Return the error that ends the optimizer with its last point."""
        reason = f"{by_whom} stopped it after {len(self.losses)} iterations"
        location, log_scale = self._latest[: self._size], self._latest[self._size :]
        losses = np.array(self.losses)
        return StoppedError(Optimum(self._frame, location, log_scale, losses, False, reason))


class _Loss:
    """The loss of the fixed draws: minus their mean ELBO, in nats, and its gradient.

    Parameters
    ----------
    evaluator : Gradients
        The model on all of its rows.
    frame : Frame
        The coordinates.
    noise : ndarray, shape (num_draws, size)
        The fixed draws.
    """

    def __init__(self, evaluator: Gradients, frame: Frame, noise: Array) -> None:
        self._evaluator, self._frame, self._noise = evaluator, frame, noise
        self._size = noise.shape[1]
        self._constant = 0.5 * self._size * (1 + np.log(2 * np.pi)) + frame.log_determinant
        # The last point with a finite loss, and its loss.
        self.last_finite: tuple[Array, float] | None = None

    @np.errstate(over="ignore", invalid="ignore")
    def value_and_gradient(self, point: Array) -> tuple[float, Array]:
        """Return the loss and its gradient at locations and log scales, shape (2 * size,)."""
        location, log_scale = point[: self._size], point[self._size :]
        steps = np.exp(log_scale) * self._noise
        positions = self._frame.positions(location + steps)
        densities, gradients = self._evaluator.gradients(positions)
        slopes = self._frame.gradients(gradients)
        loss = float(-densities.mean() - log_scale.sum() - self._constant)
        gradient = -np.concatenate([slopes.mean(0), (slopes * steps).mean(0) + 1])
        if np.isfinite(loss) and np.isfinite(gradient).all():
            self.last_finite = point.copy(), loss
            return loss, gradient
        # A wall that rises from the last finite point, so that the line search steps back.
        origin, level = self.last_finite or (point, 0.0)
        displacement = point - origin
        squared_distance = float(displacement @ displacement)
        return level + WALL * (1 + squared_distance), 2 * WALL * displacement


def _reason(
    result: OptimizeResult, vanished: bool, num_iterations: int, max_iterations: int
) -> str:
    if vanished:
        return f"the gradient vanished after {num_iterations} iterations"
    if num_iterations >= max_iterations:
        return f"{num_iterations} iterations did not suffice"
    message = result.message.lower().rstrip(": ")
    return f"the line search failed after {num_iterations} iterations: {message}"
