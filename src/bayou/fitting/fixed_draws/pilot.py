"""The pilot of a stochastic fit: fixed draws on some thousands of rows give it coordinates.

In coordinates in which the posterior is nearly a standard normal, independent normals lose little,
and the rates of stochastic steps have a natural size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.linear_response import covariance_or_none
from bayou.fitting.fixed_draws.optimize import (
    GRADIENT_TOLERANCE,
    MAX_DENSE,
    START_SCALE,
    IndependentNormal,
    minimize,
)
from bayou.fitting.fixed_draws.row_variables import latent_start
from bayou.fitting.fixed_draws.start_choice import choose_start
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.rows.pilot_sample import pilot_block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.guides.mean_field import MeanFieldParams
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# The pilot seeks coordinates, not the posterior: few draws and iterations suffice.
PILOT_DRAWS = 8
PILOT_ITERATIONS = 100


@dataclass(frozen=True)
class Pilot:
    """Where a stochastic fit starts.

    Attributes
    ----------
    frame : Frame
        The coordinates.
    location, scale : ndarray, shape (size,)
        The mean and standard deviations to start from, in these coordinates.
    latent : MeanFieldParams or None, shapes (num_rows, size)
        The normals of the variables with a value for each row.
    """

    frame: Frame
    location: Array
    scale: Array
    latent: MeanFieldParams | None = None


def fit_pilot(task: Task, rotated: bool) -> Pilot:
    """Fit some thousands of rows on fixed draws.

    Parameters
    ----------
    task : Task
        The fit.
    rotated : bool
        Whether to use the coordinates of the pilot's covariance where there is one, instead of the
        model's own.
    """
    block = pilot_block(task.program, task.feeds, task.row_seed)
    size = task.program.layout.size
    identity = Frame(np.zeros(size), np.ones(size))
    if task.program.latent is not None:
        return Pilot(identity, *latent_start(task.program, task.start, block, task.noise_seed))
    return fit_rows(task, Evaluator(task.program, [block]), rotated)


def fit_rows(
    task: Task, evaluator: Evaluator, rotated: bool, tolerance: float = GRADIENT_TOLERANCE
) -> Pilot:
    """Fit some rows, without variables that have a value for each row, as :func:`fit_pilot` does.

    Parameters
    ----------
    task : Task
        The fit.
    evaluator : Evaluator
        The model on these rows, which count as all.
    rotated : bool
        As in :func:`fit_pilot`.
    tolerance : float
        The largest slope, in nats for a standard deviation, at which it ends.
    """
    size = task.program.layout.size
    identity = Frame(np.zeros(size), np.ones(size))
    noise = antithetic_normals(task.noise_seed, PILOT_DRAWS, size)
    start = choose_start(task, evaluator, noise).position
    first_frame = Frame(start, np.full(size, START_SCALE))
    optimum = minimize(
        evaluator, first_frame, noise, PILOT_ITERATIONS, lambda _: None, tolerance=tolerance
    )
    if not optimum.is_finite:
        return Pilot(identity, start, np.full(size, START_SCALE))
    if rotated and size <= MAX_DENSE:
        covariance = covariance_or_none(evaluator, optimum, noise)
        if covariance is not None:
            frame = Frame(optimum.mean, np.linalg.cholesky(covariance))
            return Pilot(frame, np.zeros(size), np.ones(size))
    return Pilot(identity, optimum.mean, np.sqrt(optimum.variances))


def rotate_frame(task: Task, frame: Frame, mean: Array, std: Array) -> Frame | None:
    """Return the coordinates of the covariance that other rows give at a mean, None without one.

    The pilot's own coordinates come from its own optimum, where some thousands of rows counted as
    all: their noise is taken for structure, and the scales of a hierarchy are too wide there.

    Parameters
    ----------
    task : Task
        The fit.
    frame : Frame
        The coordinates so far.
    mean, std : ndarray, shape (size,)
        The mean and standard deviations in them that the steps have come to.
    """
    point = IndependentNormal(frame, mean, np.log(std))
    # Another seed of rows than that of the pilot.
    block = pilot_block(task.program, task.feeds, task.row_seed + 1)
    noise = antithetic_normals(task.noise_seed, PILOT_DRAWS, task.program.layout.size)
    covariance = covariance_or_none(Evaluator(task.program, [block]), point, noise)
    return None if covariance is None else Frame(point.mean, np.linalg.cholesky(covariance))
