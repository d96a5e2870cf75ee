"""Where warm chains start and the coordinates they move in, found by a short fit on fixed draws.

The fit evaluates the density that the chains evaluate, so it compiles nothing. In coordinates in
which the posterior is nearly a standard normal, tuning has little to learn and trajectories are
short. Coordinates do not change the posterior that chains draw from: a poor fit costs time alone,
and where it is seen to be poor, chains start and are tuned as they are without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.fitting.fixed_draws.antithetic import antithetic_normals
from bayou.fitting.fixed_draws.optimize import START_SCALE, Optimum, minimize
from bayou.fitting.guides.coordinates import Frame
from bayou.fitting.guides.moments import normal_frame
from bayou.fitting.result.fit_result import Fit
from bayou.nuts.compiled.bound_density import MAX_DENSE
from bayou.nuts.compiled.numba_density import NumbaDensity

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.nuts.compiled.bound_density import BoundDensity
    from bayou.nuts.settings import NutsSettings

    type Array = NDArray[np.float64]

# Tuning steps of warm chains. On radon with varying intercepts 250 gave fewer effective draws for a
# gradient than 150: nutpie's estimate of the scales is noisier than the fit.
WARM_TUNE = 150
# Shorter runs, in steps of all chains together, are over before a fit is.
LEAST_STEPS = 2000
# With no more numbers of data than this, and one element, a gradient takes 2 us: 850 more tuning
# steps of four chains take 25 ms of CPU, and a fit 25 to 40.
TINY_NUMBERS = 1000
# Fixed draws of the fit: it seeks coordinates, and the chains do the rest.
NUM_DRAWS = 8
MAX_ITERATIONS = 150
# Gradients that the second derivatives may cost, and the length of their differences in standard
# deviations.
HESSIAN_GRADIENTS = 1500
STEP = 1e-3
# Random directions of a draw that give the diagonal of the second derivatives, and the least one,
# in units of the fit, that is believed.
NUM_CORNERS = 2
LEAST_CURVATURE = 0.1
# Draws at which a fit is judged. The misfit of a coordinate is the mean square of it plus the slope
# of the log density there: 0 where the posterior is the fit, 1 where the density is flat. Radon has
# 0.2 to 0.7, a funnel or eight schools 0.8 to 40.
NUM_CHECKS = 64
MOST_MISFIT = 0.75
# Where a few coordinates fit worse, up to this, the others may still be worth having: if the fit
# has correlations that scales alone leave, with a condition number of at least this. Late flights
# (55 elements, effects of 4 factors that add up) have a misfit of 1.9 from the spread of three
# airports; in the coordinates trajectories have 7 steps in place of 35.
MOST_MISFIT_IF_CORRELATED = 4.0
LEAST_CONDITION = 100.0
CORRELATED_TUNE = 400
# Searches from other starts of the model must end at the fit: their number, their draws, the most
# iterations, and the distance in standard deviations that counts as the same place.
NUM_SEARCHES = 3
SEARCH_DRAWS = 4
SEARCH_ITERATIONS = 60
SAME_PLACE = 1.0
# Standard deviation of starting points in the coordinates: wider than the posterior, so that R-hat
# shows chains that have not come together.
SPREAD = 2.0


@dataclass(frozen=True)
class WarmStart:
    """What a fit gives to chains.

    Attributes
    ----------
    frame : Frame or None
        The coordinates; None if the fit is no help.
    reason : str
        How the fit was found to be good, or why it is no help.
    tune : int or None
        The tuning steps that chains need in these coordinates; None for as many as without.
    spread : float or None
        The standard deviation of starting points in them; None to start where the model does.
    """

    frame: Frame | None
    reason: str
    tune: int | None = None
    spread: float | None = None

    def attrs(self) -> dict[str, str]:
        """Return the attributes of results: what gave chains their coordinates, and why."""
        return {"init": "none" if self.frame is None else "fit", "init_reason": self.reason}


def check_init(init: object) -> None:
    """Check what is to give chains their coordinates.

    Raises
    ------
    ValueError
        If it is neither "auto" nor a fit nor None.
    """
    if init is None or isinstance(init, Fit) or (isinstance(init, str) and init == "auto"):
        return
    raise ValueError(
        f'`init` must be "auto", a fit or None, got {init!r}.\n'
        "Hint: pass what by.fit returned, or leave it out for a short fit."
    )


def choose_warm_start(
    init: Fit | str | None, model: pm.Model, bound: BoundDensity, settings: NutsSettings, seed: int
) -> WarmStart:
    """Return what gives chains their coordinates, as `init` of :func:`bayou.sample` asks for.

    Parameters
    ----------
    init : {"auto"}, Fit or None
    model : pymc.Model
        The model, which a fit must be of.
    bound : BoundDensity
        Its density, in the coordinates of the model.
    settings : NutsSettings
        The run.
    seed : int
        The seed of the run.

    Raises
    ------
    ValueError
        If the fit is of another model.
    """
    if init is None:
        return WarmStart(None, "`init` is None")
    if isinstance(init, Fit):
        frame = frame_of_fit(init, model)
        if len(frame.origin) != bound.size:
            raise ValueError(
                f"`init` must be a fit of {bound.size} elements, got one of {len(frame.origin)}.\n"
                "Hint: fit the model with the data that it has now, or leave `init` out."
            )
        return judge_frame(bound, frame, seed)
    if (num_steps := settings.chains * (settings.draws + settings.tune)) < LEAST_STEPS:
        return WarmStart(None, f"{num_steps} steps are over before a fit is")
    if is_tiny(bound):
        return WarmStart(None, "a fit of one element to little data costs more than tuning")
    return find_warm_start(bound, seed)


def is_tiny(bound: BoundDensity) -> bool:
    """Return whether a fit costs more than it saves: there are no correlations to find.

    It depends on sizes alone, so that the draws of a seed do.
    """
    if bound.size > 1 or not isinstance(bound, NumbaDensity):
        return False
    return sum(value.size for value in bound.arguments) <= TINY_NUMBERS


def find_warm_start(bound: BoundDensity, seed: int) -> WarmStart:
    """Fit a density on fixed draws, and judge the fit.

    Parameters
    ----------
    bound : BoundDensity
        The density, in the coordinates of the model.
    seed : int
        Decides the starts and the draws.
    """
    size = bound.size
    noise = antithetic_normals(seed, NUM_DRAWS, size)
    start = Frame(bound.find_start(seed), np.full(size, START_SCALE))
    optimum = minimize(bound, start, noise, MAX_ITERATIONS, _ignore)
    if not optimum.is_finite:
        return WarmStart(None, f"the fit failed: {optimum.reason}")
    return judge_frame(bound, _coordinates(bound, optimum, noise, seed), seed)


def judge_frame(bound: BoundDensity, frame: Frame, seed: int) -> WarmStart:
    """Return coordinates if the posterior in them is nearly a standard normal with one mode.

    Parameters
    ----------
    bound : BoundDensity
        The density, in the coordinates of the model.
    frame : Frame
        Coordinates.
    seed : int
        Decides the starts and the draws.
    """
    density = bound.in_frame(frame)
    misfit = _misfit(density, seed)
    is_match = misfit <= MOST_MISFIT
    condition = 1.0 if is_match else _condition(frame)
    if not is_match and not (misfit <= MOST_MISFIT_IF_CORRELATED and condition >= LEAST_CONDITION):
        return WarmStart(
            None, f"the fit is no match of the posterior (misfit {misfit:.2g} > {MOST_MISFIT})"
        )
    if not _is_only_mode(density, seed):
        return WarmStart(None, "searches from other starts end elsewhere than the fit")
    if is_match:
        reason = f"the fit matches the posterior (misfit {misfit:.2g})"
        return WarmStart(frame, reason, WARM_TUNE, SPREAD)
    reason = (
        f"the fit matches most of the posterior (misfit {misfit:.2g}), whose correlations have a "
        f"condition number of {condition:,.0f}"
    )
    return WarmStart(frame, reason, CORRELATED_TUNE)


def frame_of_fit(fit: Fit, model: pm.Model) -> Frame:
    """Return the coordinates of a fit, for positions in the order of a model.

    Parameters
    ----------
    fit : Fit
        A fit of the model, or of one with the same free variables.
    model : pymc.Model
        The model that chains sample from.

    Raises
    ------
    ValueError
        If the fit is of other free variables.
    """
    fitted, layout = fit.approximation, fit.program.layout
    frame = normal_frame(fitted.guide, fitted.params, fitted.frame)
    origin, factor = np.asarray(frame.origin), np.asarray(frame.factor)
    places = dict(zip(layout.names, layout.split(np.arange(layout.size)), strict=True))
    if fitted.latent is not None:
        # Variables of rows are independent of all else.
        stds = np.sqrt((factor**2).sum(axis=1)) if factor.ndim == 2 else factor
        rows = np.asarray(fitted.latent.location), np.exp(np.asarray(fitted.latent.log_scale))
        row_layout = fit.program.latent_layout
        begin = layout.size
        numbers = begin + np.arange(rows[0].size).reshape(rows[0].shape)
        places |= dict(zip(row_layout.names, row_layout.split(numbers), strict=True))
        origin = np.concatenate([origin, rows[0].ravel()])
        factor = np.concatenate([stds, rows[1].ravel()])
    wanted = [model.rvs_to_values[variable].name for variable in model.free_RVs]
    if sorted(wanted) != sorted(places):
        raise ValueError(
            f"`init` must be a fit of the free variables {sorted(wanted)}, got one of "
            f"{sorted(places)}.\nHint: fit this model with by.fit, or leave `init` out."
        )
    if factor.ndim == 2 and len(origin) > MAX_DENSE:
        factor = np.sqrt((factor**2).sum(axis=1))
    order = np.concatenate([np.ravel(places[name]) for name in wanted])
    return Frame(origin[order], factor[order])


def _ignore(losses: Array) -> None:
    """Take the losses of an iteration, which nobody asked for."""


def _coordinates(bound: BoundDensity, optimum: Optimum, noise: Array, seed: int) -> Frame:
    """Return the coordinates of the mean curvature around an optimum.

    Few draws leave the scales of a fit to chance, so that they are taken from second derivatives.
    """
    size = bound.size
    stds = np.sqrt(optimum.variances)
    scaled = bound.in_frame(Frame(optimum.mean, stds))

    def curvature(draw: Array, directions: Array) -> Array:
        steps = STEP * directions
        _, slopes = scaled.gradients(np.concatenate([draw + steps, draw - steps]))
        change: Array = slopes[len(steps) :] - slopes[: len(steps)]
        return change / (2 * STEP)

    if size <= MAX_DENSE:
        # Pairs of opposite draws, whose odd moments cancel.
        pairs = noise[: int(np.clip(HESSIAN_GRADIENTS // (4 * size), 1, len(noise) // 2))]
        draws = [*pairs, *-pairs]
        hessian = np.mean([curvature(draw, np.eye(size)) for draw in draws], axis=0)
        if np.isfinite(hessian).all():
            values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
            if values[0] > 0:
                return Frame(optimum.mean, stds[:, None] * vectors / np.sqrt(values))
    # Corners of the cube: what a corner's curvature has in its own direction is, on average over
    # corners, the diagonal.
    corners = np.random.default_rng(seed).choice([-1.0, 1.0], (len(noise), NUM_CORNERS, size))
    diagonal = np.mean(
        [curvature(draw, signs) * signs for draw, signs in zip(noise, corners, strict=True)], (0, 1)
    )
    is_known = np.isfinite(diagonal) & (diagonal > LEAST_CURVATURE)
    return Frame(optimum.mean, stds / np.sqrt(np.where(is_known, diagonal, 1.0)))


def _misfit(density: BoundDensity, seed: int) -> float:
    """Return the largest misfit of a coordinate, at draws of the fit."""
    draws = antithetic_normals(seed + 1, NUM_CHECKS, density.size)
    _, slopes = density.gradients(draws)
    return float(((draws + slopes) ** 2).mean(axis=0).max())


def _condition(frame: Frame) -> float:
    """Return the condition number of the correlations of a fit: 1 without any."""
    factor = np.asarray(frame.factor)
    if factor.ndim < 2:
        return 1.0
    covariance = factor @ factor.T
    scales = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / np.outer(scales, scales))
    return float(values[-1] / max(values[0], 1e-300))


def _is_only_mode(density: BoundDensity, seed: int) -> bool:
    """Return whether searches from starts of the model end at the origin of coordinates.

    They seek the mean of a standard normal, not the mode, which hierarchies have none of.
    """
    size = density.size
    noise = antithetic_normals(seed + 2, SEARCH_DRAWS, size)

    def search(start: Array) -> Array:
        around = Frame(start, np.ones(size))
        return minimize(density, around, noise, SEARCH_ITERATIONS, _ignore, fixed_scales=True).mean

    # Few draws move the optimum: all searches have the same.
    fit = search(np.zeros(size))
    starts = (density.find_start(seed + number) for number in range(1, NUM_SEARCHES + 1))
    return all(np.abs(search(start) - fit).max() < SAME_PLACE for start in starts)
