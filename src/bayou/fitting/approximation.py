"""How an approximation is found: which optimiser, from which start, in which coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import optax

from bayou.density.evaluator import Evaluator
from bayou.density.prng import noise_key
from bayou.feeding.feed import ItemFeed
from bayou.feeding.source_feed import windowed
from bayou.fitting.fixed_draws.linear_response import linear_response
from bayou.fitting.fixed_draws.optimise import (
    Optimum,
    minimise,
    opposite_pairs,
    opposite_signs,
)
from bayou.fitting.fixed_draws.row_variables import latent_response, latent_start
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.full_rank import FullRank
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.rows.feeds import (
    of_all_rows,
    on_device,
    pilot_block,
    whole_blocks,
    whole_size,
    why_not_whole,
)
from bayou.fitting.stochastic.full_data_polish import settled
from bayou.fitting.stochastic.schedule import (
    SEARCH_STEPS,
    UNSEARCHED_RATE,
    Progress,
    Stepper,
    Stop,
    run_fixed,
    run_until_stable,
    search_rate,
)
from bayou.fitting.stochastic.steps import Feeding, Recipe, init_state, latent_average, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bayou.density.evaluator import Array
    from bayou.density.program import Program
    from bayou.feeding.feed import Feed
    from bayou.fitting.checkpoint import Checkpoint
    from bayou.fitting.guides import Guide, Params
    from bayou.fitting.stochastic.distributed import SharedRun
    from bayou.fitting.stochastic.steps import Chunk

ADAM = optax.chain(optax.scale_by_adam(), optax.scale(-1.0))
START_SCALE = 0.1
# The first fit on fixed draws finds coordinates, and the second one the approximation.
FIRST_DRAWS = 16
FIXED_DRAWS = 128
PILOT_DRAWS = 8
PILOT_ITERATIONS = 100
APPROACH_STEPS = 4096
# The path of a fit keeps all elements up to the one number, else as many as the other.
MAX_PATH = 200
SHORT_PATH = 20
# With more elements than this, dense matrices of size x size are left out.
MAX_DENSE = 512
# What a correction may cost unless it is asked for: draws times elements times numbers of the data.
CORRECTION_WORK = 2e8


@dataclass(frozen=True)
class Task:
    """What is to be fitted, from where, and what decides its randomness.

    Attributes
    ----------
    program : Program
        The model.
    start : ndarray, shape (size,)
        The position to start from.
    noise_seed, row_seed : int
        Decide the noise and the rows.
    feeds : sequence of Feed
        Together they fill ``program.fed``.
    report : callable
        Told the losses of steps as they are done; a StopIteration from it ends the fit there.
    checkpoint : Checkpoint or None
        Where a stochastic fit is kept.
    recorded : dict of str to ndarray, or None
        What an earlier run kept there, to go on from.
    shared : SharedRun or None
        What has the workers of a cluster do the steps of a stochastic fit.
    """

    program: Program
    start: Array
    noise_seed: int
    row_seed: int
    feeds: Sequence[Feed]
    report: Callable[[Array], None]
    checkpoint: Checkpoint | None = None
    recorded: dict[str, Array] | None = None
    shared: SharedRun | None = None

    def keep(self, progress: Progress) -> None:
        """Write the progress to the checkpoint, if there is one and it is time to."""
        if self.checkpoint is not None:
            self.checkpoint.keep(progress)


@dataclass(frozen=True)
class Approximation:
    """A distribution over positions, and how the fit came to it.

    Attributes
    ----------
    guide, params : Guide and its parameters
        The distribution of the coordinates.
    frame : Frame
        The coordinates.
    elbo : ndarray, shape (num_steps,)
        What each step estimated, in nats.
    rates : ndarray, shape (num_steps,)
        The rate of each step; nan where a line search chose it.
    converged : bool
        Whether the fit was stable at its end.
    reason : str
        Why it ended.
    correction : str or None
        "linear_response" where the standard deviations are corrected.
    path : ndarray, shape (num_chunks, num_elements), or None
        The mean position in each chunk of a stochastic fit, from the mean that it ended with, in
        its standard deviations.
    path_steps : ndarray of int, shape (num_chunks,), or None
        The number of steps that were done at the end of each chunk.
    path_elements : ndarray of int, shape (num_elements,), or None
        The elements in the path: all, or those that moved most where there are many.
    latent : MeanFieldParams or None, shapes (num_rows, size)
        The normals of the latent variables of each row.
    """

    guide: Guide
    params: Params
    frame: Frame
    elbo: Array
    rates: Array
    converged: bool
    reason: str
    correction: str | None = None
    path: Array | None = None
    path_steps: NDArray[np.int64] | None = None
    path_elements: NDArray[np.int64] | None = None
    latent: MeanFieldParams | None = None


def fit_fixed_draws(task: Task, max_iterations: int | None) -> Approximation:
    """Fit on fixed draws: first in the model's own coordinates, then in those that this finds.

    The linear-response covariance of the first fit, on few draws, gives coordinates in which the
    posterior has little correlation left, so that the second one loses little by independence.
    """
    blocks = whole_blocks(task.program)
    assert blocks is not None
    evaluator = Evaluator(task.program, blocks)
    size = task.program.layout.size
    noise = opposite_pairs(task.noise_seed, FIXED_DRAWS, size)
    few = opposite_pairs(task.noise_seed, FIRST_DRAWS, size)
    optimum = minimise(evaluator, _first_frame(task), few, max_iterations, task.report)
    losses = optimum.losses
    left = None if max_iterations is None else max_iterations - len(losses)
    if left != 0 and optimum.is_finite:
        covariance = linear_response(evaluator, optimum, few) if size <= MAX_DENSE else None
        factor = (
            np.sqrt(optimum.variances) if covariance is None else np.linalg.cholesky(covariance)
        )
        optimum = minimise(evaluator, Frame(optimum.mean, factor), noise, left, task.report)
        losses = np.concatenate([losses, optimum.losses])
    return Approximation(
        guide=MeanField(),
        params=MeanFieldParams(jnp.asarray(optimum.location), jnp.asarray(optimum.log_scale)),
        frame=optimum.frame,
        elbo=-losses,
        rates=np.full(len(losses), np.nan),
        converged=optimum.converged,
        reason=optimum.reason,
    )


def fit_stochastic(
    task: Task,
    guide: Guide,
    num_steps: int | None,
    num_particles: int,
    optimiser: optax.GradientTransformation | None,
    tolerance: float,
    rotated: bool,
) -> Approximation:
    """Fit step by step, from a pilot fit on some thousands of rows.

    Parameters
    ----------
    task : Task
    guide : Guide
        The family.
    num_steps : int or None
        None to stop when the approximation is stable.
    num_particles : int
        Draws of the guide in a step.
    optimiser : optax.GradientTransformation or None
        None for Adam at a rate that is searched for.
    tolerance : float
        See :func:`bayou.fitting.stochastic.schedule.run_until_stable`.
    rotated : bool
        Whether the guide is over the coordinates of the pilot's covariance, where there is one.
    """
    frame, position, scale, latent = _pilot(task, rotated)
    recipe = Recipe(guide, optimiser or ADAM, num_particles)
    params = guide.init(jnp.asarray(position), jnp.asarray(scale))
    feeding = Feeding(task.feeds, task.program.data_values(), noise_key(task.noise_seed))
    if task.program.feeds_all_rows and task.program.fed:
        feeding = of_all_rows(task.program, feeding)
    progress = Progress(frame, init_state(recipe, params, latent))
    recorded: Iterator[Chunk] = iter(())
    if task.recorded is not None:
        recorded = progress.recorded(task.recorded)
        for feed in feeding.feeds:
            if isinstance(feed, ItemFeed):
                feed.skip(int(task.recorded["counts"].sum()))
    stepper = Stepper(
        program=task.program,
        recipe=recipe,
        feeding=feeding if task.shared else on_device(feeding),
        report=task.report,
        keep=task.keep,
        recorded=recorded,
        run=task.shared or run,
    )
    rate = 1.0
    if optimiser is None:
        short = num_steps is not None and num_steps < SEARCH_STEPS
        rate = UNSEARCHED_RATE if short else search_rate(stepper, progress)
    stop = _run(task, stepper, progress, rate, num_steps, tolerance)
    if task.checkpoint is not None:
        task.checkpoint.keep(progress, now=True)
    if not stop.interrupted:
        stop = _over_windows(task, guide, progress.frame, stop, tolerance)
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
        latent=_latent_average(task.program, recipe, progress),
    )


def _run(
    task: Task,
    stepper: Stepper,
    progress: Progress,
    rate: float,
    num_steps: int | None,
    tolerance: float,
) -> Stop:
    """Run all steps, or those up to an interruption."""
    approach = APPROACH_STEPS if num_steps is None else min(APPROACH_STEPS, num_steps // 4)
    try:
        if progress.frame.factor.ndim == 2 and approach >= SEARCH_STEPS:
            stepper.advance(progress, np.full(approach, rate))
            _turn(task, stepper.recipe, progress)
        if num_steps is None:
            return run_until_stable(stepper, progress, rate, tolerance)
        average = run_fixed(stepper, progress, rate, num_steps - progress.num_steps)
        return Stop(average, True, f"{num_steps} steps were asked for")
    except (KeyboardInterrupt, StopIteration) as interruption:
        if not progress.means:
            raise
        by_whom = "a callback" if isinstance(interruption, StopIteration) else "the keyboard"
        reason = f"{by_whom} stopped it after {progress.num_steps} steps"
        return Stop(progress.settled(), False, reason, interrupted=True)


def _over_windows(task: Task, guide: Guide, frame: Frame, stop: Stop, tolerance: float) -> Stop:
    """Settle what rows in windows led to, where all rows can be had and the guide is known."""
    streams = windowed(task.feeds)
    if not streams:
        return stop
    # Their rows make way for the blocks of all rows.
    for feed in streams:
        feed.close()
    blocks = whole_blocks(task.program)
    if blocks is None or not isinstance(guide, MeanField | FullRank):
        why = why_not_whole(task.program) or f"the guide is {guide}"
        reason = f"rows came in windows, and no pass over all of them could settle it: {why}"
        return replace(stop, converged=False, reason=reason)
    evaluator = Evaluator(task.program, blocks)
    try:
        params = settled(evaluator, frame, stop.params, task.noise_seed, tolerance)
    except KeyboardInterrupt:
        reason = "the keyboard stopped it before it was settled on all rows"
        return replace(stop, converged=False, reason=reason)
    if params is not None:
        reason = stop.reason if stop.converged else "the gradient of all rows vanished"
        return replace(stop, params=params, converged=True, reason=reason)
    reason = "all rows together do not agree with where their windows led to"
    return replace(stop, converged=False, reason=reason)


def corrected(task: Task, approximation: Approximation, required: bool) -> Approximation:
    """Return the approximation with linear-response standard deviations, where that can be had.

    The means of variables that are fitted on the log scale stay what they were without the
    correction: there a wider normal would raise them.

    Raises
    ------
    ValueError
        If the correction is required and cannot be had.
    """
    program = task.program
    if not required and (not approximation.converged or _obstacle(program, approximation.guide)):
        return approximation
    if approximation.latent is not None:
        return _corrected_latent(task, approximation, approximation.latent, required)
    blocks = whole_blocks(program)
    assert blocks is not None
    size = program.layout.size
    draws = int(min(FIXED_DRAWS, CORRECTION_WORK // (size * whole_size(program)) // 2 * 2))
    if draws < 2 and not required:
        return approximation
    optimum = Optimum(
        approximation.frame,
        np.asarray(approximation.params.location, dtype=np.float64),
        np.asarray(approximation.params.log_scale, dtype=np.float64),
        -approximation.elbo,
        approximation.converged,
        approximation.reason,
    )
    draw = opposite_pairs if draws == FIXED_DRAWS else opposite_signs
    noise = draw(task.noise_seed, max(draws, 2), size)
    covariance = linear_response(Evaluator(program, blocks), optimum, noise)
    if covariance is not None:
        return _with_covariance(program, approximation, optimum, covariance)
    return _uncorrected(approximation, required)


def _uncorrected(approximation: Approximation, required: bool) -> Approximation:
    if required:
        raise ValueError(
            '`correction="linear_response"` cannot be had: the loss has no minimum where the fit '
            'ended.\nHint: leave `correction="auto"`, which corrects where it can.'
        )
    return approximation


def _corrected_latent(
    task: Task, approximation: Approximation, latent: MeanFieldParams, required: bool
) -> Approximation:
    """Correct the normals of the position and of the rows."""
    program, frame, params = task.program, approximation.frame, approximation.params
    work = 2 * FIRST_DRAWS * program.layout.size * latent.location.size
    if work > CORRECTION_WORK and not required:
        return approximation
    found = latent_response(program, frame, params, latent, task.noise_seed)
    if found is None:
        return _uncorrected(approximation, required)
    covariance, variances = found
    optimum = Optimum(
        frame, np.asarray(params.location), np.asarray(params.log_scale), np.zeros(0), True, ""
    )
    log_scale = np.asarray(latent.log_scale)
    shift = np.where(program.latent_layout.is_log, (np.exp(2 * log_scale) - variances) / 2, 0.0)
    of_rows = MeanFieldParams(latent.location + shift, jnp.log(jnp.asarray(variances)) / 2)
    corrected_one = _with_covariance(program, approximation, optimum, covariance)
    return replace(corrected_one, latent=of_rows)


def check_correctable(program: Program, guide: Guide) -> None:
    """Refuse a correction that cannot be had, before the fit.

    Raises
    ------
    ValueError
        Says what stands against it.
    """
    obstacle = _obstacle(program, guide)
    if obstacle:
        raise ValueError(
            f'`correction="linear_response"` cannot be had: {obstacle}.\n'
            'Hint: leave `correction="auto"`, which corrects where it can.'
        )


def _obstacle(program: Program, guide: Guide) -> str | None:
    size = program.layout.size
    if not isinstance(guide, MeanField):
        return f"the guide is {guide}, and it corrects independent normals"
    reason = None if program.latent is not None else why_not_whole(program)
    if reason:
        return f"{reason}, and it needs the density of all rows"
    if size > 10 * MAX_DENSE:
        return f"the model has {size} elements, and it takes matrices of {size} x {size}"
    return None


def _with_covariance(
    program: Program, approximation: Approximation, optimum: Optimum, covariance: Array
) -> Approximation:
    old, new = optimum.variances, np.diag(covariance)
    shift = np.where(program.layout.is_log, (old - new) / 2, 0.0)
    standard = MeanFieldParams(jnp.zeros(len(shift)), jnp.zeros(len(shift)))
    frame = Frame(optimum.mean + shift, np.linalg.cholesky(covariance))
    return replace(approximation, params=standard, frame=frame, correction="linear_response")


def _latent_average(program: Program, recipe: Recipe, progress: Progress) -> MeanFieldParams | None:
    if progress.state.latent is None:
        return None
    return latent_average(recipe, progress.state, program.latent_layout.size)


def _path(
    guide: Guide, frame: Frame, positions: list[Array], final: Params
) -> tuple[Array, NDArray[np.int64]]:
    """Return the path of a fit and the elements that it is of."""
    end = frame.positions(np.asarray(guide.mean(final)))
    path = (np.stack(positions) - end) / frame.stds(np.asarray(guide.std(final)))
    elements = np.arange(path.shape[1])
    if len(elements) > MAX_PATH:
        elements = np.sort(np.argsort(-np.ptp(path, axis=0), kind="stable")[:SHORT_PATH])
    return path[:, elements], elements


def _turn(task: Task, recipe: Recipe, progress: Progress) -> None:
    """Go on in the coordinates that other rows have where the steps have come to.

    Those of the pilot come from its own optimum, where some thousands of rows counted as all: their
    noise is taken for structure, and the scales of a hierarchy are too wide there.
    """
    params, frame = progress.settled(), progress.frame
    size = task.program.layout.size
    here = Optimum(
        frame, np.asarray(recipe.guide.mean(params)), np.log(np.asarray(recipe.guide.std(params))),
        np.zeros(0), True, "",
    )  # fmt: skip
    block = pilot_block(task.program, task.feeds, task.row_seed + 1)
    noise = opposite_pairs(task.noise_seed, PILOT_DRAWS, size)
    covariance = linear_response(Evaluator(task.program, [block]), here, noise)
    if covariance is None:
        return
    turned = Frame(here.mean, np.linalg.cholesky(covariance))
    params = recipe.guide.init(jnp.zeros(size), jnp.ones(size))
    progress.restart(turned, init_state(recipe, params))


def _first_frame(task: Task) -> Frame:
    return Frame(task.start, np.full(len(task.start), START_SCALE))


def _pilot(task: Task, rotated: bool) -> tuple[Frame, Array, Array, MeanFieldParams | None]:
    """Return the coordinates to fit in, and where in them to start: location and scale."""
    block = pilot_block(task.program, task.feeds, task.row_seed)
    if task.program.latent is not None:
        size = task.program.layout.size
        begin = latent_start(task.program, task.start, block, task.noise_seed)
        return Frame(np.zeros(size), np.ones(size)), *begin
    evaluator = Evaluator(task.program, [block])
    size = task.program.layout.size
    noise = opposite_pairs(task.noise_seed, PILOT_DRAWS, size)
    optimum = minimise(evaluator, _first_frame(task), noise, PILOT_ITERATIONS, lambda _: None)
    if not optimum.is_finite:
        identity = Frame(np.zeros(size), np.ones(size))
        return identity, task.start, np.full(size, START_SCALE), None
    if rotated and size <= MAX_DENSE:
        covariance = linear_response(evaluator, optimum, noise)
        if covariance is not None:
            frame = Frame(optimum.mean, np.linalg.cholesky(covariance))
            return frame, np.zeros(size), np.ones(size), None
    identity = Frame(np.zeros(size), np.ones(size))
    return identity, optimum.mean, np.sqrt(optimum.variances), None
