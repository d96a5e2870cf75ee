"""Stochastic optimisation of a guide, with averaged iterates and a rule that says when to stop.

Robust, automated and accurate black-box variational inference (Welandawe, Andersen, Vehtari and
Huggins 2022): the rate is constant until the iterates are stationary and their average is known
well, then halved, until halving changes the average no more. In coordinates where the posterior is
nearly a standard normal, rates have a natural size.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from bayou.feeding.feed import ItemFeed
from bayou.fitting.stochastic.steps import Chunk, Feeding, Recipe, State, run
from bayou.models.inputs import sampling_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bayou.density.evaluator import Array
    from bayou.density.program import Program
    from bayou.fitting.guides import Params
    from bayou.fitting.guides.coordinates import Frame

# The rates that the search tries, the largest first (Agrawal, Sheldon and Domke 2020).
RATES = (0.05, 0.0125, 0.003125)
# Where there is no search, for want of steps or of rows that come again.
UNSEARCHED_RATE = 0.025
SEARCH_STEPS = 512
FIRST_STEPS = 8192
RATE_STEPS = 16384
NUM_BATCHES = 4
MAX_HALVINGS = 10
# At each rate, latent variables of rows are visited so often.
LATENT_EPOCHS = 40


@dataclass
class Progress:
    """How far a stochastic fit is; grows by a chunk at a time.

    Attributes
    ----------
    frame : Frame
        The coordinates that the parameters are of.
    state : State
        The parameters and the memory of the optimiser.
    first : int
        The number of the first chunk in these coordinates.
    num_steps : int
        How many steps were done.
    losses, rates, means, counts : list
        Of each chunk: the loss and the rate of each step, the mean of the parameters, the number of
        steps.
    elbo : list
        Of each chunk: what each step estimated, in nats, whatever the coordinates.
    path : list of ndarray, shape (size,)
        Of each chunk, the mean position.
    """

    frame: Frame
    state: State
    first: int = 0
    num_steps: int = 0
    losses: list[Array] = field(default_factory=list)
    rates: list[Array] = field(default_factory=list)
    means: list[Params] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    elbo: list[Array] = field(default_factory=list)
    path: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know what losses in these coordinates lack."""
        self._constant = self.frame.log_determinant

    def restart(self, frame: Frame, state: State) -> None:
        """Go on in other coordinates."""
        self.frame, self.state, self.first = frame, state, len(self.means)
        self._constant = frame.log_determinant

    def add(self, chunk: Chunk, rates: Array, coordinates: Array) -> None:
        """Take what a chunk ended with, and the mean coordinates in it."""
        self.state = chunk.state
        self.num_steps += len(chunk.losses)
        self.losses.append(chunk.losses)
        self.rates.append(rates)
        self.means.append(jax.tree.map(np.asarray, chunk.mean))
        self.counts.append(len(chunk.losses))
        self.elbo.append(self._constant - chunk.losses)
        self.path.append(self.frame.positions(coordinates))

    def recorded(self, arrays: dict[str, Array]) -> Iterator[Chunk]:
        """Yield the chunks of a checkpoint, the last one with the state to go on from."""
        # Files have no arrays without axes, and of another shape the state would be compiled anew.
        kept = [
            jnp.asarray(arrays[f"state {n}"]).reshape(leaf.shape)
            for n, leaf in enumerate(jax.tree.leaves(self.state))
        ]
        state = jax.tree.unflatten(jax.tree.structure(self.state), kept)
        params = jax.tree.structure(self.state.params)
        num_leaves = len(jax.tree.leaves(self.state.params))
        end = 0
        for number, count in enumerate(arrays["counts"]):
            begin, end = end, end + int(count)
            means = [arrays[f"mean {n}"][number] for n in range(num_leaves)]
            yield Chunk(state, jax.tree.unflatten(params, means), arrays["losses"][begin:end])

    def settled(self) -> Params:
        """Return the mean of the parameters over the later half of what is in these coordinates."""
        count = len(self.means) - self.first
        return self.average(self.first + count // 2) if count else self.state.params

    def average(self, since: int) -> Params:
        """Return the mean of the parameters over the chunks from number ``since`` on."""
        counts, total = self.counts[since:], sum(self.counts[since:])

        def average(*leaves: Array) -> Any:
            return sum(leaf * (count / total) for leaf, count in zip(leaves, counts, strict=True))

        return jax.tree.map(average, *self.means[since:])


@dataclass(frozen=True)
class Stepper:
    """Runs steps of one fit.

    Attributes
    ----------
    program, recipe, feeding
        As the runner takes them.
    report : callable
        Told the losses of each chunk.
    keep : callable
        Told the progress after each chunk.
    recorded : iterator of Chunk
        Chunks that an earlier run has done; they are gone through before new ones.
    run : callable
        The runner: :func:`bayou.fitting.stochastic.steps.run`, or one that has others do the steps.
    """

    program: Program
    recipe: Recipe
    feeding: Feeding
    report: Callable[[Array], None]
    keep: Callable[[Progress], None]
    recorded: Iterator[Chunk]
    run: Callable[..., Iterator[Chunk]] = run

    @property
    def least_steps(self) -> int:
        """How many steps it takes at least until latent variables of rows have settled."""
        latent = self.program.latent
        if latent is None:
            return 0
        [sample] = sampling_of(latent.numbers)
        return LATENT_EPOCHS * latent.num_rows // sample.size

    def advance(self, progress: Progress, rates: Array) -> None:
        """Run a step for each rate; what a checkpoint recorded is taken from there."""
        done = 0
        while done < len(rates) and (chunk := next(self.recorded, None)) is not None:
            self._add(progress, chunk, rates[done:])
            done += len(chunk.losses)
        chunks = self.run(
            self.program, self.recipe, progress.frame, self.feeding, progress.state, rates[done:],
            progress.num_steps,
        )  # fmt: skip
        for chunk in chunks:
            self._add(progress, chunk, rates[done:])
            done += len(chunk.losses)
            self.report(chunk.losses)
            self.keep(progress)

    def _add(self, progress: Progress, chunk: Chunk, rates: Array) -> None:
        coordinates = np.asarray(self.recipe.guide.mean(chunk.mean))
        progress.add(chunk, rates[: len(chunk.losses)], coordinates)


def _ignore(_: Any) -> None:
    """Take no notice."""


def search_rate(stepper: Stepper, start: Progress) -> float:
    """Return the largest rate that lowers the loss about as well as any other.

    Each rate runs some steps from the same state on the same rows. A loss within half a nat an
    element of the least is as good: iterates of a large rate swing more, and averaging mends that.
    Items of a generator come once, so that there a middling rate is taken unseen.
    """
    if any(isinstance(feed, ItemFeed) for feed in stepper.feeding.feeds):
        return UNSEARCHED_RATE
    trial_stepper = replace(stepper, report=_ignore, keep=_ignore, recorded=iter(()))
    ends = {}
    for rate in RATES:
        trial = Progress(start.frame, start.state.copy())
        try:
            trial_stepper.advance(trial, np.full(SEARCH_STEPS, rate))
        except FloatingPointError:
            continue
        ends[rate] = float(np.mean(np.concatenate(trial.losses)[SEARCH_STEPS // 2 :]))
    if not ends:
        return RATES[-1]
    slack = 0.5 * stepper.program.layout.size
    return next(rate for rate, loss in ends.items() if loss <= min(ends.values()) + slack)


def fixed_rates(num_steps: int, rate: float) -> Array:
    """Return the rates of a fit of known length: constant, then along a cosine to zero."""
    share = np.arange(num_steps) / num_steps
    return rate * np.where(share < 0.5, 1.0, (1 + np.cos(np.pi * (2 * share - 1))) / 2)


def run_fixed(stepper: Stepper, progress: Progress, rate: float, num_steps: int) -> Params:
    """Run a known number of steps, and return the average of the last quarter."""
    rates = fixed_rates(num_steps, rate)
    tail = 3 * num_steps // 4
    stepper.advance(progress, rates[:tail])
    since = len(progress.means)
    stepper.advance(progress, rates[tail:])
    return progress.average(since)


@dataclass(frozen=True)
class Stop:
    """The average that a fit ended with, and why it ended."""

    params: Params
    converged: bool
    reason: str
    interrupted: bool = False


def run_until_stable(stepper: Stepper, progress: Progress, rate: float, tolerance: float) -> Stop:
    """Halve the rate until that changes the average by less than ``tolerance``.

    Parameters
    ----------
    stepper : Stepper
        Runs the steps.
    progress : Progress
        Where to start from; moved on.
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
        before = average
        average, known = _average_at(stepper, progress, rate * 0.5**halving, tolerance)
        if before is None:
            continue
        change = _change(stepper, progress.frame, before, average)
        if known and change < tolerance:
            return Stop(average, True, f"halving the rate moved it by {change:.2g} sd")
    return Stop(average, False, f"halving the rate {MAX_HALVINGS} times moved it to the end")


def _average_at(
    stepper: Stepper, progress: Progress, rate: float, tolerance: float
) -> tuple[Params, bool]:
    """Run at one rate until the mean of the later half of the iterates is known.

    The rate is given up after some steps: where it swings too far to settle, a lower one does.
    """
    begin = len(progress.means)
    num_steps = least = max(FIRST_STEPS, stepper.least_steps)
    while True:
        stepper.advance(progress, np.full(num_steps, rate))
        since = begin + (len(progress.means) - begin) // 2
        error = _standard_error(stepper, progress.frame, progress.means[since:])
        num_steps = sum(progress.counts[begin:])
        if error < tolerance or 2 * num_steps > max(RATE_STEPS, least):
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
    """Return the root of KL(one, other) + KL(other, one) of the marginals, mean over elements."""
    (mean, std), (other_mean, other_std) = (
        _moments(stepper, frame, params) for params in (one, other)
    )
    ratio = (std / other_std) ** 2
    spread = 0.5 * (ratio + 1 / ratio) - 1
    shift = 0.5 * (mean - other_mean) ** 2 * (1 / std**2 + 1 / other_std**2)
    return float(np.sqrt(np.mean(spread + shift)))


def _moments(stepper: Stepper, frame: Frame, params: Params) -> tuple[Array, Array]:
    """Return the means and standard deviations of the position, shapes (size,)."""
    guide = stepper.recipe.guide
    mean, std = np.asarray(guide.mean(params)), np.asarray(guide.std(params))
    return frame.positions(mean), frame.stds(std)
