"""Diagnostics of chains, as numbers: R-hat, effective sample sizes, E-BFMI, tree depth.

The definitions are those of ArviZ: R-hat and effective sample sizes of ranks (Vehtari et al. 2021),
E-BFMI of each chain (Betancourt 2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers

    type Array = NDArray[np.float64]

# The effective sample size of the tails is that of these quantiles (Vehtari et al. 2021).
TAIL_QUANTILES = (0.05, 0.95)
# The worst element of a variable counts.
WORST = {"rhat": np.fmax.reduce, "ess_bulk": np.fmin.reduce, "ess_tail": np.fmin.reduce}
# ArviZ takes 3.5 ms for an element of 4 chains of 1,000 draws (two busy cores), the scores by which
# elements of a longer variable are chosen 0.2 ms.
MOST_ELEMENTS = 200
CHOSEN_BY_A_SCORE = 25
# Elements are scored in blocks of about so many bytes.
BLOCK_BYTES = 2**26


def statistic_diagnostics(statistics: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Return what the statistics of draws, shape (chains, draws), say of all chains.

    Returns
    -------
    dict of str to float
        ``divergences``, a number of draws; ``reached_max_treedepth``, the share of draws whose
        trajectory was cut, in the chain with the most; and ``bfmi``, the least of a chain.
    """
    energy = statistics["energy"]
    with np.errstate(divide="ignore", invalid="ignore"):
        fractions = np.square(np.diff(energy)).mean(axis=1) / energy.var(axis=1, ddof=1)
    return {
        "divergences": float(statistics["diverging"].sum()),
        "reached_max_treedepth": float(statistics["reached_max_treedepth"].mean(axis=1).max()),
        "bfmi": float(np.fmin.reduce(fractions)),
    }


def element_diagnostics(draws: Numbers) -> dict[str, Array]:
    """Return R-hat and effective sample sizes of numbers, shape (..., chains, draws).

    Returns
    -------
    dict of str to ndarray, shape (...)
        ``rhat``, ``ess_bulk`` and ``ess_tail``. NaN where there are too few draws, or one chain.
    """
    # ArviZ takes seconds to import.
    from arviz_stats.base.array import array_stats

    axes: dict[str, int] = {"chain_axis": -2, "draw_axis": -1}
    # Chains that never moved divide by zero in ArviZ; the numbers say so, as nan or inf.
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "rhat": array_stats.rhat(draws, **axes),
            "ess_bulk": array_stats.ess(draws, method="bulk", **axes),
            "ess_tail": array_stats.ess(draws, method="tail", prob=TAIL_QUANTILES, **axes),
        }


def variable_diagnostics(draws: Numbers) -> dict[str, float]:
    """Return the largest R-hat and the smallest effective sample sizes of a variable's elements.

    Of more than 200 elements, those are looked at that are the worst by split R-hat or by the
    variance of batch means, of their values or of the distances from their median.

    Parameters
    ----------
    draws : ndarray, shape (chains, draws, ...)
    """
    elements = np.moveaxis(draws.reshape(*draws.shape[:2], -1), -1, 0)
    if not len(elements):
        return dict.fromkeys(WORST, np.nan)
    if len(elements) > MOST_ELEMENTS:
        elements = elements[_worst_elements(elements)]
    found = element_diagnostics(np.ascontiguousarray(elements, dtype=float))
    return {name: float(WORST[name](values)) for name, values in found.items()}


def _worst_elements(elements: Numbers) -> NDArray[np.intp]:
    """Return the indices of elements that are the worst by one of the scores."""
    block = max(1, BLOCK_BYTES // (8 * elements[0].size))
    scores = np.concatenate(
        [_scores(elements[begin : begin + block]) for begin in range(0, len(elements), block)],
        axis=1,
    )
    # NaN, of elements that never move, is the largest for a sort, and would hide the others.
    worst = np.argsort(np.nan_to_num(scores, nan=-1.0), axis=1)[:, -CHOSEN_BY_A_SCORE:]
    return np.unique(worst)


def _scores(elements: Numbers) -> Array:
    """Return scores, shape (4, elements), that are the larger the worse chains agree and mix."""
    values = np.array(elements, dtype=float)
    folded = np.abs(values - np.median(values, axis=(1, 2), keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([score(each) for each in (values, folded) for score in (_rhat, _slowness)])


def _rhat(values: Array) -> Array:
    """Return the variance between half chains, of that within them."""
    length = values.shape[2] // 2
    halves = values[..., : 2 * length].reshape(len(values), -1, length)
    between: Array = halves.mean(axis=2).var(axis=1) / halves.var(axis=2).mean(axis=1)
    return between


def _slowness(values: Array) -> Array:
    """Return the variance of the means of batches of draws, of that of draws."""
    length = max(1, int(values.shape[2] ** 0.5))
    number = values.shape[2] // length
    batches = values[..., : number * length].reshape(*values.shape[:2], number, length)
    slowness: Array = batches.mean(axis=3).var(axis=(1, 2)) / values.var(axis=(1, 2))
    return slowness
