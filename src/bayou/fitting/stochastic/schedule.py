"""The schedule of a stochastic fit: the rates of its steps, the averages, and when it stops.

Robust, automated and accurate black-box variational inference (Welandawe, Andersen, Vehtari and
Huggins 2022): the rate is constant until the iterates are stationary and their average is known
well, then halved, until halving changes the average no more. In coordinates where the posterior is
nearly a standard normal, rates have a natural size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from bayou.feeding.feed import ItemFeed
from bayou.feeding.source_batches import windowed_feeds
from bayou.fitting.guides.moments import position_moments
from bayou.fitting.stochastic.elbo_level import (
    LEVEL_STEPS,
    best_level,
    excess_entropy,
    is_far_below,
    level_of,
)
from bayou.fitting.stochastic.fit_state import FitState
from bayou.fitting.stochastic.steps import init_state, run_steps
from bayou.models.inputs import sampling_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bayou.density.program import Program
    from bayou.fitting.guides import Params
    from bayou.fitting.guides.coordinates import Frame
    from bayou.fitting.rows.step_inputs import StepInputs
    from bayou.fitting.stochastic.steps import Chunk, Recipe, StepState

    type Array = NDArray[np.float64]

# The rates that the search tries, the largest first (Agrawal, Sheldon and Domke 2020).
RATES = (0.05, 0.0125, 0.003125)
# The rate without a search: between the two largest, for fits that are too short to try several, or
# whose rows come only once.
UNSEARCHED_RATE = 0.025
# The steps of a trial of a rate: one chunk, of which the later half counts.
SEARCH_STEPS = 512
# Steps at each rate before its average is looked at, and the most of them: fewer stop too early,
# more cost time at a rate that a lower one replaces.
FIRST_STEPS = 8192
RATE_STEPS = 16384
# The Monte Carlo error of an average is estimated from the means of so many batches of chunks.
NUM_BATCHES = 4
# The last rate is then a thousandth of the first one.
MAX_HALVINGS = 10
# The fewest and the most steps that evaluate a result: fewer give no median.
CHECK_STEPS = (32, LEVEL_STEPS)
# Visits of each row, at each rate, to the variables with a value for each row.
LATENT_EPOCHS = 40


@dataclass(frozen=True)
class Stepper:
    """The runner of the steps of one fit.

    Attributes
    ----------
    program : Program
        The model.
    recipe : Recipe
        The guide and the optimizer.
    inputs : StepInputs
        The rows and the noise.
    report : callable
        Called with the losses of each new chunk, in nats.
    after_chunk : callable
        Called with the progress after each new chunk.
    recorded : iterator of Chunk
        The chunks of an earlier run, which are taken before new ones are run.
    run : callable
        Runs new chunks: :func:`bayou.fitting.stochastic.steps.run_steps`, or a
        :class:`bayou.fitting.stochastic.distributed.DistributedRun`.
    """

    program: Program
    recipe: Recipe
    inputs: StepInputs
    report: Callable[[Array], None]
    after_chunk: Callable[[FitState], None]
    recorded: Iterator[Chunk]
    run: Callable[..., Iterator[Chunk]] = run_steps

    @property
    def min_steps(self) -> int:
        """The fewest steps at a rate until variables with a value for each row are stationary."""
        latent = self.program.latent
        if latent is None:
            return 0
        [sample] = sampling_of(latent.numbers)
        return LATENT_EPOCHS * latent.num_rows // sample.size

    @property
    def has_like_rows(self) -> bool:
        """Whether any steps have rows like those of others, so that their ELBOs compare.

        Those of a window or of a generator may differ from others, for instance if rows are sorted.
        """
        feeds = self.inputs.feeds
        return not windowed_feeds(feeds) and not any(isinstance(feed, ItemFeed) for feed in feeds)

    def silent(self) -> Stepper:
        """Return a stepper whose steps are neither reported nor written."""
        return replace(self, report=_ignore, after_chunk=_ignore, recorded=iter(()))

    def advance(self, progress: FitState, rates: Array) -> None:
        """Run a step for each rate, or take it from the chunks of an earlier run."""
        done = 0
        while done < len(rates) and (chunk := next(self.recorded, None)) is not None:
            self._add(progress, chunk, rates[done:])
            done += len(chunk.losses)
        chunks = self.run(
            self.program, self.recipe, progress.frame, self.inputs, progress.state, rates[done:],
            progress.num_steps,
        )  # fmt: skip
        for chunk in chunks:
            self._add(progress, chunk, rates[done:])
            done += len(chunk.losses)
            self.report(chunk.losses)
            self.after_chunk(progress)

    def _add(self, progress: FitState, chunk: Chunk, rates: Array) -> None:
        coordinates = np.asarray(self.recipe.guide.mean(chunk.mean))
        progress.add(chunk, rates[: len(chunk.losses)], coordinates)


def _ignore(_: object) -> None:
    """Report nothing and write nothing, in trials."""


def search_rate(stepper: Stepper, start: FitState) -> float:
    """Return the largest rate that lowers the loss about as well as any other.

    Each rate runs some steps from the same state on the same rows. A loss within half a nat per
    element of the smallest counts as equal: iterates at a large rate swing more, and averaging
    removes that. Items of a generator come only once, so a middle rate is taken without a search.
    """
    if any(isinstance(feed, ItemFeed) for feed in stepper.inputs.feeds):
        return UNSEARCHED_RATE
    trial_stepper = stepper.silent()
    losses = {}
    for rate in RATES:
        trial = FitState(start.frame, start.state.copy())
        try:
            trial_stepper.advance(trial, np.full(SEARCH_STEPS, rate))
        except FloatingPointError:  # A DivergenceError: the rate is too large.
            continue
        losses[rate] = float(np.mean(np.concatenate(trial.losses)[SEARCH_STEPS // 2 :]))
    if not losses:
        return RATES[-1]
    slack = 0.5 * stepper.program.layout.size
    return next(rate for rate, loss in losses.items() if loss <= min(losses.values()) + slack)


def fixed_rates(num_steps: int, rate: float) -> Array:
    """Return the rates of a fit of known length: constant, then along a cosine to zero."""
    share = np.arange(num_steps) / num_steps
    return rate * np.where(share < 0.5, 1.0, (1 + np.cos(np.pi * (2 * share - 1))) / 2)


def run_fixed(stepper: Stepper, progress: FitState, rate: float, num_steps: int) -> Params:
    """Run a known number of steps, and return the average of the last quarter."""
    rates = fixed_rates(num_steps, rate)
    tail = 3 * num_steps // 4
    stepper.advance(progress, rates[:tail])
    since = len(progress.means)
    stepper.advance(progress, rates[tail:])
    return progress.average(since)


@dataclass(frozen=True)
class Stop:
    """The average that a fit ended with, and why it ended.

    Attributes
    ----------
    params : pytree
        The averaged parameters.
    converged : bool or None
        True if the stopping rule was met, False if not, None if no rule was applied.
    reason : str
        Why the fit ended.
    interrupted : bool
        Whether a callback or Ctrl-C ended it.
    """

    params: Params
    converged: bool | None
    reason: str
    interrupted: bool = False


def run_until_stable(stepper: Stepper, progress: FitState, rate: float, tolerance: float) -> Stop:
    """Halve the rate until that changes the average by less than ``tolerance``.

    Parameters
    ----------
    stepper : Stepper
        Runs the steps.
    progress : FitState
        The state to start from; updated.
    rate : float
        The first rate.
    tolerance : float
        The root mean square, over the elements, of the change in standard deviations: the square
        root of the symmetrised Kullback-Leibler divergence for an element.

    Returns
    -------
    Stop
    """
    average: Params = None
    for halving in range(MAX_HALVINGS):
        previous, begin = average, len(progress.means)
        average, is_precise = _average_at(stepper, progress, rate * 0.5**halving, tolerance)
        if stepper.has_like_rows and _has_fallen(progress, begin, stepper.program.layout.size):
            _return_to_best(stepper, progress)
            average = None
        if previous is None or average is None:
            continue
        change = _change(stepper, progress.frame, previous, average)
        if is_precise and change < tolerance:
            return Stop(average, True, f"halving the rate moved it by {change:.2g} sd")
    if average is None:
        average = progress.state.params
    return Stop(average, False, f"halving the rate {MAX_HALVINGS} times moved it to the end")


def _has_fallen(progress: FitState, begin: int, size: int) -> bool:
    """Return whether the ELBO is far below its best, in the later half of the chunks from a number.

    The best is that of all chunks in the present coordinates.
    """
    later = np.concatenate(progress.elbo[begin + (len(progress.elbo) - begin) // 2 :])
    _, best = best_level(np.concatenate(progress.elbo[progress.first :]))
    return is_far_below(level_of(later), best, size)


def _return_to_best(stepper: Stepper, progress: FitState) -> None:
    """Continue from the average of the steps with the best ELBO, since the rate was too large."""
    end_step, _ = best_level(np.concatenate(progress.elbo[progress.first :]))
    ends = np.cumsum(progress.counts[progress.first :])
    inside = progress.first + np.flatnonzero((ends > end_step - LEVEL_STEPS) & (ends <= end_step))
    # A chunk may be longer than the steps of a level, and then holds them.
    first, last = (inside[0], inside[-1]) if inside.size else (progress.first, progress.first)
    params = progress.average(int(first), int(last) + 1)
    progress.state = _state_at(stepper, params, progress.state.latent)


def _state_at(stepper: Stepper, params: Params, latent: jax.Array | None) -> StepState:
    """Return the state of steps that begin at averaged parameters."""
    # Arrays of JAX, since arrays of NumPy would be traced again.
    state = init_state(stepper.recipe, jax.tree.map(jnp.asarray, params))
    return state._replace(latent=latent)


def check_stop(stepper: Stepper, progress: FitState, stop: Stop) -> Stop:
    """Return a stop that is not converged if the ELBO of its result cannot be or fell far.

    The result is evaluated in steps of rate 0: with fresh draws and rows, by the program of the
    steps. They are a twentieth of the steps, within ``CHECK_STEPS``.

    Parameters
    ----------
    stepper : Stepper
        The steps of the fit.
    progress : FitState
        Its record; unchanged.
    stop : Stop
        The result, and why the fit ended with it.
    """
    if stop.converged is False:
        return stop
    excess = excess_entropy(stepper.recipe.guide, stop.params, stepper.inputs.key)
    if not excess <= 0:
        reason = (
            f"its entropy is {excess:.3g} nats above what its standard deviations allow, so its "
            "covariance is singular to working precision"
        )
        return replace(stop, converged=False, reason=reason)
    if not stepper.has_like_rows:
        return stop
    state = _state_at(stepper, stop.params, progress.state.copy().latent)
    trial = FitState(progress.frame, state, num_steps=progress.num_steps)
    count = int(np.clip(progress.num_steps // 20, *CHECK_STEPS))
    try:
        stepper.silent().advance(trial, np.zeros(count))
    except FloatingPointError:  # A DivergenceError.
        reason = "the ELBO of its result is not finite at fresh draws"
        return replace(stop, converged=False, reason=reason)
    fresh = level_of(np.concatenate(trial.elbo))
    _, best = best_level(np.concatenate(progress.elbo))
    if is_far_below(fresh, best, stepper.program.layout.size):
        reason = (
            f"the ELBO of its result, {fresh.value:.6g} at fresh draws, is far below the "
            f"{best.value:.6g} that steps had"
        )
        return replace(stop, converged=False, reason=reason)
    return stop


def _average_at(
    stepper: Stepper, progress: FitState, rate: float, tolerance: float
) -> tuple[Params, bool]:
    """Run at one rate until the mean of the later half of the iterates is precise.

    Returns that mean, and whether it is precise. After some steps the rate is abandoned: where it
    swings too far to be precise, a lower one does not.
    """
    begin = len(progress.means)
    num_steps = min_steps = max(FIRST_STEPS, stepper.min_steps)
    while True:
        stepper.advance(progress, np.full(num_steps, rate))
        since = begin + (len(progress.means) - begin) // 2
        error = _standard_error(stepper, progress.frame, progress.means[since:])
        num_steps = sum(progress.counts[begin:])
        if error < tolerance or 2 * num_steps > max(RATE_STEPS, min_steps):
            return progress.average(since), error < tolerance


def _standard_error(stepper: Stepper, frame: Frame, means: list[Params]) -> float:
    """Return the Monte Carlo error of the mean position by batch means, in standard deviations.

    It is the root mean square over the elements.
    """
    positions, stds = zip(*(_moments(stepper, frame, mean) for mean in means), strict=True)
    batches = [batch.mean(axis=0) for batch in np.array_split(np.stack(positions), NUM_BATCHES)]
    error = np.std(batches, axis=0, ddof=1) / np.sqrt(NUM_BATCHES)
    return float(np.sqrt(np.mean((error / stds[-1]) ** 2)))


def _change(stepper: Stepper, frame: Frame, one: Params, other: Params) -> float:
    """Return the root of the mean, over elements, of KL(one, other) + KL(other, one).

    The divergences are those of the normal marginals of the position.
    """
    (mean, std), (other_mean, other_std) = (
        _moments(stepper, frame, params) for params in (one, other)
    )
    ratio = (std / other_std) ** 2
    spread = 0.5 * (ratio + 1 / ratio) - 1
    shift = 0.5 * (mean - other_mean) ** 2 * (1 / std**2 + 1 / other_std**2)
    return float(np.sqrt(np.mean(spread + shift)))


def _moments(stepper: Stepper, frame: Frame, params: Params) -> tuple[Array, Array]:
    """Return the means and standard deviations of the position, shapes (size,)."""
    return position_moments(stepper.recipe.guide, params, frame)
