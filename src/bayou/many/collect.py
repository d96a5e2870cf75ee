"""What the calls over many data sets share: what is new, what is done, their seeds and the tree."""

from __future__ import annotations

import hashlib
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bayou.containers.variables.dims import dims_of
from bayou.errors import ConvergenceWarning, OtherDataError, WorkerDiedError
from bayou.many.data_sets import DataSets
from bayou.many.results.outcome import AT_ONCE, BYTES, TABLE, Gathered
from bayou.many.results.zarr_folder import made_with, stored
from bayou.many.validation import Given
from bayou.progress import data_set_progress
from bayou.provenance.fingerprint import array_fingerprint
from bayou.provenance.model_fingerprint import variable_fingerprints
from bayou.text import digest, listed

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    import pymc as pm
    import xarray as xr

    from bayou.containers.variables.dims import ContainerArrays
    from bayou.many.data_sets import Key
    from bayou.many.results.outcome import Axes, Outcome, Results

# By the columns of the table (Vehtari et al. 2021, 2024); NaN is no doubt.
DOUBTS: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    ("khat", lambda khat: khat > 0.7, "with k-hat above 0.7"),
    ("converged", lambda converged: converged == 0, "did not converge"),
    ("rhat", lambda rhat: rhat > 1.01, "with R-hat above 1.01"),
    ("divergences", lambda divergences: divergences > 0, "with divergences"),
)
# How the table says of a data set that its workers died of it, which others may not.
DIED = f"{WorkerDiedError.__name__}: "


@contextmanager
def results_in(
    out: str | Path | None, axes: Axes, made: dict[str, Any], random_seed: int | None
) -> Iterator[tuple[Results, int]]:
    """Yield where results are gathered, and the seed: that of the folder if none is given."""
    if random_seed is None and out is not None:
        random_seed = made_with(out, "random_seed")
    entropy: Any = np.random.SeedSequence(random_seed).entropy
    if out is None:
        yield Gathered(axes), entropy
        return
    with stored(out, axes, {**made, "random_seed": int(entropy)}) as results:
        yield results, entropy


def model_fingerprint(model: pm.Model) -> str:
    """Return the fingerprint of what a model says, apart from its data."""
    text = json.dumps(variable_fingerprints(model), sort_keys=True)
    return digest(text)


def fresh(
    data_sets: Iterable[tuple[Key, Any]], results: Results | None, model: pm.Model
) -> Iterator[tuple[Key, ContainerArrays | Exception, str]]:
    """Yield the keys of data sets that are not done, with arrays, or why there are none.

    One that failed is not done if its data are others now, or if its workers died of it.

    Parameters
    ----------
    data_sets : iterable of (key, new data)
        What :func:`bayou.set_data` takes, or the error that there is in its place.
    results : Results or None
        What is done, and where the labels of data sets are noted.
    model : pymc.Model

    Raises
    ------
    TypeError
        If a key is of another type than those that are done.
    ValueError
        If one that is done had other data, or a key comes twice.
    """
    done = {} if results is None else results.done
    failed = {} if results is None else results.failed
    given = Given(model, data_sets.names if isinstance(data_sets, DataSets) else None)
    before = next(iter(done), None)
    seen: set[Key] = set()
    for key, new_data in data_sets:
        if key in seen:
            raise ValueError(
                f"`datasets` must have each key once, got {key!r} twice.\n"
                "Hint: 1 and True, or '1' and numpy's '1', are one key."
            )
        if before is not None and type(key) is not type(before):
            raise TypeError(
                f"`datasets` must have keys of the type of those in `out`, {before!r} among them, "
                f"got {key!r}.\nHint: pass the keys that it was begun with, or another path."
            )
        seen.add(key)
        arrays: ContainerArrays | Exception
        labels: Mapping[str, tuple[Any, ...]] = {}
        try:
            found = given.read(new_data)
            # Chains read them in place, while the next data set may be put where this one was.
            arrays = {variable: array.copy() for variable, array in found.arrays.items()}
            data, labels = _fingerprint(model, arrays, found.labels), found.labels
        except Exception as error:  # Of one data set, which costs the others nothing.
            arrays, data = error, ""
        is_same = key in done and data == done[key]
        if key not in done or (
            key in failed and not (is_same and data and not failed[key].startswith(DIED))
        ):
            if labels and results is not None:
                results.labels[key] = labels
            yield key, arrays, data
        elif not is_same:
            raise OtherDataError(
                f"`out` must hold results of the same data, got others for {key!r}.\n"
                "Hint: pass another path, or another key for the new data."
            )


def noted(
    data_sets: Iterator[tuple[Key, ContainerArrays | Exception, str]], order: deque[Key]
) -> Iterator[tuple[Key, ContainerArrays | Exception, str]]:
    """Yield data sets, and note the order of their keys."""
    for found in data_sets:
        order.append(found[0])
        yield found


def in_order(outcomes: Generator[Outcome], order: deque[Key]) -> Generator[Outcome]:
    """Yield outcomes in the order of their keys; those that come early wait."""
    early: dict[Key, Outcome] = {}
    with closing(outcomes):
        for outcome in outcomes:
            early[outcome.key] = outcome
            while order and order[0] in early:
                yield early.pop(order.popleft())


def gather(results: Results, outcomes: Generator[Outcome], number: int | None, shown: bool) -> None:
    """Put results where they are gathered, those that are finished when it is interrupted too.

    Parameters
    ----------
    results : Results
        Where that is.
    outcomes : generator of Outcome
        What comes of the data sets that are not there.
    number : int or None
        How many data sets there are, where that is known.
    shown : bool
        Whether there is a progress bar.
    """
    waiting: list[Outcome] = []
    bar = data_set_progress(number, len(results.done) - len(results.failed), shown)
    # They are judged and written by a thread of its own, or samplers would end meanwhile unseen.
    with ThreadPoolExecutor(1) as pool, closing(outcomes), bar as advance:
        writing: Future[None] | None = None
        try:
            for outcome in outcomes:
                waiting.append(outcome)
                advance(bool(outcome.error))
                if len(waiting) == AT_ONCE or sum(found.size for found in waiting) >= BYTES:
                    if writing is not None:
                        writing.result()
                    writing, waiting = pool.submit(results.append, waiting), []
        finally:
            if writing is not None:
                writing.result()
            if waiting:
                results.append(waiting)


def tree_of(results: Results) -> xr.DataTree:
    """Return the tree of all results; warn of those that failed or are in doubt."""
    if not results.done:
        raise ValueError(
            "`datasets` must hold at least one data set, got an iterable without any.\n"
            "Hint: check what was to be read; a generator yields its items once."
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
        warnings.warn(
            f"{len(failed)} of {len(errors)} data sets failed: {listed(keys, 5)}.\n"
            'Hint: tree["diagnostics"]["error"] says why.',
            UserWarning,
            stacklevel=3,
        )
    _warn_of_doubtful(tree[TABLE].to_dataset())
    return tree


def _warn_of_doubtful(table: xr.Dataset) -> None:
    """Warn of results that are in doubt, once for all of them."""
    columns = table.to_dataframe()
    found = {
        words: is_doubtful(columns[name])
        for name, is_doubtful, words in DOUBTS
        if name in columns and is_doubtful(columns[name]).any()
    }
    if found:
        counts = ", ".join(f"{int(rows.sum())} {words}" for words, rows in found.items())
        number = int(np.logical_or.reduce([*found.values()]).sum())
        warnings.warn(
            f"Results of {number} of {int((columns['error'] == '').sum())} data sets should be "
            f"looked at: {counts}.\n"
            'Hint: tree["diagnostics"] says which; sample those that were fitted, and draw or tune '
            "more where they were sampled.",
            ConvergenceWarning,
            stacklevel=4,
        )


def seed_of(key: Key, entropy: int) -> int:
    """Return the seed of a data set: a function of its key and of the seed of all."""
    words = hashlib.sha256(f"{type(key).__name__} {key}".encode()).digest()[:16]
    sequence = np.random.SeedSequence([entropy, int.from_bytes(words)])
    return int(sequence.generate_state(1, np.uint64)[0])


def said(error: Exception) -> str:
    """Return what the table says of an error."""
    return f"{type(error).__name__}: {error}"


def lengths_of(model: pm.Model, arrays: ContainerArrays | None = None) -> dict[str, float]:
    """Return the number of rows of each dim that containers have first, as the table names it."""
    lengths = {}
    for variable in model.root.data_vars:
        value = (arrays or {}).get(variable, variable.get_value(borrow=True))
        if value.ndim and (dim := dims_of(model, variable)[0]) is not None:
            lengths[f"num_{dim}"] = float(len(value))
    return lengths


def _fingerprint(
    model: pm.Model, arrays: ContainerArrays, labels: Mapping[str, tuple[Any, ...]]
) -> str:
    """Return the fingerprint of what the containers of a model hold for a data set."""
    parts = [
        f"{variable.name} {array_fingerprint(arrays.get(variable, held))}"
        for variable in model.root.data_vars
        for held in (variable.get_value(borrow=True),)
    ]
    parts += [f"{dim} {[*map(str, labels[dim])]}" for dim in sorted(labels)]
    return digest(*parts)
