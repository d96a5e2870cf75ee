"""The construction of a model in minibatches from the model written with all of its data.

The containers that have a row for each entry of a dim are replaced by random rows of themselves,
all of the same rows, and what observes them is scaled to all of the rows. The shared variables stay
the same, and with them later changes of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors

from bayou.batching.replaced_rows import replace_rows
from bayou.batching.row_independence import (
    GENERAL_HINT,
    check_one_density_each,
    check_one_transform_each,
)
from bayou.containers.sparse.sparse_container import is_sparse_variable, parts_of
from bayou.containers.sparse.sparse_rows import SparseRows
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.random_rows import NumRows, random_slice, step_variable
from bayou.containers.variables.source_variable import window_of
from bayou.density.program import LatentRows
from bayou.models.inputs import mark_rows
from bayou.models.rewrite import VARIABLE_LISTS, rebuild_model
from bayou.models.scaling.total_size import with_total_size
from bayou.sampling.axes import AxisSample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.batching.row_dim import ModelRows
    from bayou.containers.sparse.sparse_rows import Operand
    from bayou.containers.variables.random_rows import StepVariable


@dataclass(frozen=True, eq=False)
class MinibatchModel:
    """A model in minibatches.

    Attributes
    ----------
    model : pymc.Model
        For its density; without names and dims.
    rows : ModelRows
        The parts of the written model that were replaced.
    slices : dict of str to TensorVariable
        The random rows, by the names of their containers.
    latent : LatentRows or None
        The free variables with a value for each row.
    hint : str
        What the user can do if a batch cannot be evaluated.
    """

    model: pm.Model
    rows: ModelRows
    slices: Mapping[str, TensorVariable]
    latent: LatentRows | None
    hint: str


def build_minibatch_model(
    model: pm.Model, rows: ModelRows, batch_size: int, seed: int, *, latent_inputs: bool
) -> MinibatchModel:
    """Build a model in minibatches.

    Parameters
    ----------
    model : pymc.Model
        The written model, which stays as it is.
    rows : ModelRows
        Its parts with an entry for each row.
    batch_size : int
        Rows of a batch.
    seed : int
        Decides the rows of each batch.
    latent_inputs : bool
        True to have the latent variables of a batch alone, as inputs. False to have them for all
        rows, as free variables, of which each batch takes its own.

    Raises
    ------
    ValueError
        If a variable has one distribution or one transform over all rows, or the model is nothing
        but latent variables of rows, or these do not follow the number of rows or the window of a
        source.
    """
    check_one_density_each([model[name] for name in (*rows.observed, *rows.latent)])
    check_one_transform_each(model, rows.latent)
    if len(rows.latent) == len(model.free_RVs):
        raise ValueError(
            "`batch_size` must be left out where all variables have a value for each row, got "
            f"{list(rows.latent)} alone.\n"
            f"Hint: nothing ties the rows together; fit them all at once{_other_dims(model, rows)}."
        )
    # One step counter and one seed, so that all slices are of the same rows.
    step = step_variable(f"{rows.dim}_step")
    slices: dict[str, TensorVariable] = {}
    by_container: dict[int, Operand] = {}

    def slice_rows(storage: SharedVariable, axis: int) -> TensorVariable:
        sample = AxisSample(axis, batch_size, seed, 0)
        broadcastable = [
            length == 1 and number != axis for number, length in enumerate(storage.type.shape)
        ]
        batch = random_slice(storage, step, [sample], broadcastable)
        batch.name = storage.name
        slices[storage.name] = batch
        return batch

    for storage, axis in rows.storages.values():
        by_container[id(storage.container)] = (
            _slice_sparse(storage, axis, slice_rows)
            if is_sparse_variable(storage)
            else slice_rows(storage, axis)
        )

    first, axis = next(iter(rows.storages.values()))
    if is_sparse_variable(first):
        first = parts_of(first).values
    window = window_of(first)
    # New data may have another number of rows, but a source that is read in windows keeps its own.
    num_rows: TensorVariable = (
        NumRows(axis)(first) if window is None else pt.constant(window.num_rows)
    )
    batch_length = slices[first.name].shape[axis]
    latent = _latent_rows(rows, step, batch_size, seed)
    of_batch: dict[Variable, Operand] = {}
    if latent is not None and not latent_inputs:
        of_batch = {model[name]: model[name][latent.numbers] for name in latent.names}
    hint = _hint(model, rows)
    rebuilt = replace_rows(model, rows, by_container, batch_length, hint, of_batch)
    for variable in (model[name] for name in latent.names) if latent is not None else ():
        if latent_inputs:
            _make_input(model, variable, rebuilt)
        else:
            # The variable itself stays; only what depends on it takes the rows of the batch.
            del rebuilt[variable]
    _scale(model, rows, rebuilt, num_rows)
    return MinibatchModel(rebuild_model(model, rebuilt), rows, slices, latent, hint)


def _other_dims(model: pm.Model, rows: ModelRows) -> str:
    """Return how a hint goes on where what is observed has other dims that rows may be along."""
    dims = {dim for name in rows.observed for dim in dims_of(model, model[name])}
    others = sorted(dim for dim in dims if dim not in (None, rows.dim))
    if not others:
        return ""
    return f", or name another dim of theirs, batch_dim={' or '.join(map(repr, others))}"


def _slice_sparse(
    matrix: SharedVariable, axis: int, slice_rows: Callable[[SharedVariable, int], TensorVariable]
) -> SparseRows:
    """Return random rows of a sparse matrix."""
    if axis:
        raise ValueError(
            f"A sparse matrix must have the rows of batches on its first axis, got {matrix.name!r} "
            "with those on its second.\nHint: put the transposed matrix into the model."
        )
    parts = parts_of(matrix)
    return SparseRows(
        slice_rows(parts.values, 0), slice_rows(parts.columns, 0), parts.num_columns, matrix.name
    )


def _scale(
    model: pm.Model, rows: ModelRows, rebuilt: dict[Variable, Operand], num_rows: TensorVariable
) -> None:
    """Scale what is observed in batches, and potentials with a value for each row, to all rows."""
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            rebuilt[variable] = with_total_size(rebuilt.get(variable, variable), num_rows)
    # PyMC has no total_size for potentials.
    for potential in model.potentials:
        of_batch: TensorVariable | None = rebuilt.get(potential)
        if of_batch is not None and of_batch.type.ndim:
            scale = (num_rows / of_batch.shape[0]).astype(of_batch.dtype)
            rebuilt[potential] = of_batch * scale
            mark_rows(rebuilt[potential])


def _latent_rows(
    rows: ModelRows, step: StepVariable, batch_size: int, seed: int
) -> LatentRows | None:
    """Return the free variables with a value for each row, and the numbers of a batch's rows."""
    if not rows.latent:
        return None
    if any(window_of(storage) is not None for storage, _ in rows.storages.values()):
        raise ValueError(
            f"`batch_size` must be left out where {rows.latent[0]!r} has a value for each row "
            f"and a part of the rows is in memory, got {batch_size}.\n"
            "Hint: raise `in_memory_size`, so that all rows are."
        )
    numbers = pytensor.shared(np.arange(rows.num_rows), name=f"{rows.dim}_number")
    of_batch = random_slice(numbers, step, [AxisSample(0, batch_size, seed, 0)], [False])
    return LatentRows(rows.latent, of_batch)


def _make_input(
    model: pm.Model, variable: TensorVariable, rebuilt: dict[Variable, Operand]
) -> None:
    """Have a latent variable of rows take its values in a batch from an input."""
    if variable not in rebuilt:
        # Its shape does not follow the rows.
        raise ValueError(
            f"{variable.name!r} must have the length of its dim to be fitted in batches, got a "
            "length of its own.\nHint: leave `shape` out, and pass `dims` alone."
        )
    value = model.rvs_to_values[variable]
    # Transforms change the axes of a row, such as a simplex, but never that of the rows.
    row_type = value.type.clone(shape=(None, *value.type.shape[1:]))
    rebuilt[value] = row_type(name=value.name)


def _hint(model: pm.Model, rows: ModelRows) -> str:
    """Return the hint for a batch that cannot be evaluated: the data without the row dim."""
    num_rows = rows.num_rows
    # Free variables without dims take the length of what their parameters are computed from.
    of_rows = {variable for variable in model.free_RVs if not any(dims_of(model, variable))}
    of_rows = {each for each in of_rows if not rows.storages.keys().isdisjoint(ancestors([each]))}
    without_dim = [
        variable.name
        for variable in (*model.data_vars, *model.basic_RVs)
        if rows.dim not in dims_of(model, variable)
        and variable.ndim
        and variable not in rows.storages
        and (
            variable in of_rows
            or num_rows in variable.type.shape
            or _first_length(variable) == num_rows
        )
    ]
    if not without_dim:
        return GENERAL_HINT
    names = ", ".join(map(repr, without_dim))
    if rows.dim:
        return f"give {names} the dim {rows.dim!r}: `dims=`."
    return f'name the dim of the rows, dims="row", in what has a row each, such as {names}.'


def _first_length(variable: Variable) -> int | None:
    is_data = isinstance(variable, SharedVariable)
    return int(variable.get_value(borrow=True).shape[0]) if is_data else None


def add_names(model: pm.Model, minibatch_model: MinibatchModel) -> pm.Model:
    """Give a model in minibatches the names, dims and coords of the written one."""
    named, rows = minibatch_model.model, minibatch_model.rows
    # All slices have the same number of rows.
    storage, axis = next(iter(rows.storages.values()))
    batch_length = minibatch_model.slices[storage.name].shape[axis]
    for dim, labels in model.coords.items():
        if dim == rows.dim:
            # The labels are of all rows, not of those of a batch.
            named.add_coord(dim, None, length=batch_length)
        else:
            named.add_coord(dim, labels, length=model.dim_lengths[dim])
    for variable in model.data_vars:
        if variable.name not in minibatch_model.slices:
            named.register_data_var(variable, dims=model.named_vars_to_dims.get(variable.name))
    for name in VARIABLE_LISTS:
        for variable in getattr(named, name):
            named.add_named_variable(variable, model.named_vars_to_dims.get(variable.name))
    return named
