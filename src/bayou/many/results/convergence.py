"""Convergence of the chains of each data set, and a warning of results that are doubtful."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayou.errors import ConvergenceWarning, warn, warning_of_failure
from bayou.many.results.stacked import stack_padded
from bayou.nuts.convergence.chain_diagnostics import WORST, element_diagnostics
from bayou.nuts.convergence.chain_doubts import LEAST_BFMI, MAX_CUT, MAX_RHAT
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from bayou.containers.variables.dims import Numbers
    from bayou.many.results.outcome import Outcome


@dataclass(frozen=True)
class Doubt:
    """A reason not to rely on the results of a data set.

    Attributes
    ----------
    column : str
        The column of the table that shows it.
    applies : callable
        Values of the column -> whether it applies. NaN: the diagnostic was not computed, so no.
    description : str
    """

    column: str
    applies: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
    description: str


# The limit of k-hat: Vehtari et al. (2024); the others as for `by.sample`.
DOUBTS = (
    Doubt("khat", lambda khat: khat > 0.7, "with k-hat above 0.7"),
    Doubt("converged", lambda converged: converged == 0, "did not converge"),
    Doubt("rhat", lambda rhat: rhat > MAX_RHAT, f"with R-hat above {MAX_RHAT}"),
    Doubt("divergences", lambda divergences: divergences > 0, "with divergences"),
    Doubt(
        "reached_max_treedepth", lambda share: share > MAX_CUT, "with trajectories that were cut"
    ),
    Doubt("bfmi", lambda bfmi: bfmi < LEAST_BFMI, f"with E-BFMI below {LEAST_BFMI}"),
)


def with_convergence(outcomes: Sequence[Outcome], variables: Sequence[str]) -> list[Outcome]:
    """Add the worst R-hat and effective sample sizes to the diagnostics of each outcome.

    Those that failed, or have them already, stay as they are.

    Parameters
    ----------
    outcomes : sequence of Outcome
    variables : sequence of str
        The variables whose chains are compared.
    """
    new = [
        outcome
        for outcome in outcomes
        if outcome.failure is None and "rhat" not in outcome.diagnostics
    ]
    if not (new and variables):
        return list(outcomes)
    columns: Mapping[str, NDArray[np.float64]] = {}
    with warning_of_failure(
        f"R-hat and ESS of {listed([outcome.key for outcome in new], 3)} are missing",
        "the draws are complete; arviz.summary has diagnostics of each data set.",
    ):
        columns = worst_convergence(
            stack_padded([outcome.groups["posterior"][name] for outcome in new])
            for name in variables
        )
    computed = {
        outcome.key: {name: float(values[index]) for name, values in columns.items()}
        for index, outcome in enumerate(new)
    }
    return [
        replace(outcome, diagnostics={**outcome.diagnostics, **computed.get(outcome.key, {})})
        for outcome in outcomes
    ]


def worst_convergence(arrays: Iterable[Numbers]) -> dict[str, NDArray[np.float64]]:
    """Return the largest R-hat and the smallest effective sample sizes of each data set.

    Parameters
    ----------
    arrays : iterable of ndarray, shape (data sets, chains, draws, ...)
        Draws of each variable; NaN where a data set has no such element.

    Returns
    -------
    dict of str to ndarray, shape (data sets,)
        ``rhat``, ``ess_bulk`` and ``ess_tail``.
    """
    elements: dict[str, list[NDArray[np.float64]]] = {name: [] for name in WORST}
    for array in arrays:
        # Elements of variables before chains and draws: (data sets, elements, chains, draws).
        draws = np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 1)
        for name, values in element_diagnostics(draws).items():
            elements[name].append(values)
    return {
        name: WORST[name](np.concatenate(parts, axis=1), axis=1) for name, parts in elements.items()
    }


def warn_of_doubtful(table: xr.Dataset) -> None:
    """Warn once for all data sets whose results are doubtful, with a count for each reason."""
    doubtful = {
        doubt.description: rows
        for doubt in DOUBTS
        if doubt.column in table and (rows := doubt.applies(table[doubt.column].values)).any()
    }
    if not doubtful:
        return
    counts = ", ".join(f"{int(rows.sum())} {reason}" for reason, rows in doubtful.items())
    number = int(np.logical_or.reduce([*doubtful.values()]).sum())
    num_successful = int((table["error"].values == "").sum())
    warn(
        f"Results of {number} of {num_successful} data sets are doubtful: {counts}.\n"
        'Hint: tree["diagnostics"] shows which; sample those that were fitted, and take more draws '
        "or tuning steps for those that were sampled.",
        ConvergenceWarning,
    )
