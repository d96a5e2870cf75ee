"""One model, many data sets: compiled once, several sampled at a time, one tree of results."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bayou.cluster.cores import usable_cores
from bayou.cluster.ray import resolve_cluster
from bayou.many.choose_sampler import SAMPLERS, check_sampler, chosen_sampler
from bayou.many.collect import (
    fresh,
    gather,
    in_order,
    lengths_of,
    model_fingerprint,
    noted,
    results_in,
    said,
    seed_of,
    tree_of,
)
from bayou.many.data_sets import read_data_sets
from bayou.many.dispatch import outcomes_of
from bayou.many.results.outcome import Axes, Outcome
from bayou.many.results.zarr_folder import made_with
from bayou.many.vectorised.blackjax_nuts import LANES, lane_outcomes
from bayou.models.context import model_of
from bayou.nuts.compiled_density import compiled_density
from bayou.nuts.sample import (
    STATISTICS,
    attrs_of,
    check_model,
    check_settings,
    run_chains,
    started,
    told,
    unpack,
)
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
    from bayou.nuts.compiled_density import CompiledDensity, Outputs


def sample_many(
    datasets: Any,
    *,
    by: str | None = None,
    model: pm.Model | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    sampler: str = "auto",
    random_seed: int | None = None,
    cluster: str | Ray | None = None,
    out: str | Path | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a model given each of many data sets, compiling once.

    Parameters
    ----------
    datasets : mapping, iterable or table
        Of keys, all strings or all whole numbers, to what :func:`bayou.set_data` takes:
        ``{"first": {"x": values}}``; or of such data alone, whose keys are 0, 1, ...; or, with
        `by`, a frame, dataset or source whose columns the containers were built from. A Series of
        data sets has its index for keys. All give values for the same containers. Values are read
        as they are sampled: where a mapping raises an error for one, that data set has failed.
    by : str, optional
        The column of a table whose values are the keys: the rows of each are a data set. The
        columns that are needed are read into memory.
    model : pymc.Model, optional
        The model; by default the one of the context. Containers that a data set does not name keep
        their values, and the model keeps its own.
    draws, tune, chains : int
        As for :func:`bayou.sample`, for each data set.
    sampler : {"auto", "nutpie", "blackjax"}, default "auto"
        "nutpie" runs one data set after another, "blackjax" batches of data sets as one vectorised
        program; both are NUTS. "auto" takes blackjax where it is faster as a rule, see the notes;
        with an `out` that is there, the one that it was begun with.
    random_seed : int, optional
        Decides all draws, those of a data set together with its key: they depend neither on the
        other data sets nor on their order.
    cluster : str or Ray, optional
        Where it runs: "ray" for this machine's cores, or the cluster that this process is connected
        to; the address of a Ray cluster; or a :class:`bayou.Ray` with the number of workers. Each
        is sent the model, compiles it, and is sent data sets in turn, whose results come back to
        this process. One that dies is replaced and its data sets run again; a data set that
        three of them died of has failed. By default, this process does all.
    out : path, optional
        A folder that the results are written to in Zarr as they are finished, up to 32 data sets at
        a time, in no order, and that the tree is read from where it is looked at. If it is there,
        of the same model and settings, what it lacks of the data sets is added, and those that
        failed run again if their data are others now, or their workers died of them.
    progressbar : bool, default True
        Show how many data sets are done, and have failed.

    Returns
    -------
    xarray.DataTree
        ``posterior`` and ``sample_stats`` with the dims dataset, chain, draw; and ``diagnostics``,
        a table of all data sets: the worst ``rhat``, ``ess_bulk`` and ``ess_tail`` of the free
        variables, ``divergences``, ``seconds`` from its start to its end, while others ran, or
        those of its batch, the number of rows, the fingerprint of the ``data`` and the ``error`` of
        those that failed, which are in no other group.
        ``tree["diagnostics"].to_dataset().to_dataframe()`` prints it.

    Raises
    ------
    ImportError
        If `sampler` is "blackjax", and that is not installed.
    TypeError
        If the data sets are none, their keys are of several types, there is no model, or it cannot
        be sampled, sampled by blackjax or sent to workers.
    ValueError
        If an argument is out of range or unknown, a variable or a dim is called "dataset", "chain"
        or "draw", `out` is of another model, settings or data or lacks files, or each data set
        failed.
    FileExistsError
        If `out` is something else, or in use.
    ConnectionError, ImportError, RuntimeError
        If there is no cluster at the address, no Ray here, or the cluster has no cores free.

    Warns
    -----
    UserWarning
        If data sets failed, with their keys.
    ConvergenceWarning
        If there are divergences, or an R-hat is above 1.01: for how many data sets.

    Notes
    -----
    Variables with a value for each row are as long as the longest data set has them, and NaN
    beyond a shorter one's end; ``num_row`` in the table, after the dim, says how many are its own.
    Integers and booleans with axes are floats therefore. The labels of a dim are those that
    :func:`bayou.set_data` would give it, if all data sets have the same; otherwise it has none, and
    positions along it are those of the rows of each data set. A data set without any row of what is
    observed has failed.

    Interrupted by Ctrl-C, or by an error of the iterable, the call raises the KeyboardInterrupt or
    the error. With `out` the data sets that were finished by then are kept, and the same call goes
    on from there; without, nothing is.

    The attribute ``inference_library`` of each group says which sampler ran. blackjax takes models
    whose likelihood is a product over rows, in 64 bits, with parameters that keep their shapes.
    Its chains go on together, so that a draw takes as long as the longest trajectory among 256 of
    them, and it compiles for about 8 seconds for each padded number of rows: 16, 24, 32, 48,
    64, and so on. So "auto" takes it where the number of data sets is known and at least 1,000 for
    each parameter, with up to 2 parameters, containers that are columns of rows, and up to 32 of
    these in the data set of the least key. On one core, it then takes 25 to 60 ms a data set of 20
    rows and 4 chains of 1,000 draws, nutpie 65 to 90 ms for a fifth more effective samples. Longer
    trajectories make it slower than nutpie: about thirty times for a hierarchical regression with
    8 parameters. The draws of the two are others: name one for draws that stay the same whatever
    the number of data sets.

    The draws are the same to the last bit on a cluster of machines of one kind, for any number of
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
    model = model_of(model)
    check_settings(draws, tune, chains, random_seed)
    check_sampler(sampler)
    check_model(model)
    where = resolve_cluster(cluster)
    found = read_data_sets(model, datasets, by)
    begun = made_with(out, "sampler") if out is not None and sampler == "auto" else None
    sampler = chosen_sampler(begun if begun in SAMPLERS else sampler, model, found)
    table = (*lengths_of(model), "rhat", "ess_bulk", "ess_tail", "divergences", "seconds")
    attrs = attrs_of(tune, sampler) | {ATTRIBUTE: provenance_of(model).of_many().to_json()}
    axes = Axes.of(model, table, attrs)
    settings = {"draws": int(draws), "tune": int(tune), "chains": int(chains)}
    made = {"sampler": sampler, "model": model_fingerprint(model), **settings}
    with results_in(out, axes, made, random_seed) as (results, entropy):
        order: deque[Key] = deque()
        data_sets = noted(fresh(found, results, model), order)
        sampled = lane_outcomes if sampler == "blackjax" else nuts_outcomes
        run = partial(sampled, draws=draws, tune=tune, chains=chains, entropy=entropy)
        # A worker is sent as many as run at once.
        together = max(1, LANES // chains) if sampler == "blackjax" else None
        outcomes = outcomes_of(run, model, data_sets, where, found.number, axes.free, together)
        # Results on disk are kept in no order, rather than that any wait for others in memory.
        outcomes = outcomes if out is not None else in_order(outcomes, order)
        gather(results, outcomes, found.number, progressbar)
        return tree_of(results)


def nuts_outcomes(
    model: pm.Model,
    data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]],
    draws: int,
    tune: int,
    chains: int,
    entropy: int,
) -> Generator[Outcome]:
    """Yield what NUTS drew from each data set, in their order; some of them run at a time."""
    run = _Sampling(model, compiled_density(model), draws, tune, chains, entropy)
    return run.outcomes(data_sets)


@dataclass(frozen=True, eq=False)
class _Running:
    """A data set whose chains run."""

    key: Key
    data: str
    arrays: ContainerArrays
    sampler: Any
    outputs: Outputs
    began: float


@dataclass(frozen=True, eq=False)
class _Sampling:
    """NUTS on one data set after another, some of them at a time."""

    model: pm.Model
    density: CompiledDensity
    draws: int
    tune: int
    chains: int
    entropy: int

    def outcomes(
        self, data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]]
    ) -> Generator[Outcome]:
        """Yield what came of each, in their order."""
        # Two more than keep the cores busy, so that none waits while a result is read; but one core
        # is not shared out.
        cores = usable_cores()
        at_once = 1 if cores == 1 else -(-cores // self.chains) + 2
        running: deque[_Running | Outcome] = deque()
        try:
            for key, arrays, data in data_sets:
                running.append(self._begin(key, arrays, data))
                if len(running) == at_once:
                    yield self._end_first(running)
            while running:
                yield self._end_first(running)
        finally:
            for left in running:
                if isinstance(left, _Running):
                    left.sampler.cancel()

    def _begin(
        self, key: Key, arrays: ContainerArrays | Exception, data: str
    ) -> _Running | Outcome:
        if isinstance(arrays, Exception):
            return Outcome(key, data, error=said(arrays))
        began = time.perf_counter()
        try:
            bound, outputs = started(self.model, self.density, arrays)
            seed = seed_of(key, self.entropy)
            sampler = run_chains(bound, self.draws, self.tune, self.chains, seed, blocking=False)
        except Exception as error:  # Of one data set, which costs the others nothing.
            return Outcome(key, data, error=said(error))
        return _Running(key, data, arrays, sampler, outputs, began)

    def _end_first(self, running: deque[_Running | Outcome]) -> Outcome:
        run = running[0]
        outcome = run if isinstance(run, Outcome) else self._end(run)
        running.popleft()
        return outcome

    def _end(self, run: _Running) -> Outcome:
        try:
            trace = run.sampler.wait()
        except RuntimeError as error:
            run.sampler.cancel()
            cause = told(error, self.model, self.density, run.arrays)
            return Outcome(run.key, run.data, error=said(cause))
        seconds = time.perf_counter() - run.began
        flat, statistics = unpack(trace, run.outputs.size, STATISTICS)
        numbers = {
            **lengths_of(self.model, run.arrays),
            "divergences": float(statistics["diverging"].sum()),
            "seconds": seconds,
        }
        groups = {"posterior": run.outputs.split(flat), "sample_stats": statistics}
        return Outcome(run.key, run.data, groups, numbers)
