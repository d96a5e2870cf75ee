"""The modes of a posterior that searches from other starts find, beside that of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from bayou.density.evaluator import Evaluator
from bayou.fitting.checks.proposals import fitted_normal
from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.dadvi import FIRST_DRAWS
from bayou.fitting.fixed_draws.linear_response import covariance_or_none
from bayou.fitting.fixed_draws.optimize import MAX_DENSE, Optimum, StoppedError, minimize
from bayou.fitting.fixed_draws.start_choice import APART, MOST_BELOW
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.mean_field import MeanField, MeanFieldParams
from bayou.fitting.result.fit_result import Fit
from bayou.fitting.result.named_values import place_texts
from bayou.fitting.rows.all_rows import all_row_blocks, all_rows_size, resident_rows_obstacle
from bayou.models.initial_point import StartCandidates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    type Array = NDArray[np.float64]

# Starts of searches: the model's own moved at random, and draws from the prior.
ATTEMPTS = (1, 2, *range(1 + StartCandidates.EACH, 9 + StartCandidates.EACH))
# As many draws as the first fit has, whose compiled function takes them.
SEARCH_DRAWS = FIRST_DRAWS
SEARCH_ITERATIONS = 60
# A search ends where its loss is so near to that of the fit, in nats, and it is at the fit.
NEAR_LOSS = 1.0
# The most that searches cost, if none ends early: draws x values of the largest input. Most end
# after a quarter of the iterations, which takes a few seconds.
SEARCH_WORK = 4e9
# Within so many standard deviations optima are the same. Beyond `APART` one is another mode, if the
# density has a valley of at least so many nats between them.
SAME_PLACE = 1.0
VALLEY = 1.0
# The most modes: the best.
MOST_MODES = 6
# Draws of the coordinates of a mode.
MODE_DRAWS = 16


@dataclass(frozen=True, eq=False)
class Modes:
    """The modes that were found.

    Attributes
    ----------
    fits : sequence of Fit
        The fit first; then one around each other mode, of which only coordinates are known.
    num_ends : sequence of int
        Of each, the number of searches that ended there; the fit is one of its own.
    obstacle : str or None
        Why there were no searches.
    interrupted : bool
        Whether Ctrl-C stopped them.
    """

    fits: Sequence[Fit]
    num_ends: Sequence[int] = (1,)
    obstacle: str | None = None
    interrupted: bool = False

    @property
    def may_be_more(self) -> bool:
        """Whether some modes were found once only, so that there may be others that were not."""
        return len(self.fits) > 1 and 1 in self.num_ends

    def text(self, fit: Fit) -> str:
        """Return where the modes are: the elements that differ most, as they are fitted.

        Parameters
        ----------
        fit : Fit
            The fit that searches began from; distances are in its standard deviations.
        """
        places = place_texts([each.mean for each in [fit, *self.fits]], fit.std)
        others = [place for place in dict.fromkeys(places[1:]) if place != places[0]]
        return f"the fit is at ({places[0]}), other modes are at ({'), ('.join(others)})"


def find_modes(fit: Fit, seed: int) -> Modes:
    """Return the modes that searches from other starts of the model lead to.

    They seek the normal with the largest evidence lower bound on few fixed draws, in coordinates
    scaled as the fit.

    Parameters
    ----------
    fit : Fit
    seed : int
        Decides the starts and the draws.
    """
    normal = fitted_normal(fit.approximation)
    if obstacle := _obstacle(fit):
        return Modes([fit], obstacle=obstacle)
    assert normal is not None
    program, size = fit.program, fit.program.layout.size
    evaluator = Evaluator(program, all_row_blocks(program))
    noise = antithetic_normals(seed, SEARCH_DRAWS, size)

    def search(start: Array, report: Callable[[Array], None] = _ignore) -> Optimum:
        around = Frame(start, normal.factor)
        return minimize(evaluator, around, noise, SEARCH_ITERATIONS, report)

    own = search(normal.origin)

    def stop_near(losses: Array) -> None:
        if losses[-1] < own.loss + NEAR_LOSS:
            raise StopIteration

    def search_elsewhere(start: Array) -> Optimum:
        try:
            return search(start, stop_near)
        except StoppedError as stopped:
            end = stopped.optimum
        return end if _distance(end, own) < SAME_PLACE else search(end.mean)

    starts = [program.start(seed, attempt) for attempt in ATTEMPTS]
    ends = [search_elsewhere(start) for start in starts if np.isfinite(start).all()]
    best = min(end.loss for end in [own, *ends])
    near = [end for end in ends if end.is_finite and end.loss <= best + MOST_BELOW]
    elsewhere = [
        end
        for end in sorted(near, key=attrgetter("loss"))
        if _distance(end, own) > APART and _has_valley(evaluator, end, own)
    ]
    others = _grouped(elsewhere)[: MOST_MODES - 1]
    fits = [_fit_around(fit, evaluator, each[0], seed) for each in others]
    counts = [len(each) for each in others]
    if others and own.loss > best + MOST_BELOW:
        return Modes(fits, counts)
    return Modes([fit, *fits], [1 + len(near) - len(elsewhere), *counts])


def _ignore(_: Array) -> None:
    """Take the loss of an iteration, which nobody asked for."""


def _obstacle(fit: Fit) -> str | None:
    """Return why other modes are not sought."""
    if reason := resident_rows_obstacle(fit.program):
        return reason
    size = fit.program.layout.size
    if size > MAX_DENSE:
        return f"the model has {size:,} elements"
    if fitted_normal(fit.approximation) is None:
        return f"the guide is {fit.approximation.guide}"
    work = (1 + len(ATTEMPTS)) * SEARCH_ITERATIONS * SEARCH_DRAWS * all_rows_size(fit.program)
    if work > SEARCH_WORK:
        return "searches from other starts cost too much on so many rows"
    return None


def _grouped(ends: Sequence[Optimum]) -> list[list[Optimum]]:
    """Return optima by their modes, of which each has one that a search came to rest at."""
    groups: list[list[Optimum]] = []
    for end in ends:
        known = next((group for group in groups if _distance(end, group[0]) < SAME_PLACE), None)
        if known is not None:
            known.append(end)
        elif end.converged:
            groups.append([end])
    return groups


def _distance(one: Optimum, other: Optimum) -> float:
    """Return how far two optima are apart, in the larger of their standard deviations."""
    apart = np.abs(one.frame.coordinates(one.mean) - one.frame.coordinates(other.mean))
    scales = np.exp(np.maximum(one.log_scale, other.log_scale))
    return float((apart / scales).max())


def _has_valley(evaluator: Evaluator, one: Optimum, other: Optimum) -> bool:
    """Return whether the density between two optima is lower than at both."""
    steps = np.linspace(0, 1, 17)[:, None]
    densities = evaluator.gradients((1 - steps) * one.mean + steps * other.mean)[0]
    inner = np.nan_to_num(densities[1:-1], nan=-np.inf).min()
    return bool(inner < min(densities[0], densities[-1]) - VALLEY)


def _fit_around(fit: Fit, evaluator: Evaluator, optimum: Optimum, seed: int) -> Fit:
    """Return a fit with the mean and the covariance of an optimum."""
    size = len(optimum.location)
    noise = antithetic_normals(seed, MODE_DRAWS, size)
    around = Frame(optimum.mean, np.asarray(optimum.frame.factor))
    refined = minimize(evaluator, around, noise, None, lambda _: None)
    covariance = covariance_or_none(evaluator, refined, noise)
    factor = np.sqrt(refined.variances) if covariance is None else np.linalg.cholesky(covariance)
    approximation = replace(
        fit.approximation,
        guide=MeanField(),
        params=MeanFieldParams(jnp.zeros(size), jnp.zeros(size)),
        frame=Frame(refined.mean, factor),
        evidence=None,
        resampled=None,
    )
    return Fit(fit.model, fit.program, approximation, fit.density, fit.provenance)
