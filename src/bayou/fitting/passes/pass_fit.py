"""A fit by passes over all rows: pilot, covariance, passes, correction.

1. A pilot on some thousands of rows gives a start and coordinates (`fixed_draws.pilot`).
2. Passes over a sample of the rows move the mean, and the Hessian of the sample gives the
   covariance, which some hundred thousand rows know to about half a percent.
3. In the coordinates of that covariance, two to four passes over all rows move the mean to where
   the gradient of all rows vanishes. They also show where the covariance of the sample is not that
   of all rows, as for levels of a category with few rows: then the Hessian of all rows is taken.
4. Draws are added until the Monte Carlo error of each mean is small.
5. The covariance is that of linear response. It is kept if the ELBO did not fall.

A posterior that is not nearly normal is left to the other methods.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.cluster.cores import usable_cores
from bayou.cluster.threads import limited_threads
from bayou.fitting.fixed_draws.antithetic import antithetic_signs
from bayou.fitting.fixed_draws.correction import (
    ERRORS,
    FALL,
    check_elbo,
    warn_uncorrected,
    with_covariance,
)
from bayou.fitting.fixed_draws.linear_response import ResponseError, naming_failures
from bayou.fitting.fixed_draws.optimize import MAX_DENSE, IndependentNormal
from bayou.fitting.fixed_draws.pilot import PILOT_DRAWS, fit_rows
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.passes.curvature import curvature_at
from bayou.fitting.passes.large_fit import settle_large
from bayou.fitting.passes.newton_passes import MAX_PASSES, MOVE_TOLERANCE, PassDensity, settle_mean
from bayou.fitting.passes.pass_rows import BLOCK_ROWS, open_pass_rows
from bayou.fitting.passes.prior_chains import row_quadratic, sample_priors
from bayou.fitting.rows.all_rows import (
    has_weighted_rows,
    num_all_rows,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.passes.curvature import Curvature
    from bayou.fitting.passes.newton_passes import Pass, Settled
    from bayou.fitting.passes.pass_rows import PassRows
    from bayou.fitting.passes.shared_rows import SharedRows
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# Rows up to which all of them give the covariance, and not a sample.
ALL_ROWS = 2**19
# The most draws of a pass over the rows.
MAX_DRAWS = 64
# The most elements. Those of more than MAX_DENSE have no matrices of their pairs.
MAX_LARGE = 100_000
# The distance to the mean, in standard deviations, at which the first moves end; and the number of
# passes over the sample after which its Hessian is taken again, at the mean so far. A Hessian of
# 131,072 flights costs as much as five passes; with that of the start alone, 17 passes came near.
NEAR = 0.3
ROUND_PASSES = 4
# The most passes over all rows before their first Hessian, which costs as much as seven.
FIRST_PASSES = 12
# Draws of the priors in these Hessians: 128 took two thirds of the time of those of the flights.
FEW_PRIOR_DRAWS = 32
# The gradient at which the pilot ends, in nats: its rows know the mean to no better than a standard
# deviation of theirs.
PILOT_TOLERANCE = 0.1
# The Monte Carlo error of the means above which there are more draws, in standard deviations: of
# the root mean square over the elements, and of the largest.
MEAN_ERROR = 0.02
LARGEST_ERROR = 0.05
# A relative change of a variance, beyond ERRORS of its Monte Carlo errors, that calls for the
# Hessian of all rows; one that calls for it again, where the last one was of all rows; and how
# often it may.
VARIANCE_CHANGE = 0.03
LAST_CHANGE = 0.06
MAX_ROUNDS = 4
# The gradients at draws of a normal posterior have no residual. With one above this, in standard
# deviations, a posterior is not nearly normal.
NEARLY_NORMAL = 0.8


class UnsettledError(Exception):
    """Passes do not suffice for a fit. The message says why."""


@dataclass(frozen=True)
class Unsettled:
    """The result of passes that do not suffice.

    Attributes
    ----------
    reason : str
        Why they do not.
    """

    reason: str


@dataclass
class Record:
    """The record of a fit by passes.

    Attributes
    ----------
    elbo : list of float
        The evidence lower bound in each pass that moved the mean, in nats.
    frame : Frame or None
        The normal of the last pass.
    """

    task: Task
    elbo: list[float] = field(default_factory=list)
    frame: Frame | None = None

    def add(self, now: Pass) -> None:
        """Record a pass, and report it."""
        self.elbo.append(now.elbo)
        self.frame = now.frame
        self.task.report(np.array([-now.elbo]))


def passes_obstacle(program: Program) -> str | None:
    """Return the reason why a model is not fitted by passes over all rows, None if it may be."""
    if not has_weighted_rows(program):
        return "its likelihood is not known to be one of rows"
    if program.layout.size > MAX_LARGE:
        return f"it has {program.layout.size} elements, more than {MAX_LARGE}"
    if num_all_rows(program) <= BLOCK_ROWS:
        return f"it has no more than {BLOCK_ROWS} rows"
    return None


def fit_passes(
    task: Task, *, corrected: bool, shared: SharedRows | None = None
) -> Approximation | Unsettled:
    """Fit by passes over all rows, where they suffice.

    Parameters
    ----------
    task : Task
        The model, its rows, the start and the seeds.
    corrected : bool
        Whether to correct the standard deviations by linear response.
    shared : SharedRows, optional
        The rows on the workers of a cluster; by default this process goes through them.

    Returns
    -------
    Approximation or Unsettled
        Unsettled if the posterior is not nearly normal, or the passes do not settle.

    Raises
    ------
    KeyboardInterrupt, StopIteration
        If the fit is interrupted before a pass is done.
    """
    try:
        # Products of small matrices stand between the passes. On busy cores, threads of BLAS that
        # wait for one another took 20 times as long for those of 143 elements.
        with limited_threads(usable_cores()):
            return _fit(task, shared, corrected=corrected)
    except (UnsettledError, ResponseError) as error:
        return Unsettled(str(error))


def _fit(task: Task, shared: SharedRows | None, *, corrected: bool) -> Approximation:
    record, rows = Record(task), open_pass_rows(task, shared)
    try:
        if task.program.layout.size > MAX_DENSE:
            return _fit_large(task, rows, record)
        settled, curvature, num_draws = _settle(task, rows, record)
        fitted = _approximation(record, settled.frame)
        if corrected:
            fitted = _correct(task, rows, fitted, settled.last, curvature)
    except (KeyboardInterrupt, StopIteration) as interruption:
        if record.frame is None:
            raise
        by_whom = "a callback" if isinstance(interruption, StopIteration) else "the keyboard"
        reason = f"{by_whom} stopped it after {len(record.elbo)} passes"
        stopped = _approximation(record, record.frame)
        return replace(stopped, converged=False, reason=reason, interrupted=True)
    reason = f"the gradient of all rows vanished at {num_draws} draws"
    return replace(fitted, reason=reason)


def _settle(task: Task, rows: PassRows, record: Record) -> tuple[Settled, Curvature, int]:
    """Return the settled mean, the curvature that its coordinates are of, and the draws."""
    pilot = fit_rows(task, rows.pilot, rotated=False, tolerance=PILOT_TOLERANCE)
    frame = Frame(pilot.location, pilot.scale)
    size = task.program.layout.size
    noise = antithetic_signs(task.noise_seed, PILOT_DRAWS, size)

    def curvature_of(density: PassDensity, frame: Frame, num_rows: int) -> Curvature:
        return curvature_at(density, frame, task.noise_seed, num_rows)

    def settle(frame: Frame, tolerance: float, most: int | None = None) -> Settled:
        passes = settle_mean(rows.all, frame, noise, record.add, tolerance, most or MAX_PASSES)
        if passes is None or not (passes.is_near or most):
            raise UnsettledError("the passes did not settle")
        return passes

    frame = _come_near(task, rows, record, frame, noise)
    curvature, allowed = None, VARIANCE_CHANGE
    if rows.num_rows > ALL_ROWS:
        curvature = curvature_of(rows.sample, frame, rows.num_sampled)
        settled = settle(curvature.coordinates(frame), MOVE_TOLERANCE)
    else:
        # The Hessian of all rows comes after these passes, wherever they end.
        settled = settle(frame, MOVE_TOLERANCE, FIRST_PASSES)
    for _ in range(MAX_ROUNDS):
        change, error = settled.last.variance_changes
        if curvature and not (np.abs(change) > allowed + ERRORS * error).any():
            break
        curvature = curvature_of(rows.all, settled.frame, rows.num_rows)
        settled = settle(curvature.coordinates(settled.frame), MOVE_TOLERANCE)
        allowed = LAST_CHANGE
    assert curvature is not None
    if settled.last.residuals.max() > NEARLY_NORMAL:
        raise UnsettledError("the posterior is not nearly normal")
    num_draws = _num_draws(settled.last)
    if num_draws > PILOT_DRAWS:
        noise = antithetic_signs(task.noise_seed, num_draws, size)
        # No nearer than the draws know the mean.
        tolerance = max(MOVE_TOLERANCE, settled.last.errors.max() / 4)
        settled = settle(settled.frame, tolerance)
    return settled, curvature, num_draws


def _come_near(task: Task, rows: PassRows, record: Record, frame: Frame, noise: Array) -> Frame:
    """Return coordinates around a mean near that of the sample, from those of the pilot.

    Where passes have moved far, the Hessian there may have no inverse: then they go on in the
    coordinates that they had.
    """

    def coordinates_at(frame: Frame) -> Frame:
        curvature = curvature_at(
            rows.sample, frame, task.noise_seed, rows.num_sampled, FEW_PRIOR_DRAWS
        )
        return curvature.coordinates(frame)

    frame, most = coordinates_at(frame), ROUND_PASSES
    for _ in range(MAX_ROUNDS):
        near = settle_mean(rows.sample, frame, noise, record.add, NEAR, most)
        if near is None:
            raise UnsettledError("the passes did not settle")
        frame = near.frame
        if near.is_near:
            break
        most = ROUND_PASSES
        try:
            frame = coordinates_at(frame)
        except ResponseError:
            most = MAX_PASSES
    return frame


def _fit_large(task: Task, rows: PassRows, record: Record) -> Approximation:
    """Fit a model with too many elements for matrices of their pairs."""
    pilot = fit_rows(task, rows.pilot, rotated=False)
    start = pilot.frame.positions(pilot.location)
    with naming_failures():
        large = settle_large(rows.all, start, task.noise_seed, record.add)
    if large is None:
        raise UnsettledError("the passes did not settle")
    if large.residual > NEARLY_NORMAL / 2:
        raise UnsettledError("the posterior is not nearly normal")
    fitted = replace(
        _approximation(record, large.alone), reason="the gradient of all rows vanished"
    )
    size = task.program.layout.size
    if not large.rise >= -FALL * (size + 1) - ERRORS * large.rise_error:
        reason = f"the ELBO at fresh draws fell by {-large.rise:.3g} nats with it"
        warn_uncorrected(reason)
        return replace(fitted, correction=f"none: {reason}")
    return replace(
        fitted,
        guide=large.guide,
        params=large.params,
        frame=Frame(np.zeros(size), np.ones(size)),
        correction=f"linear_response by random signs, to about {large.error:.1%} of each",
    )


def _correct(
    task: Task, rows: PassRows, fitted: Approximation, last: Pass, curvature: Curvature
) -> Approximation:
    """Return the normal with the moments of linear response and priors, if the ELBO allows it."""
    size, is_log = task.program.layout.size, task.program.layout.is_log
    normal = IndependentNormal(fitted.frame, np.zeros(size), np.zeros(size))
    corrected = with_covariance(task.program, fitted, normal, curvature.covariance(is_log))
    row_part = row_quadratic(corrected.frame, last, curvature)
    sampled = sample_priors(row_part, rows.all.priors, corrected.frame, is_log, task.noise_seed + 2)
    if sampled is not None:
        corrected = replace(corrected, frame=sampled)
    after = IndependentNormal(corrected.frame, np.zeros(size), np.zeros(size))
    try:
        check_elbo(rows.sample.rows, normal, after, task.noise_seed + 1)
    except ResponseError as error:
        warn_uncorrected(str(error))
        return replace(fitted, correction=f"none: {error}")
    text = "linear_response"
    if curvature.num_rows < rows.num_rows:
        text += f" on {curvature.num_rows:,} of {rows.num_rows:,} rows"
    if sampled is not None:
        text += ", and chains for priors that are not normal"
    return replace(corrected, correction=text)


def _num_draws(last: Pass) -> int:
    """Return the number of draws that gives small Monte Carlo errors: a power of two."""
    errors = last.errors
    excess = max(np.sqrt(np.mean(errors**2)) / MEAN_ERROR, errors.max() / LARGEST_ERROR, 1.0)
    wanted = len(last.noise) * 2 ** int(np.ceil(2 * np.log2(excess)))
    return int(min(wanted, MAX_DRAWS))


def _approximation(record: Record, frame: Frame) -> Approximation:
    """Return the standard normal in some coordinates, and the record of its fit."""
    zeros = jnp.zeros(len(frame.origin))
    return Approximation(
        guide=MeanField(),
        params=MeanFieldParams(zeros, zeros),
        frame=frame,
        elbo=np.array(record.elbo),
        rates=np.full(len(record.elbo), np.nan),
        converged=True,
        reason="",
    )
