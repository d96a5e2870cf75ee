"""Deterministic ADVI (Giordano, Ingram and Broderick 2024) on all rows, in two fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.density.non_finite import check_all_rows
from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.linear_response import covariance_or_none
from bayou.fitting.fixed_draws.optimize import (
    MAX_DENSE,
    START_SCALE,
    Optimum,
    StoppedError,
    minimize,
)
from bayou.fitting.fixed_draws.start_choice import choose_start
from bayou.fitting.guides.approximation import Approximation, OtherMode
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.all_rows import all_row_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# Draws of the first fit, which gives coordinates alone, and of the second one, which is returned.
# The error of a mean falls with the square root of their number, and time grows in proportion.
FIRST_DRAWS = 16
FIXED_DRAWS = 128
# First fits, each in the units in which the last one left the bounds of scales. Two of them reach
# from 1e-14 to 1e12.
MAX_UNITS = 2


def first_positions(start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the positions that a fit from a start evaluates first."""
    noise = antithetic_normals(seed, FIRST_DRAWS, len(start))
    positions: NDArray[np.float64] = Frame(start, np.full(len(start), START_SCALE)).positions(noise)
    return positions


def fit_fixed_draws(task: Task, max_iterations: int | None) -> Approximation:
    """Fit on fixed draws, first in the model's coordinates, then in those of the covariance.

    The linear-response covariance of the first fit, on few draws, gives coordinates in which the
    posterior has little correlation left, so that the second fit loses little by independence.

    Parameters
    ----------
    task : Task
        The model and its rows, which must have no obstacle to be evaluated together.
    max_iterations : int or None
        The most iterations of both fits together. None for as many as it takes.

    Returns
    -------
    Approximation
        Independent normals in the coordinates of the second fit.
    """
    losses: list[Array] = []
    interrupted = False
    others: list[OtherMode] = []
    try:
        optimum = _fit_twice(task, max_iterations, losses, others)
    except StoppedError as stopped:
        optimum, interrupted = stopped.optimum, True
        losses.append(optimum.losses)
    all_losses = np.concatenate(losses)
    return Approximation(
        guide=MeanField(),
        params=MeanFieldParams(jnp.asarray(optimum.location), jnp.asarray(optimum.log_scale)),
        frame=optimum.frame,
        elbo=-all_losses,
        rates=np.full(len(all_losses), np.nan),
        converged=optimum.converged,
        reason=optimum.reason,
        interrupted=interrupted,
        other_modes=tuple(others),
    )


def _fit_twice(
    task: Task, max_iterations: int | None, losses: list[Array], others: list[OtherMode]
) -> Optimum:
    """Return the optimum of both fits, and append the losses of each, and other optima."""
    blocks = all_row_blocks(task.program)
    evaluator = Evaluator(task.program, task.counter.counted(blocks))
    size = task.program.layout.size
    noise = antithetic_normals(task.noise_seed, FIXED_DRAWS, size)
    first_noise = antithetic_normals(task.noise_seed, FIRST_DRAWS, size)
    start, other_optima = choose_start(task, evaluator, first_noise)
    others += other_optima
    first_frame = Frame(start, np.full(size, START_SCALE))
    iterations_left = max_iterations
    for _ in range(MAX_UNITS):
        optimum = minimize(evaluator, first_frame, first_noise, iterations_left, task.report)
        losses.append(optimum.losses)
        if not len(optimum.losses):
            # Before the fit, the start was checked on some of the rows only.
            check_all_rows(task.program, start, evaluator.blocks)
        if iterations_left is not None:
            iterations_left -= len(optimum.losses)
        if iterations_left == 0 or not np.isfinite(optimum.mean).all():
            return optimum
        if optimum.is_finite:
            break
        # Prices in cents, lengths in light years: units that are far from 1 are no improper prior.
        first_frame = Frame(optimum.mean, np.sqrt(optimum.variances))
    if not optimum.is_finite:
        return optimum
    try:
        covariance = (
            covariance_or_none(evaluator, optimum, first_noise) if size <= MAX_DENSE else None
        )
        factor = (
            np.sqrt(optimum.variances) if covariance is None else np.linalg.cholesky(covariance)
        )
        second_frame = Frame(optimum.mean, factor)
        optimum = minimize(evaluator, second_frame, noise, iterations_left, task.report)
    except StoppedError:
        raise
    except KeyboardInterrupt:
        reason = f"the keyboard stopped it after {len(optimum.losses)} iterations"
        first = replace(optimum, losses=np.empty(0), converged=False, reason=reason)
        raise StoppedError(first) from None
    losses.append(optimum.losses)
    return optimum
