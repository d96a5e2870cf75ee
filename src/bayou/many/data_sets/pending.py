"""The data sets of a call that are still to run: read, checked, and without results on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.graph.basic import Constant

from bayou.compression.weighted_model import check_weights
from bayou.containers.variables.dims import dims_of
from bayou.errors import OtherDataError
from bayou.many.data_sets.validation import DataSetReader
from bayou.many.results.outcome import Failure, Outcome
from bayou.provenance.fingerprint import array_fingerprint
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import ContainerArrays, Labels
    from bayou.many.data_sets.by_key import DataSets
    from bayou.many.results.outcome import Key, Results
    from bayou.models.posterior_tree import NamedArrays


@dataclass(frozen=True, eq=False)
class PendingDataSet:
    """A data set that is to be sampled or fitted.

    Attributes
    ----------
    key : str or int
    seed : int
        A function of the key and of the seed of the call.
    fingerprint : str
        Of the values of all containers, and of the labels.
    arrays : dict of SharedVariable to ndarray
        New values of containers, and of lengths that are shared variables of their own.
    labels : mapping of str to tuple
        Labels of the dims that have other labels in the model.
    """

    key: Key
    seed: int
    fingerprint: str
    arrays: ContainerArrays
    labels: Mapping[str, Labels]

    def succeeded(
        self,
        groups: Mapping[str, NamedArrays],
        diagnostics: Mapping[str, float],
    ) -> Outcome:
        """Return the outcome with results."""
        return Outcome(self.key, self.fingerprint, groups, diagnostics, self.labels)

    def failed(self, error: Exception) -> Outcome:
        """Return the outcome without results, because of an error."""
        return Outcome(self.key, self.fingerprint, labels=self.labels, failure=Failure.of(error))


type Pending = PendingDataSet | Outcome
"""A data set to run, or its outcome already, if its data could not be read."""


def pending_data_sets(
    model: pm.Model, data_sets: DataSets, entropy: int, results: Results | None = None
) -> Iterator[Pending]:
    """Yield the data sets without results, in their order.

    A data set whose results are there is left out. If it failed, it runs again if its data have
    changed, or if the workers that ran it died.

    Parameters
    ----------
    model : pymc.Model
    data_sets : DataSets
    entropy : int
        The seed of the call.
    results : Results, optional
        The results that are there.

    Raises
    ------
    OtherDataError
        If the data of a data set with results have changed.
    TypeError
        If a key is of another type than those of the results.
    ValueError
        If a key comes twice.
    """
    reader = DataSetReader(model, data_sets.in_memory)
    known_key = None if results is None else next(iter(results.done), None)
    seen: set[Key] = set()
    for key, new_data in data_sets:
        if key in seen:
            raise ValueError(
                f"`datasets` must have each key once, got {key!r} twice.\n"
                "Hint: 1 and True, or '1' and numpy's '1', are one key."
            )
        seen.add(key)
        if known_key is not None and type(key) is not type(known_key):
            raise TypeError(
                f"`datasets` must have keys of the type of those in `out`, such as {known_key!r}, "
                f"got {key!r}.\nHint: pass the keys that it was begun with, or another path."
            )
        pending = _read(model, reader, key, new_data, entropy)
        if results is None or _is_to_run(pending, results):
            yield pending


def with_checked_weights(
    pending: Iterator[Pending], model: pm.Model, weights: str | None
) -> Iterator[Pending]:
    """Yield data sets; those whose weights of rows are none as failed.

    Parameters
    ----------
    pending : iterator of PendingDataSet or Outcome
    model : pymc.Model
    weights : str or None
        The container of the weights; None for no weights.
    """
    if weights is None:
        yield from pending
        return
    container = model[weights]
    for data_set in pending:
        if isinstance(data_set, Outcome) or container not in data_set.arrays:
            yield data_set
            continue
        try:
            check_weights(weights, data_set.arrays[container])
        except ValueError as error:
            yield data_set.failed(error)
        else:
            yield data_set


def _read(
    model: pm.Model, reader: DataSetReader, key: Key, new_data: object, entropy: int
) -> Pending:
    try:
        data = reader.read(new_data)
        # Chains read the arrays in place while the caller may overwrite its own.
        arrays = {variable: array.copy() for variable, array in data.arrays.items()}
        fingerprint = _fingerprint(model, arrays, data.labels)
    # Whatever is wrong with one data set must not cost the results of the others.
    except Exception as error:
        return Outcome(key, "", failure=Failure.of(error))
    return PendingDataSet(key, seed_of(key, entropy), fingerprint, arrays, data.labels)


def _is_to_run(pending: Pending, results: Results) -> bool:
    """Return whether a data set has no results, or failed and may succeed now.

    Raises
    ------
    OtherDataError
        If its results are those of other data.
    """
    key, fingerprint = pending.key, pending.fingerprint
    if key not in results.done:
        return True
    has_changed = fingerprint != results.done[key]
    if (failure := results.failed.get(key)) is not None:
        # Data that could not be read have no fingerprint to compare.
        return has_changed or not fingerprint or failure.is_of_worker
    if has_changed:
        raise OtherDataError(
            f"`out` must hold results of the same data, got other data for {key!r}.\n"
            "Hint: pass another path, or another key for the new data."
        )
    return False


def seed_of(key: Key, entropy: int) -> int:
    """Return the seed of a data set, below 2**64: a function of its key and the call's seed."""
    words = hashlib.sha256(f"{type(key).__name__} {key}".encode()).digest()[:16]
    sequence = np.random.SeedSequence([entropy, int.from_bytes(words)])
    return int(sequence.generate_state(1, np.uint64)[0])


def lengths_of(model: pm.Model, arrays: ContainerArrays | None = None) -> dict[str, float]:
    """Return the number of rows of each dim that is the first one of a container.

    Parameters
    ----------
    model : pymc.Model
    arrays : dict of SharedVariable to ndarray, optional
        Values of containers to use instead of the present ones.

    Returns
    -------
    dict of str to float
        By their columns of the table: ``num_row`` for the dim "row".
    """
    lengths = {}
    for variable in model.root.data_vars:
        value = _values_of(variable, arrays or {})
        if value.ndim and (dim := dims_of(model, variable)[0]) is not None:
            lengths[f"num_{dim}"] = float(value.shape[0])
    return lengths


def _values_of(variable: Variable, arrays: ContainerArrays) -> Any:
    """Return the new values of a container, or those that it has; a frozen one is a constant."""
    if isinstance(variable, Constant):
        return variable.data
    return arrays.get(variable, variable.get_value(borrow=True))


def _fingerprint(model: pm.Model, arrays: ContainerArrays, labels: Mapping[str, Labels]) -> str:
    """Return the fingerprint of the values of all containers and of the labels of a data set."""
    parts = [
        f"{variable.name} {array_fingerprint(_values_of(variable, arrays))}"
        for variable in model.root.data_vars
    ]
    parts += [f"{dim} {[*map(str, labels[dim])]}" for dim in sorted(labels)]
    return digest(*parts)
