"""The start of a fit of a model that sums over components: the best of several.

A density that is a sum over components (a mixture, a hidden Markov model) has local optima: two
components that share one cluster, while another one spans two. A fit ends in the one that its start
leads to. Short fits from several tell which is best. Other models have one start, since
short fits take as long as the fit itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayou.errors import ConvergenceWarning, warn
from bayou.fitting.fixed_draws.optimize import START_SCALE, Optimum, minimize
from bayou.fitting.guides.coordinates import Frame
from bayou.models.initial_point import StartCandidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayou.density.evaluator import Evaluator
    from bayou.fitting.rows.task import Task

    type Array = NDArray[np.float64]

# The starts of short fits: the model's own moved at random, and draws from the prior. In a mixture
# of three normals on 1,500 rows, 6 of 10 and 2 of 10 led to the best optimum; the own one did not.
ATTEMPTS = tuple(kind + number for number in range(1, 5) for kind in (0, StartCandidates.EACH))
# If this many of the first ones lead to the loss of the model's own start, the others are left out.
ENOUGH_ALIKE = 3
# Iterations of a short fit: enough to end in a local optimum, or to see that it is a poor one.
SHORT_ITERATIONS = 100
# Losses, in nats, that count as the same optimum.
ALIKE = 1.0


def choose_start(task: Task, evaluator: Evaluator, noise: Array) -> Array:
    """Return the position that a fit starts from.

    It is the start of the task, unless the model sums over components and a short fit from another
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
    if not program.functions.sums_over_components():
        return task.start
    first = _fit_shortly(task.start, evaluator, noise)
    others: list[Optimum] = []
    for attempt in ATTEMPTS:
        if len(others) == ENOUGH_ALIKE and all(_are_alike(first, other) for other in others):
            break
        others.append(_fit_shortly(program.start(task.noise_seed, attempt), evaluator, noise))
    best = min(others, key=_loss_of)
    is_better = _loss_of(best) < _loss_of(first) - ALIKE
    if not is_better or not best.is_finite:
        return task.start
    if sum(_are_alike(best, other) for other in others) == 1:
        warn(
            f"The fit may have missed the best optimum: of {1 + len(others)} starts, one alone led "
            "to the best one found.\n"
            "Hint: fit with other random seeds and compare their `elbo_estimate()`, or give "
            "`initval=` to the parameters of the components.",
            ConvergenceWarning,
        )
    return best.mean


def _fit_shortly(start: Array, evaluator: Evaluator, noise: Array) -> Optimum:
    frame = Frame(start, np.full(len(start), START_SCALE))
    return minimize(evaluator, frame, noise, SHORT_ITERATIONS, lambda _: None)


def _loss_of(optimum: Optimum) -> float:
    """Return the last loss, inf where there is none."""
    return float(optimum.losses[-1]) if len(optimum.losses) else np.inf


def _are_alike(one: Optimum, other: Optimum) -> bool:
    return abs(_loss_of(one) - _loss_of(other)) < ALIKE
