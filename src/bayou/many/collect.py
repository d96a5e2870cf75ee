"""The way of many data sets to one tree: those to run, their outcomes, and where results are kept.

`run_many` is the body that ``sample_many`` and ``fit_many`` share; they differ in what runs on each
data set.
"""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from bayou.errors import warn
from bayou.many.data_sets.pending import pending_data_sets
from bayou.many.dispatch import dispatch
from bayou.many.results.convergence import warn_of_doubtful, with_convergence
from bayou.many.results.in_memory import InMemoryResults
from bayou.many.results.outcome import OUTCOMES_PER_WRITE, TABLE
from bayou.many.results.zarr_folder import open_zarr_folder, recorded_setting
from bayou.progress import data_set_progress
from bayou.provenance.model_fingerprint import variable_fingerprints
from bayou.text import digest, listed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.cluster.ray import Ray
    from bayou.many.data_sets.by_key import DataSets
    from bayou.many.data_sets.pending import Pending
    from bayou.many.dispatch import Run
    from bayou.many.results.outcome import Key, Outcome, ResultAxes, Results

# Outcomes are written before there are OUTCOMES_PER_WRITE if they take so many bytes, 32 MiB, since
# as many wait in memory while as many are written.
BYTES_PER_WRITE = 2**25


def run_many(
    run: Run,
    model: pm.Model,
    data_sets: DataSets,
    *,
    axes: ResultAxes,
    settings: Mapping[str, object],
    seed: int | None,
    cluster: Ray | None,
    out: str | Path | None,
    progressbar: bool,
    per_call: int | None = None,
) -> xr.DataTree:
    """Run each data set that has no results yet, and return the tree of all results.

    Parameters
    ----------
    run : callable
        (model, data sets to run) -> their outcomes; see :func:`bayou.many.dispatch.dispatch`.
    model : pymc.Model
    data_sets : DataSets
    axes : ResultAxes
        The axes of the results.
    settings : mapping of str to a JSON value
        What the results depend on besides the data and the seed: recorded in `out`, and compared.
    seed : int or None
        The seed of the call; None for that of `out` if it has one, else a random one.
    cluster : Ray or None
    out : path or None
        A Zarr folder; None to keep results in memory.
    progressbar : bool
    per_call : int, optional
        Data sets that a worker is sent at once.
    """
    with _open_results(out, axes, settings, seed) as (results, entropy):
        pending = pending_data_sets(model, data_sets, entropy, results)
        order: deque[Key] = deque()
        outcomes = dispatch(
            run,
            model,
            _record_keys(pending, order),
            cluster,
            data_sets.number,
            judged=axes.judged,
            per_call=per_call,
        )
        if out is None:
            # On disk they stay in the order in which they finish, so that none waits in memory.
            outcomes = _sort_outcomes(outcomes, order)
        try:
            _collect(results, outcomes, axes.judged, data_sets.number, progressbar=progressbar)
        except KeyboardInterrupt:
            if not results.done:
                raise
            _warn_of_rest(len(results.done), data_sets.number, out)
        return _results_tree(results)


def structure_digest(model: pm.Model) -> str:
    """Return a digest of the variables of a model and what they are computed by, without data."""
    return digest(json.dumps(variable_fingerprints(model), sort_keys=True))


def recorded_weights(weights: str | None) -> dict[str, object]:
    """Return the setting of the weights of rows, as `out` records it: nothing without any."""
    return {} if weights is None else {"weights": weights}


@contextmanager
def _open_results(
    out: str | Path | None, axes: ResultAxes, settings: Mapping[str, object], seed: int | None
) -> Iterator[tuple[Results, int]]:
    """Open where results are kept, and yield it with the seed."""
    if seed is None and out is not None:
        seed = recorded_setting(out, "random_seed")
    entropy = seed
    if entropy is None:
        entropy = int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if out is None:
        yield InMemoryResults(axes), entropy
        return
    with open_zarr_folder(out, axes, {**settings, "random_seed": entropy}) as results:
        yield results, entropy


def _record_keys(pending: Iterable[Pending], order: deque[Key]) -> Iterator[Pending]:
    """Yield data sets, and append their keys to `order`."""
    for data_set in pending:
        order.append(data_set.key)
        yield data_set


def _sort_outcomes(outcomes: Generator[Outcome], order: deque[Key]) -> Generator[Outcome]:
    """Yield outcomes in the order of their keys; those that are early wait for the others."""
    early: dict[Key, Outcome] = {}
    with closing(outcomes):
        try:
            for outcome in outcomes:
                early[outcome.key] = outcome
                while order and order[0] in early:
                    yield early.pop(order.popleft())
        except KeyboardInterrupt:
            # Those that they waited for are never finished.
            yield from (early[key] for key in order if key in early)
            raise


def _collect(
    results: Results,
    outcomes: Generator[Outcome],
    judged: tuple[str, ...],
    number: int | None,
    *,
    progressbar: bool,
) -> None:
    """Add outcomes to the results; after an interruption, those that are finished.

    Parameters
    ----------
    results : Results
    outcomes : generator of Outcome
    judged : tuple of str
        Variables whose convergence is computed.
    number : int or None
        The number of data sets, those with results included; None if it is not known.
    progressbar : bool
    """

    def write(waiting: list[Outcome]) -> None:
        results.append(with_convergence(waiting, judged))

    waiting: list[Outcome] = []
    bar = data_set_progress(number, len(results.done) - len(results.failed), progressbar)
    # Judging and writing take a thread of their own: samplers that end meanwhile are replaced.
    with ThreadPoolExecutor(1) as pool, closing(outcomes), bar as advance:
        writing: Future[None] | None = None
        try:
            for outcome in outcomes:
                waiting.append(outcome)
                advance(outcome.failure is not None)
                size = sum(outcome.num_bytes for outcome in waiting)
                if len(waiting) == OUTCOMES_PER_WRITE or size >= BYTES_PER_WRITE:
                    if writing is not None:
                        writing.result()
                    writing, waiting = pool.submit(write, waiting), []
        finally:
            if writing is not None:
                writing.result()
            if waiting:
                write(waiting)


def _warn_of_rest(num_done: int, number: int | None, out: str | Path | None) -> None:
    """Warn that Ctrl-C left data sets without results."""
    of_all = "" if number is None else f" of {number}"
    hint = (
        "pass `out` to keep results in a folder, from which the same call continues."
        if out is None
        else "the same call continues from there."
    )
    warn(f"The keyboard stopped the call after {num_done}{of_all} data sets.\nHint: {hint}")


def _results_tree(results: Results) -> xr.DataTree:
    """Return the tree of all results; warn of data sets that failed or are doubtful.

    Raises
    ------
    ValueError
        If there is no data set, or all failed.
    """
    if not results.done:
        raise ValueError(
            "`datasets` must hold at least one data set, got an iterable without any.\n"
            "Hint: check the code that yields them; a generator yields its items once."
        )
    tree = results.tree()
    errors = tree[TABLE]["error"].to_series()
    failed = errors[errors != ""]
    keys = failed.index.tolist()
    if len(failed) == len(errors):
        raise ValueError(
            f"Each of the {len(errors)} data sets failed, {keys[0]!r} with:\n{failed.iloc[0]}"
        )
    if keys:
        warn(
            f"{len(failed)} of {len(errors)} data sets failed: {listed(keys, most=5)}.\n"
            'Hint: tree["diagnostics"]["error"] has the error of each.'
        )
    warn_of_doubtful(tree[TABLE].to_dataset())
    return tree
