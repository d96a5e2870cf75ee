"""Stochastic ADVI: pilot, rotation of the coordinates, steps until stable, polish on all rows.

The pilot gives coordinates and a start. After some thousands of steps, new coordinates are computed
at the mean that the steps have come to. Then the rate is halved until that changes the average no
more, or a known number of steps is run. A fit whose rows came in windows (rows that are in memory
together, of a source that is read in order) ends with a polish on all rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import optax

from bayou.density.evaluator import Evaluator
from bayou.density.non_finite import check_all_rows
from bayou.density.prng import noise_key
from bayou.errors import DivergenceError, failure_text, warning_of_failure
from bayou.feeding.feed import ItemFeed
from bayou.feeding.source_batches import windowed_feeds
from bayou.fitting.fixed_draws.optimize import MAX_DENSE
from bayou.fitting.fixed_draws.pilot import fit_pilot, rotate_frame
from bayou.fitting.guides.approximation import Approximation
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.low_rank import LowRank
from bayou.fitting.guides.mean_field import MeanField
from bayou.fitting.guides.moments import covariance_frame, position_moments
from bayou.fitting.rows.all_rows import (
    all_row_blocks,
    all_rows_obstacle,
    num_all_rows,
    resident_rows_obstacle,
)
from bayou.fitting.rows.device import device_memory, gather_on_device, take_all_rows
from bayou.fitting.rows.feeds import leading_batch_size
from bayou.fitting.rows.step_inputs import StepInputs
from bayou.fitting.stochastic.fit_state import FitState
from bayou.fitting.stochastic.full_data_polish import polish
from bayou.fitting.stochastic.schedule import (
    SEARCH_STEPS,
    UNSEARCHED_RATE,
    Stepper,
    Stop,
    check_stop,
    run_fixed,
    run_until_stable,
    search_rate,
)
from bayou.fitting.stochastic.steps import Recipe, average_row_normals, init_state, run_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.rows.task import Task
    from bayou.fitting.stochastic.checkpoint import Checkpoint
    from bayou.fitting.stochastic.distributed import DistributedRun
    from bayou.fitting.stochastic.steps import Chunk

    type Array = NDArray[np.float64]

ADAM = optax.chain(optax.scale_by_adam(), optax.scale(-1.0))
# Steps before new coordinates are computed: enough to leave the optimum of the pilot.
APPROACH_STEPS = 4096
# The path of a fit has all elements of the position up to MAX_PATH of them, else the SHORT_PATH
# that moved most, so that a picture of it can be read.
MAX_PATH = 200
SHORT_PATH = 20


def fit_stochastic(
    task: Task,
    guide: Guide,
    num_steps: int | None,
    num_particles: int,
    optimizer: optax.GradientTransformation | None,
    tolerance: float,
    rotated: bool,
    checkpoint: Checkpoint | None = None,
    distributed: DistributedRun | None = None,
) -> Approximation:
    """Fit step by step, from a pilot fit on some thousands of rows.

    Parameters
    ----------
    task : Task
        The model, its rows, the start and the seeds.
    guide : Guide
        The family.
    num_steps : int or None
        None to stop when the approximation is stable.
    num_particles : int
        Monte Carlo draws per gradient step.
    optimizer : optax.GradientTransformation or None
        None for Adam at a rate that is searched for.
    tolerance : float
        See :func:`bayou.fitting.stochastic.schedule.run_until_stable`.
    rotated : bool
        Whether the guide is over the coordinates of the pilot's covariance, where there is one.
    checkpoint : Checkpoint, optional
        The file that the progress is written to and resumed from.
    distributed : DistributedRun, optional
        Runs the steps on the workers of a cluster. By default they run in this process.

    Returns
    -------
    Approximation
    """
    pilot = fit_pilot(task, rotated)
    recipe = Recipe(guide, optimizer or ADAM, num_particles)
    params = guide.init(jnp.asarray(pilot.location), jnp.asarray(pilot.scale))
    inputs = StepInputs(task.feeds, task.program.data_values(), noise_key(task.noise_seed))
    if task.program.feeds_all_rows and task.program.fed:
        inputs = take_all_rows(task.program, inputs)
    progress = FitState(pilot.frame, init_state(recipe, params, pilot.latent))
    stepper = Stepper(
        program=task.program,
        recipe=recipe,
        inputs=inputs if distributed else gather_on_device(inputs, device_memory()),
        report=task.report,
        after_chunk=_ignore if checkpoint is None else checkpoint.write_if_due,
        recorded=_recorded_chunks(checkpoint, progress, inputs),
        run=distributed or run_steps,
    )
    rate = 1.0
    if optimizer is None:
        is_short = num_steps is not None and num_steps < SEARCH_STEPS
        rate = UNSEARCHED_RATE if is_short else search_rate(stepper, progress)
    has_covariance = rotated and isinstance(guide, FullRank | LowRank)
    guided = has_covariance and task.program.layout.size <= MAX_DENSE
    stop = _run(task, stepper, progress, rate, num_steps, tolerance, guided=guided)
    if checkpoint is not None:
        with warning_of_failure(
            f"The end of the fit is not in the checkpoint {str(checkpoint.path)!r}",
            "the fit itself is complete; keep it with fit.save(path).",
        ):
            checkpoint.write(progress)
    if not stop.interrupted and windowed_feeds(task.feeds):
        stop = _polish_windows(task, guide, progress.frame, stop, tolerance)
    task.counter.passes += progress.num_steps * _part_of_step(task)
    stop = _check(stepper, progress, stop)
    path, elements = _path(guide, progress.frame, progress.path, stop.params)
    return Approximation(
        guide=guide,
        params=stop.params,
        frame=progress.frame,
        elbo=np.concatenate(progress.elbo),
        rates=np.concatenate(progress.rates),
        converged=stop.converged,
        reason=stop.reason,
        path=path,
        path_steps=np.cumsum(progress.counts),
        path_elements=elements,
        latent=average_row_normals(task.program, recipe, progress.state),
        interrupted=stop.interrupted,
    )


def _part_of_step(task: Task) -> float:
    """Return the part of all rows that a step takes; nan for rows without a number."""
    if task.program.feeds_all_rows or not task.feeds:
        return 1.0
    sizes = [leading_batch_size(feed) for feed in task.feeds]
    known_sizes = [size for size in sizes if size is not None]
    if len(known_sizes) < len(sizes):
        return np.nan
    return max(known_sizes) / num_all_rows(task.program)


def _ignore(_: FitState) -> None:
    """Write nothing, without a checkpoint."""


def _recorded_chunks(
    checkpoint: Checkpoint | None, progress: FitState, inputs: StepInputs
) -> Iterator[Chunk]:
    """Return the chunks of an earlier run, and skip the items of generators that it consumed."""
    if checkpoint is None or checkpoint.recorded is None:
        return iter(())
    for feed in inputs.feeds:
        if isinstance(feed, ItemFeed):
            feed.skip(int(checkpoint.recorded["counts"].sum()))
    return progress.chunks_of(checkpoint.recorded)


def _run(
    task: Task,
    stepper: Stepper,
    progress: FitState,
    rate: float,
    num_steps: int | None,
    tolerance: float,
    *,
    guided: bool,
) -> Stop:
    """Run all steps, or those up to an interruption.

    With ``guided``, new coordinates are computed even if the pilot gave none of a covariance.
    """
    approach = APPROACH_STEPS if num_steps is None else min(APPROACH_STEPS, num_steps // 4)
    try:
        is_dense = progress.frame.factor.ndim == 2
        if (is_dense or guided) and approach >= SEARCH_STEPS:
            stepper.advance(progress, np.full(approach, rate))
            _rotate(task, stepper.recipe, progress)
        if num_steps is None:
            return run_until_stable(stepper, progress, rate, tolerance)
        average = run_fixed(stepper, progress, rate, num_steps - progress.num_steps)
        return Stop(average, None, f"{num_steps} steps were asked for")
    except DivergenceError:
        # Rows outside of the support diverge at the step that first takes them.
        if resident_rows_obstacle(task.program) is None:
            check_all_rows(task.program, task.start, all_row_blocks(task.program))
        raise
    except (KeyboardInterrupt, StopIteration) as interruption:
        if not progress.means:
            raise
        by_whom = "a callback" if isinstance(interruption, StopIteration) else "the keyboard"
        reason = f"{by_whom} stopped it after {progress.num_steps} steps"
        return Stop(progress.current_average(), False, reason, interrupted=True)


def _check(stepper: Stepper, progress: FitState, stop: Stop) -> Stop:
    """Check the result; Ctrl-C leaves it, unchecked."""
    try:
        return check_stop(stepper, progress, stop)
    except KeyboardInterrupt:
        reason = "the keyboard stopped it before its ELBO was checked"
        return replace(stop, converged=False, reason=reason, interrupted=True)


def _rotate(task: Task, recipe: Recipe, progress: FitState) -> None:
    """Continue from a standard normal in new coordinates, if there are any.

    They are those of the covariance that other rows give; or, in coordinates without a covariance,
    those of the guide's own.
    """
    params, guide = progress.current_average(), recipe.guide
    if progress.frame.factor.ndim == 1 and isinstance(guide, FullRank | LowRank):
        frame: Frame | None = covariance_frame(guide, params, progress.frame)
    else:
        mean, std = np.asarray(guide.mean(params)), np.asarray(guide.std(params))
        frame = rotate_frame(task, progress.frame, mean, std)
    if frame is not None:
        size = task.program.layout.size
        standard = guide.init(jnp.zeros(size), jnp.ones(size))
        progress.restart(frame, init_state(recipe, standard)._replace(latent=progress.state.latent))


def _polish_windows(task: Task, guide: Guide, frame: Frame, stop: Stop, tolerance: float) -> Stop:
    """Polish the result of windowed rows on all rows, if they can be evaluated together."""
    # The memory of the windows is free for the blocks of all rows.
    for feed in windowed_feeds(task.feeds):
        feed.close()
    obstacle = all_rows_obstacle(task.program)
    if obstacle is None and not isinstance(guide, MeanField | FullRank):
        obstacle = f"the guide is {guide}"
    if obstacle is not None:
        reason = f"rows came in windows, and no pass over all of them could settle it: {obstacle}"
        return replace(stop, converged=False, reason=reason)
    try:
        blocks = task.counter.counted(all_row_blocks(task.program))
        evaluator = Evaluator(task.program, blocks)
        params = polish(evaluator, frame, stop.params, task.noise_seed, tolerance)
    # The steps are done: whatever reads or computes all rows together must not cost them.
    except (KeyboardInterrupt, Exception) as error:
        by_keyboard = isinstance(error, KeyboardInterrupt)
        cause = "the keyboard stopped it" if by_keyboard else f"it ended by {failure_text(error)}"
        reason = f"{cause} before it was settled on all rows"
        return replace(stop, converged=False, reason=reason, interrupted=by_keyboard)
    if params is None:
        reason = "all rows together do not agree with where their windows led to"
        return replace(stop, converged=False, reason=reason)
    reason = "the gradient of all rows vanished" if stop.converged is False else stop.reason
    return replace(stop, params=params, converged=True, reason=reason)


def _path(
    guide: Guide, frame: Frame, positions: list[Array], final: Params
) -> tuple[Array, NDArray[np.int64]]:
    """Return the path of a fit, shape (num_chunks, num_elements), and the numbers of its elements.

    Positions are distances from the final mean, in final standard deviations.
    """
    end, std = position_moments(guide, final, frame)
    path = (np.stack(positions) - end) / std
    elements = np.arange(path.shape[1])
    if len(elements) > MAX_PATH:
        elements = np.sort(np.argsort(-np.ptp(path, axis=0), kind="stable")[:SHORT_PATH])
    return path[:, elements], elements
