"""`by.sample_many`: NUTS on many data sets, compiled once, with one tree of results.

The data sets are read by ``data_sets``, run by ``nutpie_runs`` or ``vectorised``, as
``choose_sampler`` decides, in this process or on workers by ``dispatch``, and their outcomes are
kept by ``results``, in memory or on disk. ``collect`` ties these together.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bayou.arguments import check_progressbar
from bayou.cluster.ray import resolve_cluster
from bayou.compression.compress_option import check_compress
from bayou.compression.weighted_model import weighted_model
from bayou.containers.data_access import reading_data
from bayou.many.choose_sampler import SAMPLERS, check_sampler, choose_sampler
from bayou.many.collect import recorded_weights, run_many, structure_digest
from bayou.many.data_sets.by_key import read_data_sets
from bayou.many.data_sets.pending import lengths_of
from bayou.many.nutpie_runs import nutpie_outcomes
from bayou.many.results.outcome import ResultAxes
from bayou.many.results.zarr_folder import recorded_setting
from bayou.many.vectorised.blackjax_nuts import MOST_CHAINS, blackjax_outcomes
from bayou.models.plain.plain_model import read_model
from bayou.nuts.model_checks import check_model
from bayou.nuts.settings import NutsSettings, nuts_seed
from bayou.nuts.trace import sampler_attrs
from bayou.provenance.model_provenance import many_attrs

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from bayou.arguments import RandomSeed
    from bayou.cluster.ray import Ray
    from bayou.containers.context import ModelLike
    from bayou.many.dispatch import Run

# The columns of the table, after the lengths.
COLUMNS = (
    "rhat",
    "ess_bulk",
    "ess_tail",
    "divergences",
    "reached_max_treedepth",
    "bfmi",
    "seconds",
    "num_distinct",
)


def sample_many(
    datasets: object,
    *,
    by: str | None = None,
    model: ModelLike | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    sampler: str = "auto",
    weights: str | None = None,
    compress: bool | str = "auto",
    random_seed: RandomSeed | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Draw from the posteriors of a model with NUTS, one posterior for each of many data sets.

    The model is compiled once. Several data sets are sampled at a time, to use all cores.

    Parameters
    ----------
    datasets : mapping, iterable or table
        One of

        - a mapping of keys, all strings or all whole numbers, to new data, each as for
          :func:`bayou.set_data`: ``{"first": {"x": values}, "second": {"x": more_values}}``; a
          pandas Series of new data is such a mapping, by its index;
        - an iterable of new data, whose keys are 0, 1, ...;
        - with `by`, a frame, dataset, mapping of columns or source whose columns the containers
          were built from.

        All data sets must have values for the same containers. Values of a mapping are looked up
        only when they are needed. If the look-up raises an exception, the data set counts as
        failed.
    by : str, optional
        The column of a table whose values are the keys: rows with the same value form one data set.
        The columns that the containers use are read into memory.
    model : pymc.Model or model of a library, optional
        The model; by default the model of the context. Its data do not change. A container for
        which the data sets have no values keeps its own.
    draws, tune, chains : int, default 1000, 1000 and 4
        As for :func:`bayou.sample`, for each data set.
    target_accept, max_treedepth : float and int, default 0.8 and 10
        As for :func:`bayou.sample`.
    sampler : {"auto", "nutpie", "blackjax"}, default "auto"
        "nutpie" samples each data set separately, several in parallel; "blackjax" samples batches
        of data sets in one vectorised program. Both are NUTS, but their draws differ. "auto" takes
        the sampler of an existing `out`, else blackjax where it is usually faster (see Notes).
    weights : str, optional
        A container with one number of at least 0 for each row: how often the row counts, as for
        :func:`bayou.sample`. Data sets may have values for this container. A data set with a weight
        that is negative or not finite counts as failed.
    compress : {"auto", True, False}, default "auto"
        Evaluate the density of a data set on its distinct rows, each counted as often as it occurs,
        as for :func:`bayou.sample`. "auto" does this for data sets of at least 10,000 rows, if at
        most half of these are distinct and no deterministic has a value for each row. blackjax does
        not do it.
    random_seed : int, sequence of int, numpy.random.Generator, RandomState or None
        Seed of all draws. The draws for a data set depend only on the seed and its key, not on the
        other data sets or on their order. By default, the seed of an existing `out`, else a new one
        at each call.
    cluster : str or Ray, optional
        Where data sets are sampled: "ray" for a Ray cluster that this process is connected to, or a
        new one on the cores of this machine; the address of a cluster; or a :class:`bayou.Ray` with
        the number of workers. Each worker compiles the model once and is sent data sets in turn. A
        worker that dies is replaced, and its data sets are sampled again. If three workers die on
        the same data set, it counts as failed. By default, this process does all work.
    out : path, optional
        A folder for the results, in Zarr format. They are written in the order in which data sets
        finish, up to 32 at a time. If the folder exists, data sets with results in it are skipped.
        Failed ones are sampled again if their data have changed or their workers died. The model
        and the settings must be the same as before.
    progressbar : bool, default True
        Show how many data sets are done, and how many have failed.

    Returns
    -------
    xarray.DataTree
        ``posterior`` and ``sample_stats`` with the dims dataset, chain and draw, then those of the
        model; and ``diagnostics``, a table with a row for each data set, failed ones included:

        - the worst ``rhat``, ``ess_bulk`` and ``ess_tail`` of the free variables;
        - ``divergences``, the number of divergent draws; ``reached_max_treedepth``, the share of
          trajectories that were cut at `max_treedepth`, in the chain with the most; ``bfmi``, the
          least E-BFMI of a chain;
        - ``seconds`` from its start to its end, during which other data sets may run too; with
          blackjax, the seconds of its batch;
        - the number of rows, ``num_row`` for a dim called "row";
        - ``num_distinct``, the number of distinct rows that replaced all rows (see `compress`); NaN
          if all rows were used;
        - ``data``, a fingerprint (hash) of the data, and ``error``, empty unless it failed.

        ``tree["diagnostics"].to_dataset().to_dataframe()`` is the table as a data frame. With
        `out`, values are read from the folder when they are used.

    Raises
    ------
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, Ray is not installed, or the cluster has no free
        cores; if `sampler` is "blackjax", and that is not installed.
    FileExistsError
        If `out` exists and is not such a folder, or another process writes to it.
    OtherDataError
        If `out` has results of other data for a key.
    TypeError
        If `datasets` is of none of these kinds, its keys are of several types, there is no model,
        or the model cannot be sampled, vectorised for blackjax, or sent to workers.
    ValueError
        If an argument is out of range or unknown, a variable or dim of the model is called
        "dataset", "chain" or "draw", `out` was begun with another model or other settings or has
        lost files, there is no data set, or all failed.

    Warns
    -----
    ConvergenceWarning
        If there are divergences, an R-hat is above 1.01, more than 5% of the trajectories of a
        chain were cut, or an E-BFMI is below 0.3. The warning gives the number of such data sets.
    UserWarning
        If data sets failed (the warning names their keys), or if Ctrl-C stopped the call (it says
        how many data sets are done).

    Notes
    -----
    Variables with a value for each row have the length of the longest data set. Shorter data sets
    are filled with NaN at the end: ``num_row`` is the number of rows of each. So that they can hold
    NaN, integer and boolean variables with axes become floats. A dim has the labels that
    :func:`bayou.set_data` would give it, if these are the same for all data sets; else it has no
    labels. A data set without observed rows counts as failed.

    After Ctrl-C, the tree has the data sets that are finished, if there are any. With `out`, the
    same call later continues from there. This is also the case after an exception in an iterable of
    data sets, which the call does not catch.

    blackjax needs a likelihood that is a product over rows, 64-bit floats, and parameters of the
    same shapes in all data sets. It samples 256 chains side by side, so that each draw takes as
    long as the longest trajectory among them. Data sets are padded to 16, 24, 32, 48, 64, ... rows,
    and each of these lengths takes about 8 seconds to compile. "auto" takes blackjax under four
    conditions: it is installed; there are at most 2 parameters; there are at least 1,000 data sets
    per parameter, a number that must be known in advance; and all containers are columns, of up to
    32 rows in the data set with the smallest key. For such models, with 20 rows and 4 chains of
    1,000 draws, it takes 25 to 60 ms a data set on one core; nutpie takes 65 to 90 ms, with a fifth
    more effective draws. With longer trajectories blackjax is slower, about thirty times for a
    hierarchical regression of 8 parameters. Pass "nutpie" or "blackjax" if the draws must not
    depend on the number of data sets. The attribute ``inference_library`` of each group says which
    one ran.

    On a cluster of machines of one kind, draws are the same to the last bit for any number of
    workers.

    Examples
    --------
    >>> with pm.Model():
    ...     y = by.Data("y", [0.0], dims="row")
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("observed", mu, 1, observed=y, dims="row")
    ...     tree = by.sample_many(
    ...         {"low": {"y": [0.5, 1.5]}, "high": {"y": [9.0]}}, random_seed=1, progressbar=False
    ...     )
    >>> tree.posterior["mu"].mean(("chain", "draw")).round().to_series().to_dict()
    {'low': 1.0, 'high': 9.0}
    """
    check_progressbar(progressbar)
    model = read_model(model)
    settings = NutsSettings(draws, tune, chains, target_accept, max_treedepth)
    check_sampler(sampler)
    check_compress(compress)
    check_model(model)
    weighted = weighted_model(model, weights)
    workers = resolve_cluster(cluster)
    data_sets = read_data_sets(model, datasets, by)
    if sampler == "auto" and out is not None and recorded_setting(out, "sampler") in SAMPLERS:
        sampler = recorded_setting(out, "sampler")
    if compress is True and sampler == "blackjax":
        raise ValueError(
            "`compress=True` must come with sampler='nutpie', got sampler='blackjax'.\n"
            "Hint: leave one of them out; blackjax is for data sets of few rows."
        )
    if compress is True:
        sampler = "nutpie"
    sampler = choose_sampler(sampler, weighted, data_sets.number, data_sets.first)
    run: Run = (
        partial(blackjax_outcomes, settings=settings, weights=weights)
        if sampler == "blackjax"
        else partial(nutpie_outcomes, settings=settings, weights=weights, compress=compress)
    )
    attrs = sampler_attrs(settings, sampler) | many_attrs(model)
    with reading_data(model):
        return run_many(
            run,
            model,
            data_sets,
            axes=ResultAxes.of(model, (*lengths_of(model), *COLUMNS), attrs),
            settings={
                "sampler": sampler,
                "model": structure_digest(model),
                **settings.recorded(),
                **recorded_weights(weights),
            },
            seed=nuts_seed(random_seed),
            cluster=workers,
            out=out,
            progressbar=progressbar,
            # As many as a worker runs together.
            per_call=max(1, MOST_CHAINS // settings.chains) if sampler == "blackjax" else None,
        )
