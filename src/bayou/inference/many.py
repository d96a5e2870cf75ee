"""One model, many data sets: compiled once, several sampled at a time, one tree of results."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.data_sets import read_data_sets
from bayou.containers.dims import dims_of
from bayou.containers.set_data import new_arrays
from bayou.inference.compiled import compiled_density
from bayou.inference.context import model_of
from bayou.inference.fingerprint import array_fingerprint
from bayou.inference.nuts import (
    attrs_of,
    check_model,
    check_settings,
    run_chains,
    started,
    told,
    unpack,
)
from bayou.inference.structure import variable_fingerprints
from bayou.results.many import AT_ONCE, TABLE, Axes, Gathered, Outcome
from bayou.results.many_store import seed_in, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.containers.data_sets import DataSets, Key
    from bayou.containers.dims import Arrays
    from bayou.inference.compiled import CompiledDensity, Outputs
    from bayou.results.many import Results

# What ArviZ reads of what a sampler says.
STATISTICS = (
    "lp",
    "energy",
    "diverging",
    "tree_depth",
    "reached_max_treedepth",
    "n_steps",
    "acceptance_rate",
)


def sample_many(
    datasets: Any,
    *,
    by: str | None = None,
    model: pm.Model | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int | None = None,
    out: str | Path | None = None,
) -> xr.DataTree:
    """Draw from the posterior of a model given each of many data sets, compiling once.

    Parameters
    ----------
    datasets : mapping, iterable or table
        Of keys, all strings or all whole numbers, to what :func:`bayou.set_data` takes:
        ``{"first": {"x": values}}``; or of such data alone, whose keys are 0, 1, ...; or, with
        `by`, a frame, dataset or source whose columns the containers were built from. An iterable
        is read as it is sampled.
    by : str, optional
        The column of a table whose values are the keys: the rows of each are a data set. The
        columns that are needed are read into memory.
    model : pymc.Model, optional
        The model; by default the one of the context. Containers that a data set does not name keep
        their values, and the model keeps its own.
    draws, tune, chains : int
        As for :func:`bayou.sample`, for each data set.
    random_seed : int, optional
        Decides all draws, those of a data set together with its key: they depend neither on the
        other data sets nor on their order.
    out : path, optional
        A folder that the results are written to in Zarr as they are finished, 16 data sets at a
        time, and that the tree is read from where it is looked at. If it is there, of the same
        model and settings, what it lacks of the data sets is added.

    Returns
    -------
    xarray.DataTree
        ``posterior`` and ``sample_stats`` with the dims dataset, chain, draw; and ``diagnostics``,
        a table of all data sets: the worst ``rhat``, ``ess_bulk`` and ``ess_tail`` of the free
        variables, ``divergences``, ``seconds`` from its start to its end, while others ran, the
        number of rows, the fingerprint of the ``data`` and the ``error`` of those that failed,
        which are in no other group. ``tree["diagnostics"].to_dataset().to_dataframe()`` prints it.

    Raises
    ------
    TypeError
        If the data sets are none, there is no model, or it cannot be sampled.
    ValueError
        If an argument is out of range, `out` is of another model, settings or data, or each data
        set failed.
    FileExistsError
        If `out` is something else, or in use.

    Warns
    -----
    UserWarning
        If data sets failed, with their keys.

    Notes
    -----
    Variables with a value for each row are as long as the longest data set has them, and NaN
    beyond a shorter one's end; ``num_row`` in the table, after the dim, says how many are its own.
    Integers and booleans with axes are floats therefore. Labels of a dim are those of the model if
    they are as many as the values.

    Examples
    --------
    >>> with pm.Model():
    ...     y = by.Data("y", [0.0], dims="row")
    ...     mu = pm.Normal("mu", 0, 10)
    ...     observed = pm.Normal("observed", mu, 1, observed=y, dims="row")
    ...     tree = by.sample_many({"low": {"y": [0.5, 1.5]}, "high": {"y": [9.0]}}, random_seed=1)
    >>> tree.posterior["mu"].mean(("chain", "draw")).round().to_series().to_dict()
    {'low': 1.0, 'high': 9.0}
    """
    model = model_of(model)
    check_settings(draws, tune, chains, random_seed)
    check_model(model)
    found = read_data_sets(model, datasets, by)
    table = (*lengths_of(model), "rhat", "ess_bulk", "ess_tail", "divergences", "seconds")
    axes = Axes.of(model, table, attrs_of(tune))
    settings = {"draws": int(draws), "tune": int(tune), "chains": int(chains)}
    made = {"sampler": "NUTS", "model": model_fingerprint(model), **settings}
    with results_in(out, axes, made, random_seed) as (results, entropy):
        run = _Sampling(model, compiled_density(model), **settings, entropy=entropy)
        gather(results, run.outcomes(fresh(found, results.done, model)))
        return tree_of(results)


@contextmanager
def results_in(
    out: str | Path | None, axes: Axes, made: dict[str, Any], random_seed: int | None
) -> Iterator[tuple[Results, int]]:
    """Yield where results are gathered, and the seed: that of the folder if none is given."""
    if random_seed is None and out is not None:
        random_seed = seed_in(out)
    entropy: Any = np.random.SeedSequence(random_seed).entropy
    if out is None:
        yield Gathered(axes), entropy
        return
    with stored(out, axes, {**made, "random_seed": int(entropy)}) as results:
        yield results, entropy


def model_fingerprint(model: pm.Model) -> str:
    """Return the fingerprint of what a model says, apart from its data."""
    text = json.dumps(variable_fingerprints(model), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fresh(
    found: DataSets, done: dict[Key, str], model: pm.Model
) -> Iterator[tuple[Key, Arrays | Exception, str]]:
    """Yield the keys of data sets that are not done, with arrays, or why there are none.

    Raises
    ------
    ValueError
        If one that is done had other data.
    """
    seen: set[Key] = set()
    for key, new_data in found:
        if key in seen:
            raise ValueError(
                f"`datasets` must have each key once, got {key!r} twice.\n"
                "Hint: 1 and True, or '1' and numpy's '1', are one key."
            )
        seen.add(key)
        arrays: Arrays | Exception
        try:
            arrays = new_arrays(model, new_data)
            data = _fingerprint(model, arrays)
        except Exception as error:  # Of one data set, which costs the others nothing.
            arrays, data = error, ""
        if key not in done:
            yield key, arrays, data
        elif data != done[key]:
            raise ValueError(
                f"`out` must hold results of the same data, got others for {key!r}.\n"
                "Hint: pass another path, or another key for the new data."
            )


def gather(results: Results, outcomes: Iterator[Outcome]) -> None:
    """Put results where they are gathered, those that are finished when it is interrupted too."""
    waiting: list[Outcome] = []
    try:
        for outcome in outcomes:
            waiting.append(outcome)
            if len(waiting) == AT_ONCE:
                results.append(waiting)
                waiting = []
    finally:
        if waiting:
            results.append(waiting)


def tree_of(results: Results) -> xr.DataTree:
    """Return the tree of all results; warn of those that failed."""
    if not results.done:
        raise ValueError(
            "`datasets` must hold at least one data set, got an iterable without any.\n"
            "Hint: check what was to be read; a generator yields its items once."
        )
    tree = results.tree()
    errors = tree[TABLE]["error"].to_series()
    failed = errors[errors != ""]
    if len(failed) == len(errors):
        raise ValueError(
            f"Each of the {len(errors)} data sets failed, {failed.index[0]!r} with:\n"
            f"{failed.iloc[0]}"
        )
    if len(failed):
        keys = ", ".join(map(repr, failed.index[:5])) + (", ..." if len(failed) > 5 else "")
        warnings.warn(
            f"{len(failed)} of {len(errors)} data sets failed: {keys}.\n"
            'Hint: tree["diagnostics"]["error"] says why.',
            UserWarning,
            stacklevel=3,
        )
    return tree


def seed_of(key: Key, entropy: int) -> int:
    """Return the seed of a data set: a function of its key and of the seed of all."""
    words = hashlib.sha256(f"{type(key).__name__} {key}".encode()).digest()[:16]
    sequence = np.random.SeedSequence([entropy, int.from_bytes(words)])
    return int(sequence.generate_state(1, np.uint64)[0])


def said(error: Exception) -> str:
    """Return what the table says of an error."""
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True, eq=False)
class _Running:
    """A data set whose chains run."""

    key: Key
    data: str
    arrays: Arrays
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
        self, data_sets: Iterator[tuple[Key, Arrays | Exception, str]]
    ) -> Iterator[Outcome]:
        """Yield what came of each, in their order."""
        cores = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
        # One more than keeps the cores busy, so that none waits while a result is read.
        at_once = -(-cores // self.chains) + 1
        running: deque[_Running | Outcome] = deque()
        try:
            for key, arrays, data in data_sets:
                running.append(self._begin(key, arrays, data))
                if len(running) > at_once:
                    yield self._end(running[0])
                    running.popleft()
            while running:
                yield self._end(running[0])
                running.popleft()
        finally:
            for left in running:
                if isinstance(left, _Running):
                    left.sampler.cancel()

    def _begin(self, key: Key, arrays: Arrays | Exception, data: str) -> _Running | Outcome:
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

    def _end(self, run: _Running | Outcome) -> Outcome:
        if isinstance(run, Outcome):
            return run
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


def lengths_of(model: pm.Model, arrays: Arrays | None = None) -> dict[str, float]:
    """Return the lengths of the dims of containers that variables have, as the table names them."""
    of_results = {
        dim
        for variable in model.unobserved_RVs
        for dim in model.named_vars_to_dims.get(variable.name) or ()
    }
    lengths = {}
    for variable in model.root.data_vars:
        value = (arrays or {}).get(variable, variable.get_value(borrow=True))
        for dim, length in zip(dims_of(model, variable), value.shape, strict=True):
            if dim in of_results:
                lengths[f"num_{dim}"] = float(length)
    return lengths


def _fingerprint(model: pm.Model, arrays: Arrays) -> str:
    """Return the fingerprint of what the containers of a model hold for a data set."""
    parts = [
        f"{variable.name} {array_fingerprint(arrays.get(variable, held))}"
        for variable in model.root.data_vars
        for held in (variable.get_value(borrow=True),)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
