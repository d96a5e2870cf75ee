"""A model of the distinct rows of its data, each of which counts as often as it occurs.

A likelihood that is a product over rows has equal factors for equal rows. The containers of rows
are replaced by the distinct rows among them, with their counts as weights: the log density is the
same but for rounding, and costs what the distinct rows cost.

Of a normal variable, rows that share all but its value need their number, mean and squares alone,
so that continuous outcomes with few different covariates are compressed too.

The model is built once, and takes the distinct rows of later data.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt

from bayou.batching.batched import independent_rows
from bayou.batching.replaced_rows import replace_rows
from bayou.batching.row_arrays import resized_nodes
from bayou.batching.row_dim import find_rows, guess_rows, holds_minibatches
from bayou.batching.row_independence import GENERAL_HINT
from bayou.batching.total_size_checks import check_row_total_sizes
from bayou.compression.repetition import MOST_DISTINCT
from bayou.compression.row_groups import find_columns, group_model_rows, taken_by_parameters
from bayou.compression.weighted_model import with_row_weights
from bayou.containers.sparse.sparse_container import is_sparse_variable
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of
from bayou.models.rewrite import same_structure, structure_of
from bayou.models.scaling.total_size import without_row_total_size

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.compile.sharedvalue import SharedVariable

    from bayou.batching.row_dim import ModelRows
    from bayou.compression.row_groups import RowColumns, RowGroups
    from bayou.containers.variables.dims import ContainerArrays, Numbers
    from bayou.models.rewrite import Structure

# With fewer rows, building the other model takes longer than it saves: a tenth of a second, which
# the loop over ten small data sets would pay each time.
LEAST_ROWS = 10_000
COUNTS = "row_counts"


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """A model of distinct rows.

    Attributes
    ----------
    model : pymc.Model
        With the free variables of the written model. It has the distinct rows until those of other
        data take their place.
    num_rows : int
        The rows of the written model.
    num_distinct : int
        Those of this one.
    names_of_rows : frozenset of str
        The deterministics that depend on rows. Here they are of the distinct rows alone.
    outcomes : tuple of str
        The normal variables that are observed at means of rows.
    arrays : dict of SharedVariable to ndarray
        The distinct rows and their counts, by the variables of the model that they are put into.
    is_weighted : bool
        Whether rows count as often as their weights say.
    """

    model: pm.Model
    num_rows: int
    num_distinct: int
    names_of_rows: frozenset[str]
    arrays: ContainerArrays
    outcomes: tuple[str, ...] = ()
    is_weighted: bool = False

    def __str__(self) -> str:
        """Return the numbers of rows, for results."""
        if self.outcomes:
            groups = f"{self.num_distinct:,} groups, each with its count, mean and squares"
            return f"{self.num_rows:,} rows as {groups}"
        how = "with the sum of its weights" if self.is_weighted else "counted"
        return f"{self.num_rows:,} rows as {self.num_distinct:,} distinct, each {how}"


class CompressionError(ValueError):
    """A model whose rows cannot be replaced by the distinct ones; the message says why."""


def compressed_model(model: pm.Model, weights: SharedVariable | None = None) -> CompressedModel:
    """Return a model of the distinct rows of a model.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, written with all of its data. It stays as it is.
    weights : SharedVariable, optional
        A container of the model that says how often each row counts, shape (rows,). Rows that
        differ in it alone are the same; their weights are added up.

    Raises
    ------
    CompressionError
        If the likelihood is no product over rows, or not all of the rows are in memory.
    """
    if holds_minibatches(model):
        raise _error("the model holds minibatches or generators.")
    try:
        rows = find_rows(model, _dim_of(model, weights), guess=True)
        check_row_total_sizes(model, rows)
        if not (obstacle := _rows_obstacle(rows, weights)):
            rows = independent_rows(model, rows)
            obstacle = _rows_obstacle(rows, weights)
            if (name := taken_by_parameters(model, rows)) is not None:
                obstacle = f"{name!r}, which has no rows, depends on their values."
    except ValueError as error:
        raise _error(str(error).partition("\n")[0]) from None
    if obstacle:
        raise _error(obstacle)
    told = find_columns(model, rows, is_weighted=weights is not None)
    if not told.columns:
        raise _error("its rows have no element.")
    return _compress(model, rows, told, weights)


def compressed_if_repeated(
    model: pm.Model, weights: SharedVariable | None = None
) -> CompressedModel | None:
    """Return a model of the distinct rows of a model, if these are at most half of all.

    Where nothing repeats, this costs a look at some thousand rows. Fewer than 10,000 rows are left
    as they are.

    Parameters
    ----------
    model, weights
        As for :func:`compressed_model`.

    Returns
    -------
    CompressedModel or None
        None if the rows do not repeat that often, or :func:`compressed_model` would raise.
    """
    if holds_minibatches(model):
        return None
    try:
        rows = find_rows(model, _dim_of(model, weights))
    except ValueError:
        guessed = guess_rows(model, with_arrays=True)
        if guessed is None:
            return None
        rows = guessed
    if _rows_obstacle(rows, weights) or rows.num_rows < LEAST_ROWS:
        return None
    if not find_columns(model, rows, is_weighted=weights is not None).repeat:
        return None
    try:
        compressed = compressed_model(model, weights)
    except CompressionError:
        return None
    is_smaller = compressed.num_distinct <= MOST_DISTINCT * compressed.num_rows
    return compressed if is_smaller else None


def _dim_of(model: pm.Model, weights: SharedVariable | None) -> str | None:
    return None if weights is None else dims_of(model, weights)[0]


def _error(reason: str) -> CompressionError:
    return CompressionError(
        f"`compress=True` must have rows that can be counted, but {reason}\n"
        'Hint: leave it at "auto", which compresses where that is possible and pays.'
    )


def _rows_obstacle(rows: ModelRows, weights: SharedVariable | None) -> str | None:
    if rows.latent:
        return f"{rows.latent[0]!r} has a value for each row."
    for storage, _ in rows.storages.values():
        if is_sparse_variable(storage):
            return f"{storage.name!r} is a sparse matrix."
        if window_of(storage) is not None:
            return f"only a part of the rows of {storage.name!r} is in memory; see by.compress."
    if weights is not None and len(weights.get_value(borrow=True)) != rows.num_rows:
        return f"{weights.name!r} has no weight for each of the rows."
    return None


@dataclass(frozen=True, eq=False)
class _Built:
    """A model of distinct rows, and the variables that these are put into.

    Attributes
    ----------
    model : pymc.Model
    storages : tuple of (SharedVariable, int)
        The containers of rows, each with their axis, in the order of the containers of the model as
        it is written.
    counts : SharedVariable
    squares : dict of str to SharedVariable
        By the names of the normal variables that are observed at means.
    names_of_rows : frozenset of str
        The deterministics that depend on rows.
    """

    model: pm.Model
    storages: tuple[tuple[SharedVariable, int], ...]
    counts: SharedVariable
    squares: dict[str, SharedVariable]
    names_of_rows: frozenset[str]


# By written model: what it was made of, and the model of distinct rows.
_known: weakref.WeakKeyDictionary[pm.Model, dict[Hashable, tuple[Structure, _Built]]] = (
    weakref.WeakKeyDictionary()
)


def _compress(
    model: pm.Model, rows: ModelRows, told: RowColumns, weights: SharedVariable | None
) -> CompressedModel:
    of_rows = None if weights is None else weights.get_value(borrow=True)
    groups = group_model_rows(told, of_rows)
    containers = _containers(rows)
    name = None if weights is None else weights.name
    built = _built_model(model, rows, containers, (*told.outcomes, name), groups)
    arrays: ContainerArrays = {
        new: _group_values(storage, axis, groups)
        for (storage, axis), (new, _) in zip(containers, built.storages, strict=True)
    }
    arrays[built.counts] = _floats(groups.counts)
    arrays |= {built.squares[name]: _floats(values) for name, values in groups.squares.items()}
    for variable, values in arrays.items():
        variable.set_value(values, borrow=True)
    return CompressedModel(
        built.model,
        rows.num_rows,
        len(groups.counts),
        built.names_of_rows,
        arrays,
        tuple(told.outcomes),
        is_weighted=weights is not None,
    )


def _containers(rows: ModelRows) -> list[tuple[SharedVariable, int]]:
    """Return the containers of rows, each once, with their axis."""
    return list(
        {
            id(storage.container): (storage, axis) for storage, axis in rows.storages.values()
        }.values()
    )


def _built_model(
    model: pm.Model,
    rows: ModelRows,
    containers: Sequence[tuple[SharedVariable, int]],
    options: tuple[str | None, ...],
    groups: RowGroups,
) -> _Built:
    """Return the model of distinct rows; the same one until the structure of the model changes.

    Where numbers of rows, or what is computed of the rows' arrays, are written into the graph, it
    is built anew.
    """
    if rows.constants or resized_nodes(model, rows, pt.lscalar()):
        return _build(model, rows, containers, groups)
    structure = structure_of(model)
    known = _known.setdefault(model, {})
    axes = frozenset((variable, axis) for variable, (_, axis) in rows.storages.items())
    # Threads may compress one model with other weights, and the rows would be those of either.
    key = (rows.dim, axes, options)
    if key not in known or not same_structure(known[key][0], structure):
        known[key] = (structure, _build(model, rows, containers, groups))
    return known[key][1]


def _build(
    model: pm.Model,
    rows: ModelRows,
    containers: Sequence[tuple[SharedVariable, int]],
    groups: RowGroups,
) -> _Built:
    storages = tuple(
        (_like(storage, _group_values(storage, axis, groups)), axis) for storage, axis in containers
    )
    by_container = {
        id(storage.container): new
        for (storage, _), (new, _) in zip(containers, storages, strict=True)
    }
    first, axis = storages[0]
    rebuilt = replace_rows(model, rows, by_container, first.shape[axis], GENERAL_HINT)
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            rebuilt[variable] = without_row_total_size(rebuilt.get(variable, variable))
    counts = pytensor.shared(_floats(groups.counts), name=COUNTS)
    squares = {
        name: pytensor.shared(_floats(values), name=f"{name}_squares")
        for name, values in groups.squares.items()
    }
    of_distinct = with_row_weights(model, rows, rebuilt, counts, squares)
    of_rows = (variable.name for variable in model.deterministics if variable in rebuilt)
    return _Built(of_distinct, storages, counts, squares, frozenset(of_rows))


def _group_values(storage: SharedVariable, axis: int, groups: RowGroups) -> Numbers:
    """Return the distinct rows of a container."""
    values = groups.values.get(id(storage.container))
    if values is not None:
        return np.ascontiguousarray(np.moveaxis(values, 0, axis))
    # Nothing that the density takes; any row serves.
    some_row = np.zeros(len(groups.counts), np.intp)
    taken: Numbers = np.take(storage.get_value(borrow=True), some_row, axis)
    return taken


def _floats(values: NDArray[np.generic]) -> NDArray[np.floating]:
    return values.astype(pytensor.config.floatX)


def _like(storage: SharedVariable, values: Numbers) -> SharedVariable:
    """Return a container of other rows, with the name and the broadcasting of one."""
    shape = [1 if length == 1 else None for length in storage.type.shape]
    return pytensor.shared(values, name=storage.name, shape=shape)
