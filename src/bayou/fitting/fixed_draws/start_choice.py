"""The start of a fit: the best of several.

A density may have local optima: in a sum over components (a mixture, a hidden Markov model), two
that share one cluster, while another one spans two; in a differential equation, another period. A
fit ends in the one that its start leads to. Short fits from several tell which is best. Models of
other kinds have one start, since short fits take as long as the fit itself.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.errors import ConvergenceWarning, warn
from bayou.fitting.fixed_draws.optimize import START_SCALE, Optimum, minimize
from bayou.fitting.guides.approximation import OtherMode
from bayou.fitting.guides.coordinates import Frame
from bayou.models.initial_point import StartCandidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# Further starts: the model's own moved at random, and draws from the prior. In a mixture of three
# normals on 1,500 rows, 6 of 10 and 2 of 10 led to the best optimum; the own one did not. In a
# differential equation of two species, 4 of 8 draws from the prior did, in a hidden Markov model 1.
ATTEMPTS = (*range(1, 5), *range(1 + StartCandidates.EACH, 1 + 2 * StartCandidates.EACH))
# Iterations of a first look at a start, and of a short fit, which is enough to end in a local
# optimum or to see that it is a poor one. Only the starts that look best are fitted.
LOOK_ITERATIONS = 25
SHORT_ITERATIONS = 100
MOST_FITTED = 4
# Losses, in nats, that count as the same optimum.
ALIKE = 1.0
# Optima that are modes beside the best one: at most so many nats below it, since worse ones have no
# mass that matters, and so many of their standard deviations away from it and from each other.
MOST_BELOW = 8.0
APART = 2.5


class Start(NamedTuple):
    """Where a fit starts.

    Attributes
    ----------
    position : ndarray, shape (size,)
    others : tuple of OtherMode
        Other optima that are nearly as good as the one that it leads to.
    """

    position: Array
    others: tuple[OtherMode, ...] = ()


def choose_start(task: Task, evaluator: Evaluator, noise: Array) -> Start:
    """Return the position that a fit starts from, and other optima that were seen.

    It is the start of the task, unless the model may have local optima and a short fit from another
    one leads to a better optimum; then it is the mean there.

    Parameters
    ----------
    task : Task
        The model, and the start so far.
    evaluator : Evaluator
        The model on rows.
    noise : ndarray, shape (num_draws, size)
        The fixed draws.

    Warns
    -----
    ConvergenceWarning
        If one start alone led to the best optimum, so that there may be better ones.
    """
    program = task.program
    if not program.functions.may_have_local_optima():
        return Start(task.start)
    first = _fit_shortly(task.start, evaluator, noise, SHORT_ITERATIONS)
    starts = _other_starts(task)
    looks = [_fit_shortly(start, evaluator, noise, LOOK_ITERATIONS) for start in starts]
    # An optimum that was reached gets no better.
    open_ends = [look for look in looks if not look.converged or _is_better(look, first)]
    promising = sorted(open_ends, key=attrgetter("loss"))[:MOST_FITTED]
    rest = SHORT_ITERATIONS - LOOK_ITERATIONS
    others = [
        look if look.converged else _fit_shortly(look.mean, evaluator, noise, rest)
        for look in promising
        if look.is_finite
    ]
    best = min(others, key=attrgetter("loss"), default=first)
    ended = [first, *others, *(look for look in looks if look.converged)]
    if not _is_better(best, first) or not _is_usable(best, evaluator, noise):
        return Start(task.start, _others(first, ended))
    if sum(_are_alike(best, other) for other in others) == 1:
        warn(
            f"The fit may have missed the best optimum: of {1 + len(starts)} starts, one alone led "
            "to the best one found.\n"
            "Hint: fit with other random seeds and compare their `elbo_estimate()`, or give "
            "`initval=` to the parameters.",
            ConvergenceWarning,
        )
    return Start(best.mean, _others(best, ended))


def _others(best: Optimum, optima: Sequence[Optimum]) -> tuple[OtherMode, ...]:
    """Return the optima that are elsewhere and nearly as good."""
    kept = [best]
    for optimum in sorted(optima, key=attrgetter("loss")):
        is_near = optimum.is_finite and optimum.loss <= best.loss + MOST_BELOW
        if is_near and all(_are_apart(optimum, other) for other in kept):
            kept.append(optimum)
    return tuple(OtherMode(each.mean, float(each.loss - best.loss)) for each in kept[1:])


def _are_apart(one: Optimum, other: Optimum) -> bool:
    scales = np.sqrt(np.maximum(one.variances, other.variances))
    return bool((np.abs(one.mean - other.mean) / scales).max() > APART)


def _other_starts(task: Task) -> list[Array]:
    """Return the starts of the attempts that differ from each other and from that of the task."""
    starts = [task.start]
    for attempt in ATTEMPTS:
        start = task.program.start(task.noise_seed, attempt)
        if np.isfinite(start).all() and not any(np.array_equal(start, other) for other in starts):
            starts.append(start)
    return starts[1:]


def _is_usable(optimum: Optimum, evaluator: Evaluator, noise: Array) -> bool:
    """Return whether a fit can start from the mean of an optimum."""
    if not optimum.is_finite:
        return False
    frame = Frame(optimum.mean, np.full(noise.shape[1], START_SCALE))
    return all(np.isfinite(values).all() for values in evaluator.gradients(frame.positions(noise)))


def _is_better(one: Optimum, other: Optimum) -> bool:
    return one.loss < other.loss - ALIKE


def _fit_shortly(start: Array, evaluator: Evaluator, noise: Array, num_iterations: int) -> Optimum:
    frame = Frame(start, np.full(len(start), START_SCALE))
    return minimize(evaluator, frame, noise, num_iterations, lambda _: None)


def _are_alike(one: Optimum, other: Optimum) -> bool:
    return abs(one.loss - other.loss) < ALIKE
