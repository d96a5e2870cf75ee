"""NUTS in the coordinates of a fit around a mode, run again with smaller steps where it must be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayou.fitting.checks.moment_errors import standard_errors
from bayou.nuts.chains import run_chains
from bayou.nuts.convergence.chain_diagnostics import statistic_diagnostics, variable_diagnostics
from bayou.nuts.convergence.chain_doubts import LEAST_ESS_OF_A_CHAIN, MAX_CUT, MAX_RHAT
from bayou.nuts.enough_draws import LEAST_ESS, EnoughDraws
from bayou.nuts.settings import NutsSettings
from bayou.nuts.trace import ChainBatches
from bayou.nuts.warm_start import SPREAD, WARM_TUNE, WarmStart, frame_of_fit, judge_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.fitting.result.fit_result import Fit
    from bayou.ladder.time_limit import TimeLimit
    from bayou.models.posterior_tree import NamedArrays
    from bayou.nuts.compiled.bound_density import BoundDensity
    from bayou.nuts.trace import NutpieTrace

    type Array = NDArray[np.float64]

# The most divergences, of all draws, that chains may have whose R-hat and effective sample sizes
# are good, those of the log density included. Eight schools, centred, has up to .1% with the small
# steps of `LONGER`, and means within .03 sd.
MOST_DIVERGING = 1e-3
# The log density need not be known as well as a variable, but it must have moved: its R-hat and
# effective sample size stand for E-BFMI, which is low for funnels that chains have passed all of.
ENERGY = "log density"
MAX_ENERGY_RHAT, LEAST_ENERGY_ESS = 1.05, 100
# Batches of a chain, whose means tell the error of a moment.
NUM_BATCHES = 20


class Settings(NamedTuple):
    """How chains are run.

    Attributes
    ----------
    tune, draws : int
        Tuning steps, and the most draws of a chain.
    target_accept : float
    max_treedepth : int
    in_frame : bool
        Whether chains move in the coordinates of the fit.
    """

    tune: int
    draws: int
    target_accept: float
    max_treedepth: int
    in_frame: bool


# In the coordinates of a fit that matches the posterior; of one that does not; then with smaller
# steps. On the Poisson process of posteriordb (13 elements), whose posterior is curved, chains in
# the coordinates of a fit had 321 divergences of 16,000 with an acceptance of .8 and an R-hat of
# 1.02; with .95, 28 and 1.009 in 61 s of CPU; with .99, none and 1.008 in 75 s, so that steps are
# small from the start. Without the coordinates, R-hat was 7.5.
MATCHED = Settings(WARM_TUNE, 4000, 0.8, 10, True)
CURVED = Settings(1000, 10_000, 0.99, 12, True)
LONGER = (Settings(2000, 20_000, 0.997, 12, True), Settings(2000, 10_000, 0.95, 10, False))


@dataclass(frozen=True, eq=False)
class ChainRun:
    """Chains that were run, and what their diagnostics say.

    Attributes
    ----------
    draws : mapping of str to ndarray, shapes (chains, draws, ...)
        Of all variables.
    statistics : mapping of str to ndarray, shapes (chains, draws)
    doubts : tuple of str
        What makes them doubtful; empty if nothing does.
    rhat, ess : float
        The largest and the smallest of an element of a free variable.
    divergences : int
    longer : bool
        Whether chains were run again.
    """

    draws: NamedArrays
    statistics: NamedArrays
    doubts: tuple[str, ...]
    rhat: float
    ess: float
    divergences: int
    longer: bool = False


@dataclass(frozen=True, eq=False)
class ChainTask:
    """What chains are run on.

    Attributes
    ----------
    model : pymc.Model
        The model of the density.
    bound : BoundDensity
        Its density, in the coordinates of the model.
    chains : int
    least_draws : int
        The least draws of a chain.
    cores : int or None
    seed : int
    limit : TimeLimit
    progressbar : bool
    """

    model: pm.Model
    bound: BoundDensity
    chains: int
    least_draws: int
    cores: int | None
    seed: int
    limit: TimeLimit
    progressbar: bool

    @property
    def free(self) -> list[str]:
        """The names of the free variables."""
        return [variable.name for variable in self.model.free_RVs]


def run_in_mode(task: ChainTask, fit: Fit | None) -> ChainRun | None:
    """Run chains around a fit until they are good, first as is cheapest.

    Parameters
    ----------
    task : ChainTask
    fit : Fit or None
        None to start as the model does, without coordinates.

    Returns
    -------
    ChainRun or None
        The one with the smallest R-hat, if none is good; None if time was over before any had
        draws.
    """
    warm = _warm_start(task, fit)
    first = MATCHED if warm.tune is not None else CURVED
    attempts = [first, *LONGER] if warm.frame is not None else [LONGER[-1]]
    best: ChainRun | None = None
    for number, settings in enumerate(attempts):
        run = _run(task, warm, settings, number)
        if run is None:
            return best
        if not run.doubts:
            return run
        if best is None or run.rhat < best.rhat:
            best = run
        if task.limit.is_over:
            break
    return best


def errors_of_chains(draws: NamedArrays) -> dict[str, Array]:
    """Return the standard errors of the moments of variables, by means of batches of draws.

    Parameters
    ----------
    draws : mapping of str to ndarray, shapes (chains, draws, ...)

    Returns
    -------
    dict of str to ndarray, shapes (..., 4)
        Of mean, sd, 5% and 95% quantile, in standard deviations.
    """
    errors = {}
    for name, values in draws.items():
        chains, length = values.shape[:2]
        batches = min(NUM_BATCHES, length)
        size = length // batches
        cut = values[:, : batches * size].reshape(chains * batches, size, -1).astype(float)
        # Draws of a batch depend on each other: their numbers differ by the number of batches.
        columns = np.moveaxis(cut, 0, 1).reshape(chains * batches * size, -1)
        even = np.full(len(columns), 1 / len(columns))
        found = standard_errors(columns, even, chains * batches)
        errors[name] = found.reshape(*values.shape[2:], -1)
    return errors


def _warm_start(task: ChainTask, fit: Fit | None) -> WarmStart:
    """Return the coordinates of a fit, with the tuning steps that these need if they match."""
    if fit is None:
        return WarmStart(None, "there is no fit")
    frame = frame_of_fit(fit, task.model)
    judged = judge_frame(task.bound, frame, task.seed)
    if judged.frame is not None and judged.spread is not None:
        return judged
    return WarmStart(frame, judged.reason, None, SPREAD)


def _run(task: ChainTask, warm: WarmStart, chosen: Settings, number: int) -> ChainRun | None:
    bound = task.bound
    if chosen.in_frame and warm.frame is not None:
        bound = bound.in_frame(warm.frame, warm.spread)
    settings = NutsSettings(
        max(chosen.draws, task.least_draws),
        chosen.tune,
        task.chains,
        chosen.target_accept,
        chosen.max_treedepth,
        cores=task.cores,
    )
    enough = EnoughDraws(task.free, bound.draw_layout, task.chains)

    def is_enough(trace: NutpieTrace, num_draws: int) -> bool:
        return num_draws >= task.least_draws and enough(trace, num_draws)

    trace = run_chains(
        bound,
        settings,
        task.seed + number,
        progressbar=task.progressbar,
        is_enough=is_enough,
        deadline=task.limit.deadline,
    )
    try:
        batches = ChainBatches.of(trace, enough.number)
    except KeyboardInterrupt:
        if not task.limit.is_over:
            raise
        return None
    read = batches.read_draws(bound.draw_layout.size)
    draws = bound.draw_layout.split(read.flat)
    return replace(diagnose(draws, read.statistics, task.free), longer=number > 0)


def diagnose(draws: NamedArrays, statistics: NamedArrays, free: Sequence[str]) -> ChainRun:
    """Return chains with what their diagnostics say.

    Parameters
    ----------
    draws : mapping of str to ndarray, shapes (chains, draws, ...)
    statistics : mapping of str to ndarray, shapes (chains, draws)
    free : sequence of str
        The free variables.
    """
    num_chains, num_draws = statistics["diverging"].shape
    values = {name: draws[name] for name in free} | {ENERGY: statistics["lp"]}
    found = {name: variable_diagnostics(each) for name, each in values.items()}
    rhats = {name: each["rhat"] for name, each in found.items()}
    sizes = {name: min(each["ess_bulk"], each["ess_tail"]) for name, each in found.items()}
    least = max(LEAST_ESS, LEAST_ESS_OF_A_CHAIN * num_chains)
    numbers = statistic_diagnostics(statistics)
    diverging = numbers["divergences"] / (num_chains * num_draws)
    cut = numbers["reached_max_treedepth"]
    doubts = []
    # NaN, of elements that are constant, is no reason to doubt.
    if far := [name for name in rhats if rhats[name] >= (MAX_ENERGY_RHAT, MAX_RHAT)[name in free]]:
        worst = max(far, key=rhats.__getitem__)
        doubts.append(f"R-hat of {worst!r} is {rhats[worst]:.3f}")
    if few := [name for name in sizes if sizes[name] <= (LEAST_ENERGY_ESS, least)[name in free]]:
        worst = min(few, key=sizes.__getitem__)
        doubts.append(f"the effective sample size of {worst!r} is {sizes[worst]:.0f}")
    if diverging > MOST_DIVERGING:
        doubts.append(f"{diverging:.2%} of the trajectories diverged")
    if cut > MAX_CUT:
        doubts.append(f"{cut:.0%} of the trajectories of a chain were cut")
    return ChainRun(
        draws,
        statistics,
        tuple(doubts),
        float(np.fmax.reduce([rhats[name] for name in free])),
        float(np.fmin.reduce([sizes[name] for name in free])),
        int(numbers["divergences"]),
    )
