"""One model fitted to many data sets, compiled once: draws from each fit, and how good it is."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.arguments import whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.containers.set_data import temporary_values
from bayou.errors import ConvergenceWarning
from bayou.fitting.fit import fit
from bayou.many.collect import (
    fresh,
    gather,
    lengths_of,
    model_fingerprint,
    results_in,
    said,
    seed_of,
    tree_of,
)
from bayou.many.data_sets import read_data_sets
from bayou.many.dispatch import outcomes_of
from bayou.many.results.outcome import Axes, Outcome
from bayou.models.context import model_of
from bayou.provenance.model_provenance import provenance_of
from bayou.provenance.record import ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.cluster.ray import Ray
    from bayou.containers.variables.dims import ContainerArrays
    from bayou.many.data_sets import Key

# The columns of the table, after the lengths.
COLUMNS = ("khat", "converged", "seconds")


def fit_many(
    datasets: Any,
    *,
    by: str | None = None,
    model: pm.Model | None = None,
    n: int | str = "auto",
    method: str = "auto",
    draws: int = 1000,
    random_seed: int | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Fit a model to each of many data sets, as :func:`bayou.fit` does, compiling once.

    Parameters
    ----------
    datasets : mapping, iterable or table
        As for :func:`bayou.sample_many`.
    by : str, optional
        The column of a table whose values are the keys.
    model : pymc.Model, optional
        The model; by default the one of the context. Containers that a data set does not name keep
        their values, and the model has its own again afterwards.
    n, method : int or str
        As for :func:`bayou.fit`.
    draws : int, default 1000
        The number of draws from each fit, which also judge it.
    random_seed : int, optional
        Decides all fits and draws, those of a data set together with its key.
    cluster : str or Ray, optional
        Where it runs, as for :func:`bayou.sample_many`.
    out : path, optional
        A folder that the results are written to, as for :func:`bayou.sample_many`.
    progressbar : bool, default True
        Show how many data sets are done, and have failed.

    Returns
    -------
    xarray.DataTree
        ``posterior`` with the dims dataset, chain (one) and draw; and ``diagnostics``, a table of
        all data sets: the ``khat`` of each fit on all of its rows, whether it ``converged`` (1 or
        0), ``seconds``, the number of rows, the fingerprint of the ``data`` and the ``error`` of
        those that failed, which are in no other group.

    Raises
    ------
    TypeError
        If the data sets are none, there is no model, or it cannot be fitted or sent to workers.
    ValueError
        If an argument is out of range, a variable or a dim is called "dataset", "chain" or "draw",
        `out` is of another model, settings or data or lacks files, or each data set failed.
    FileExistsError
        If `out` is something else, or in use.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, no Ray here, or the cluster has no cores free.

    Warns
    -----
    UserWarning
        If data sets failed, with their keys.
    ConvergenceWarning
        If a k-hat is above 0.7, or a fit did not converge: for how many data sets.

    Notes
    -----
    Rows, their labels and interruptions are treated as by :func:`bayou.sample_many`.

    Other numbers of rows compile nothing where the likelihood is one of rows, unless deterministics
    have a value for each of them. On a cluster, sums over rows may be rounded otherwise,
    within 1e-10 of their size.

    Examples
    --------
    >>> with pm.Model():
    ...     y = by.Data("y", [0.0], dims="row")
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("observed", mu, 1, observed=y, dims="row")
    ...     tree = by.fit_many(
    ...         {"low": {"y": [0.5, 1.5]}, "high": {"y": [9.0]}}, random_seed=1, progressbar=False
    ...     )
    >>> tree.posterior["mu"].mean(("chain", "draw")).round().to_series().to_dict()
    {'low': 1.0, 'high': 9.0}
    """
    model = model_of(model)
    draws = whole_number("draws", draws, 100, "k-hat is of a fifth of them or less.")
    if random_seed is not None:
        whole_number("random_seed", random_seed, 0, "any whole number will do.")
    where = resolve_cluster(cluster)
    found = read_data_sets(model, datasets, by)
    provenance = provenance_of(model).of_many()
    attrs = {"inference_library": "bayou", ATTRIBUTE: provenance.to_json()}
    axes = Axes.of(model, (*lengths_of(model), *COLUMNS), attrs)
    made = {"fit": [n, method], "model": model_fingerprint(model), "draws": draws}
    with results_in(out, axes, made, random_seed) as (results, entropy):
        data_sets = fresh(found, results, model)
        run = partial(fit_outcomes, n=n, method=method, draws=draws, entropy=entropy)
        outcomes = outcomes_of(run, model, data_sets, where, found.number)
        gather(results, outcomes, found.number, progressbar)
        return tree_of(results)


def fit_outcomes(
    model: pm.Model,
    data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]],
    n: int | str,
    method: str,
    draws: int,
    entropy: int,
) -> Generator[Outcome]:
    """Yield what came of each data set, in their order."""
    for key, arrays, data in data_sets:
        began = time.perf_counter()
        try:
            if isinstance(arrays, Exception):
                raise arrays
            with temporary_values(arrays):
                groups, numbers = _fitted(model, n, method, draws, seed_of(key, entropy))
        except Exception as error:  # Of one data set, which costs the others nothing.
            yield Outcome(key, data, error=said(error))
            continue
        numbers = lengths_of(model, arrays) | numbers | {"seconds": time.perf_counter() - began}
        yield Outcome(key, data, groups, numbers)


def _fitted(
    model: pm.Model, n: int | str, method: str, draws: int, seed: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return draws from a fit to the data that the model holds now, and how good it is."""
    with warnings.catch_warnings():
        # One warning says it of all data sets.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = fit(n, method, model=model, random_seed=seed, progressbar=False)
    khat = found.khat(draws, random_seed=seed) if found.density.obstacle is None else np.nan
    posterior = found.draws(draws, random_seed=seed)
    # NaN: a given number of steps has no stopping rule to meet.
    converged = np.nan if found.converged is None else float(found.converged)
    return {"posterior": posterior}, {"khat": khat, "converged": converged}
