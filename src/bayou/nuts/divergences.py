"""Warnings of divergences: how many, and in which part of the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.errors import ConvergenceWarning, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# A run of fewer draws is a trial, whose few steps of tuning leave the step size too large.
LEAST_DRAWS = 100


def warn_of_divergences(
    diverging: NDArray[np.bool_], draws: Mapping[str, NDArray[np.float64]]
) -> None:
    """Warn if trajectories diverged.

    Parameters
    ----------
    diverging : ndarray of bool, shape (num_chains, num_draws)
        Whether the trajectory that ended at a draw diverged.
    draws : mapping of str to ndarray, shape (num_chains, num_draws, ...)
        The draws of the free variables.

    Warns
    -----
    ConvergenceWarning
        Gives the number of divergences, and the variable whose values there are the most unlike
        those of all draws.
    """
    count = int(diverging.sum())
    if not count or diverging.size < LEAST_DRAWS:
        return
    flags = diverging.ravel()
    shifts = {name: _shift(values.reshape(len(flags), -1), flags) for name, values in draws.items()}
    name = max(shifts, key=lambda each: abs(shifts[each]))
    side = "small" if shifts[name] < 0 else "large"
    warn(
        f"{count} of {len(flags)} trajectories diverged, most of them where {name!r} is {side}: "
        "the posterior may not be explored there, and means and intervals may be off.\n"
        "Hint: write a hierarchy as x = mu + tau * z with z of Normal(0, 1), in the place of x of "
        "Normal(mu, tau); or narrow the prior of a scale.",
        ConvergenceWarning,
    )


def _shift(values: NDArray[Any], flags: NDArray[np.bool_]) -> float:
    """Return how far values at divergences are from all, by ranks, from -1/2 to 1/2."""
    ranks = values.argsort(axis=0).argsort(axis=0) / max(1, len(values) - 1)
    shifts = ranks[flags].mean(axis=0) - 0.5
    return float(shifts[np.abs(shifts).argmax()]) if shifts.size else 0.0
