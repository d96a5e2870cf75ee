"""The model of the distinct rows along one dim: built once, then given the rows of later data."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt

from bayou.batching.replaced_rows import replace_rows
from bayou.batching.row_arrays import resized_nodes
from bayou.batching.row_independence import GENERAL_HINT
from bayou.compression.density_check import differing_term
from bayou.compression.row_groups import group_model_rows
from bayou.compression.weighted_model import weighted_model, with_row_weights
from bayou.models.inputs import uncast
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

COUNTS = "row_counts"


class DensityError(ValueError):
    """Distinct rows that have another log density than all rows; the message names the term."""


@dataclass(frozen=True, eq=False)
class DistinctModel:
    """A model of the distinct rows along one dim.

    Attributes
    ----------
    model : pymc.Model
        With the free variables of the written model.
    num_distinct : int
        The number of distinct rows.
    names_of_rows : frozenset of str
        The deterministics that depend on rows.
    arrays : dict of SharedVariable to ndarray
        The distinct rows and their counts, by the variables of the model that they are put into.
    """

    model: pm.Model
    num_distinct: int
    names_of_rows: frozenset[str]
    arrays: ContainerArrays


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


def distinct_model(
    model: pm.Model,
    rows: ModelRows,
    told: RowColumns,
    weights: SharedVariable | None,
    memory: int,
) -> DistinctModel:
    """Return the model of the distinct rows of a model; the same one until its structure changes.

    Parameters
    ----------
    model : pymc.Model
        The model of all rows, whose likelihood is a product over them.
    rows : ModelRows
        Its parts with an entry for each row.
    told : RowColumns
        What tells the rows apart.
    weights : SharedVariable or None
        The container of the weights of the rows.
    memory : int
        The largest number of bytes that the distinct rows may take.

    Raises
    ------
    DensityError
        If its log density is another one.
    RepetitionError
        If the distinct rows take more memory.
    """
    of_rows = None if weights is None else weights.get_value(borrow=True)
    groups = group_model_rows(told, of_rows, memory)
    means = {
        key: groups.values[key].astype(model.rvs_to_values[model[name]].dtype)
        for name, key in told.outcomes.items()
    }
    groups = replace(groups, values=groups.values | means)
    containers = _containers(rows)
    # Threads may compress one model with other weights, and the rows would be those of either.
    options = (*told.outcomes, None if weights is None else weights.name)
    # Numbers of rows that are written into the graph, and what is computed of the rows' arrays,
    # are built anew.
    is_fixed = bool(rows.constants or resized_nodes(model, rows, pt.lscalar()))
    axes = frozenset((variable, axis) for variable, (_, axis) in rows.storages.items())
    key = (rows.dim, axes, options)
    structure, known = structure_of(model), _known.setdefault(model, {})
    is_known = not is_fixed and key in known and same_structure(known[key][0], structure)
    built = known[key][1] if is_known else _build(model, rows, containers, groups)
    arrays: ContainerArrays = {
        new: _group_values(storage, axis, groups)
        for (storage, axis), (new, _) in zip(containers, built.storages, strict=True)
    }
    arrays[built.counts] = _floats(groups.counts)
    arrays |= {built.squares[name]: _floats(values) for name, values in groups.squares.items()}
    for variable, values in arrays.items():
        variable.set_value(values, borrow=True)
    if not is_known:
        _check_density(model, built.model, weights)
        if not is_fixed:
            known[key] = (structure, built)
    return DistinctModel(built.model, len(groups.counts), built.names_of_rows, arrays)


def _check_density(model: pm.Model, of_distinct: pm.Model, weights: SharedVariable | None) -> None:
    weighted = weighted_model(model, None if weights is None else weights.name)
    if (name := differing_term(weighted, of_distinct)) is not None:
        raise DensityError(
            f"`compress` must leave the log density as it is, but that of {name!r} differs between "
            "all rows and the distinct ones.\n"
            "Hint: pass compress=False, and look for what takes several rows together."
        )


def _containers(rows: ModelRows) -> list[tuple[SharedVariable, int]]:
    """Return the containers of rows, each once, with their axis."""
    return list(
        {
            id(storage.container): (storage, axis) for storage, axis in rows.storages.values()
        }.values()
    )


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
    values = [model.rvs_to_values[model[name]] for name in groups.squares]
    # Means of whole numbers are none: they take the place of what was cast to whole numbers too.
    means = {value: by_container[id(rows.storages[uncast(value)][0].container)] for value in values}
    rebuilt = replace_rows(model, rows, by_container, first.shape[axis], GENERAL_HINT, means)
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
