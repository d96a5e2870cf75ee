"""The reasons to doubt chains, and the one warning that has all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.errors import ConvergenceWarning, warn, warning_of_failure
from bayou.nuts.convergence.chain_diagnostics import statistic_diagnostics, variable_diagnostics
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayou.models.posterior_tree import NamedArrays

# Chains of fewer draws are a trial: nothing can be said of them (PyMC has the same limit).
LEAST_DRAWS = 100
# Vehtari et al. (2021): R-hat at most, and effective draws of a chain at least.
MAX_RHAT = 1.01
LEAST_ESS_OF_A_CHAIN = 100
# The share of cut trajectories that PyMC warns of, and the E-BFMI that Stan does.
MAX_CUT = 0.05
LEAST_BFMI = 0.3
PAGE = "docs/how_to/divergence.md says more."
# Variables that a message names.
NAMED = 3


@dataclass(frozen=True)
class Doubt:
    """A reason to doubt chains.

    Attributes
    ----------
    reason : str
        What is wrong, with numbers and the names of variables.
    hint : str
        What to do; empty if another hint says it.
    """

    reason: str
    hint: str


def warn_of_doubts(
    statistics: Mapping[str, NDArray[Any]],
    draws: NamedArrays,
    *,
    target_accept: float,
    max_treedepth: int,
    step: int = 1,
) -> None:
    """Warn once of all that makes chains doubtful, and say what to do.

    Nothing is said of chains of fewer than 100 draws.

    Parameters
    ----------
    statistics : mapping of str to ndarray, shape (num_chains, num_draws)
        Statistics of draws by their names in ArviZ.
    draws : mapping of str to ndarray, shape (num_chains, num_draws, ...)
        The draws of the free variables.
    target_accept, max_treedepth : float and int
        The settings of the run, for the hints.
    step : int, default 1
        The draws are every so many of a run.

    Warns
    -----
    ConvergenceWarning
        If trajectories diverged or were cut, R-hat is above 1.01, an effective sample size is below
        100 a chain, or an E-BFMI is below 0.3.
    """
    num_draws = statistics["diverging"].shape[1]
    if num_draws < LEAST_DRAWS:
        return
    doubts: list[Doubt] = []
    # Whatever fails here must not cost the draws.
    with warning_of_failure(
        "The chains were not checked", "the draws are complete; look at arviz.summary."
    ):
        doubts = [
            *_trajectory_doubts(statistics, draws, target_accept, max_treedepth),
            *_variable_doubts(draws, num_draws),
        ]
    if doubts:
        hints = "; ".join(doubt.hint for doubt in doubts if doubt.hint)
        reasons = "; ".join(doubt.reason for doubt in doubts)
        some = "" if step == 1 else f", by every {step}th of them"
        warn(f"The draws are doubtful{some}: {reasons}.\nHint: {hints}. {PAGE}", ConvergenceWarning)


def _trajectory_doubts(
    statistics: Mapping[str, NDArray[Any]],
    draws: NamedArrays,
    target_accept: float,
    max_treedepth: int,
) -> list[Doubt]:
    """Return the doubts that the statistics of trajectories raise."""
    doubts = []
    diverging = statistics["diverging"]
    numbers = statistic_diagnostics(statistics)
    if numbers["divergences"]:
        smaller = "" if target_accept >= 0.95 else "pass target_accept=0.95, or "
        doubts.append(
            Doubt(
                f"{int(numbers['divergences'])} of {diverging.size} trajectories diverged"
                f"{_place_of_divergences(diverging, draws)}, where means and intervals may be off",
                f"{smaller}write a hierarchy as x = mu + tau * z with z of Normal(0, 1), in the "
                "place of x of Normal(mu, tau), or narrow the prior of a scale",
            )
        )
    if numbers["reached_max_treedepth"] > MAX_CUT:
        doubts.append(
            Doubt(
                f"up to {numbers['reached_max_treedepth']:.0%} of the trajectories of a chain were "
                f"cut at max_treedepth={max_treedepth}",
                "give variables similar scales, pass adaptation='low_rank', or raise max_treedepth",
            )
        )
    if numbers["bfmi"] < LEAST_BFMI:
        doubts.append(
            Doubt(
                f"E-BFMI is {numbers['bfmi']:.2f}, below {LEAST_BFMI}: energies differ more than a "
                "step can change them",
                "look for heavy tails, or scales that many variables depend on, and write these "
                "variables as products of a scale and a standard normal",
            )
        )
    return doubts


def _variable_doubts(draws: NamedArrays, num_draws: int) -> list[Doubt]:
    """Return the doubts that R-hat and effective sample sizes raise."""
    numbers = {name: variable_diagnostics(values) for name, values in draws.items()}
    num_chains = next(iter(draws.values())).shape[0]
    least = LEAST_ESS_OF_A_CHAIN * num_chains
    # NaN, of a variable that is constant, or of one chain, is no reason to doubt.
    rhats = {name: each["rhat"] for name, each in numbers.items() if each["rhat"] > MAX_RHAT}
    sizes = {
        name: min(each["ess_bulk"], each["ess_tail"])
        for name, each in numbers.items()
        if min(each["ess_bulk"], each["ess_tail"]) < least
    }
    doubts = []
    if rhats:
        worst = sorted(rhats, key=rhats.__getitem__, reverse=True)
        text = listed([f"{name!r} ({rhats[name]:.3f})" for name in worst], NAMED, str)
        doubts.append(
            Doubt(
                f"R-hat is above {MAX_RHAT} for {text}: the chains differ",
                "tune longer; if chains stay in different places, the model does not tell them "
                "apart: order what may be swapped, or narrow priors",
            )
        )
    if sizes:
        worst = sorted(sizes, key=sizes.__getitem__)
        text = listed([f"{name!r} ({sizes[name]:.0f})" for name in worst], NAMED, str)
        # Of draws that mix as these do; nobody draws a thousand times as many.
        wanted = int(
            np.ceil(min(1000.0, least / max(1.0, sizes[worst[0]])) * num_draws / 100) * 100
        )
        # Chains that differ need something else than more draws.
        hint = "" if rhats else f"draw more, draws={wanted}"
        doubts.append(Doubt(f"the effective sample size is below {least} for {text}", hint))
    return doubts


def _place_of_divergences(diverging: NDArray[np.bool_], draws: NamedArrays) -> str:
    """Return where most divergences are: the variable whose values there are the most unusual."""
    flags = diverging.ravel()
    shifts = {name: _shift(values.reshape(len(flags), -1), flags) for name, values in draws.items()}
    name = max(shifts, key=lambda each: abs(shifts[each]))
    return f", most of them where {name!r} is {'small' if shifts[name] < 0 else 'large'}"


def _shift(values: NDArray[np.generic], flags: NDArray[np.bool_]) -> float:
    """Return how far values at divergences are from all, by ranks, from -1/2 to 1/2."""
    ranks = values.argsort(axis=0).argsort(axis=0) / max(1, len(values) - 1)
    shifts = ranks[flags].mean(axis=0) - 0.5
    return float(shifts[np.abs(shifts).argmax()]) if shifts.size else 0.0
