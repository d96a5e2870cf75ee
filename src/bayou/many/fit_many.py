"""`by.fit_many`: one model fitted to many data sets, compiled once, with draws from each fit."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayou.arguments import check_progressbar, seed_number, whole_number
from bayou.cluster.ray import resolve_cluster
from bayou.compression.compress_option import check_compress
from bayou.compression.weighted_model import weighted_model
from bayou.containers.set_data import temporary_values
from bayou.errors import ConvergenceWarning
from bayou.fitting.fit import fit
from bayou.fitting.fit_options import check_method, check_num_steps
from bayou.many.collect import recorded_weights, run_many, structure_digest
from bayou.many.data_sets.by_key import read_data_sets
from bayou.many.data_sets.pending import lengths_of
from bayou.many.results.outcome import Outcome, ResultAxes
from bayou.models.plain.plain_model import read_model
from bayou.provenance.model_provenance import many_attrs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.cluster.ray import Ray
    from bayou.containers.context import ModelLike
    from bayou.containers.variables.dims import Numbers
    from bayou.fitting.result.fit_result import Fit
    from bayou.many.data_sets.pending import Pending

# The columns of the table, after the lengths.
COLUMNS = ("khat", "converged", "seconds", "num_distinct")


def fit_many(
    datasets: object,
    *,
    by: str | None = None,
    model: ModelLike | None = None,
    n: int | str = "auto",
    method: str = "auto",
    draws: int = 1000,
    weights: str | None = None,
    compress: bool | str = "auto",
    random_seed: RandomSeed | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Fit a model to each of many data sets, as :func:`bayou.fit` does, and draw from each fit.

    If the likelihood is a product over rows and no deterministic has a value for each row, the
    model is compiled once for data sets of all lengths. Otherwise, it is compiled for each length.

    Parameters
    ----------
    datasets : mapping, iterable or table
        As for :func:`bayou.sample_many`.
    by : str, optional
        The column of a table whose values are the keys.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. After the call, it has the same data as
        before. A container for which the data sets have no values keeps its data.
    n : int or "auto", default "auto"
        Steps of each fit, as for :func:`bayou.fit`.
    method : str, default "auto"
        The method of each fit, as for :func:`bayou.fit`.
    draws : int, default 1000
        Draws from each fit, at least 100. k-hat is computed from the same draws.
    weights : str, optional
        A container with one number of at least 0 for each row: how often the row counts, as for
        :func:`bayou.fit`. Data sets may have values for this container. A data set with a weight
        that is negative or not finite counts as failed.
    compress : {"auto", True, False}, default "auto"
        Fit the distinct rows of a data set, each counted as often as it occurs, as for
        :func:`bayou.fit`.
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None
        Seed of all fits and draws. The results for a data set depend only on the seed and its key.
        By default, the seed of an existing `out`, else a new one at each call.
    cluster : str or Ray, optional
        Where data sets are fitted, as for :func:`bayou.sample_many`.
    out : path, optional
        A folder for the results, as for :func:`bayou.sample_many`.
    progressbar : bool, default True
        Show how many data sets are done, and how many have failed.

    Returns
    -------
    xarray.DataTree
        ``posterior`` with the dims dataset, chain (of length one) and draw, then those of the
        model; and ``diagnostics``, a table with a row for each data set, failed ones included:

        - ``khat``, the k-hat of the fit on all rows of the data set; inf if the log density is not
          a number at a draw;
        - ``converged``: 1 if the stopping rule was met, 0 if not, NaN if no rule was applied;
        - ``seconds``, and the number of rows, ``num_row`` for a dim called "row";
        - ``num_distinct``, the number of distinct rows that replaced all rows (see `compress`); NaN
          if all rows were used;
        - ``data``, a fingerprint (hash) of the data, and ``error``, empty unless it failed.

    Raises
    ------
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, Ray is not installed, or the cluster has no free
        cores.
    FileExistsError
        If `out` exists and is not such a folder, or another process writes to it.
    OtherDataError
        If `out` has results of other data for a key.
    TypeError
        If `datasets` is of none of these kinds, its keys are of several types, there is no model,
        or it cannot be sent to workers.
    ValueError
        If an argument is out of range, a variable or dim of the model is called "dataset", "chain"
        or "draw", `out` was begun with another model or other settings or has lost files, there is
        no data set, or all failed.

    Warns
    -----
    ConvergenceWarning
        If a k-hat is above 0.7, or a fit did not converge. The warning gives the number of such
        data sets.
    UserWarning
        If data sets failed (the warning names their keys), or if Ctrl-C stopped the call (it says
        how many data sets are done).

    Notes
    -----
    Data sets of several lengths, their labels and interrupted calls are handled as in
    :func:`bayou.sample_many`. On a cluster, sums over rows may be rounded differently: by up to
    1e-10 of their size.

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
    check_num_steps(n)
    check_method(method)
    check_progressbar(progressbar)
    model = read_model(model)
    check_compress(compress)
    weighted_model(model, weights)
    draws = whole_number("draws", draws, 100, "k-hat comes from the largest fifth of the ratios.")
    workers = resolve_cluster(cluster)
    data_sets = read_data_sets(model, datasets, by)
    attrs = {"inference_library": "bayou"} | many_attrs(model)
    return run_many(
        partial(fit_outcomes, n=n, method=method, draws=draws, weights=weights, compress=compress),
        model,
        data_sets,
        axes=ResultAxes.of(model, (*lengths_of(model), *COLUMNS), attrs),
        settings={
            "fit": [n, method],
            "model": structure_digest(model),
            "draws": draws,
            **recorded_weights(weights),
        },
        seed=seed_number(random_seed),
        cluster=workers,
        out=out,
        progressbar=progressbar,
    )


def fit_outcomes(
    model: pm.Model,
    pending: Iterator[Pending],
    n: int | str,
    method: str,
    draws: int,
    *,
    weights: str | None = None,
    compress: bool | str = "auto",
) -> Generator[Outcome]:
    """Yield the outcomes of data sets that the model is fitted to, in their order."""
    for data_set in pending:
        if isinstance(data_set, Outcome):
            yield data_set
            continue
        began = time.perf_counter()
        try:
            with temporary_values(data_set.arrays):
                with warnings.catch_warnings():
                    # One warning for all data sets counts those that did not converge.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    fitted = fit(
                        n,
                        method,
                        model=model,
                        weights=weights,
                        compress=compress,
                        random_seed=data_set.seed,
                        progressbar=False,
                    )
                posterior, diagnostics = _draw(fitted, draws, data_set.seed)
        # Whatever is wrong with one data set must not cost the results of the others.
        except Exception as error:
            yield data_set.failed(error)
            continue
        diagnostics |= lengths_of(model, data_set.arrays)
        if fitted.approximation.num_distinct is not None:
            diagnostics["num_distinct"] = float(fitted.approximation.num_distinct)
        diagnostics["seconds"] = time.perf_counter() - began
        yield data_set.succeeded({"posterior": posterior}, diagnostics)


def _draw(result: Fit, draws: int, seed: int) -> tuple[dict[str, Numbers], dict[str, float]]:
    """Return draws and diagnostics of the fit of a data set."""
    if result.approximation.interrupted:
        # The fit is of no use among others that were finished, which are kept.
        raise KeyboardInterrupt
    khat = np.nan
    if result.density.obstacle is None:
        try:
            khat = result.khat(draws, random_seed=seed)
        except ValueError:
            # The density is not a number at some draws: no limit of k-hat allows that.
            khat = np.inf
    # NaN where no stopping rule was applied, since `n` is a number of steps.
    converged = np.nan if result.converged is None else float(result.converged)
    return result.draws(draws, random_seed=seed), {"khat": khat, "converged": converged}
