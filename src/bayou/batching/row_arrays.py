"""Arrays in the graphs of a model that may hold rows, though no dim says so.

Libraries that build models leave the design in the graph, as constants; other models are written
with shared variables, or with containers without dims. What is as long as the rows may be rows, by
either of its axes, or have that length by chance. :func:`row_choices` lists what it may be, and
the check of the likelihood decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import walk
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import NoneConst

from bayou.batching.constant_parts import (
    constant_parts,
    constant_variables,
    length_inputs,
    nodes_of,
    values_of,
)
from bayou.batching.row_dim import axes_of_length, in_container
from bayou.containers.variables.dims import dims_of
from bayou.models.inputs import uncast, value_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Apply, Variable

    from bayou.batching.row_dim import ModelRows


class _RowArray(NamedTuple):
    """An array that is as long as the rows: where it is in the graph, and by which axes."""

    variable: Variable
    storage: SharedVariable
    axes: Sequence[int]


def row_choices(model: pm.Model, rows: ModelRows) -> Iterator[ModelRows]:
    """Yield what the rows of a model may be besides what is known, the likeliest first.

    First, each array with the length of the rows is one of rows, along its first such axis. Then
    one array after another is taken along another axis, or as no rows at all.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written.
    rows : ModelRows
        The parts that are known to have an entry for each row, or guessed to.

    Yields
    ------
    ModelRows
        Nothing if there is no other array of that length.
    """
    arrays, constants = _find_arrays(model, rows)
    if not arrays:
        return
    unsure = {array.variable for array in arrays}
    known = {
        variable: storage for variable, storage in rows.storages.items() if variable not in unsure
    }
    first = {array.variable: (array.storage, array.axes[0]) for array in arrays}
    rows = replace(rows, constants=constants)
    yield replace(rows, storages=known | first)
    for array in arrays:
        others = {variable: each for variable, each in first.items() if variable != array.variable}
        for axis in array.axes[1:]:
            yield replace(rows, storages=known | others | {array.variable: (array.storage, axis)})
        yield replace(rows, storages=known | others)


def _find_arrays(
    model: pm.Model, rows: ModelRows
) -> tuple[list[_RowArray], dict[Variable, Constant]]:
    """Return the arrays with the length of the rows, and what is computed of such arrays alone."""
    variables = _variables_of_rows(model, rows)
    arrays = [
        _RowArray(variable, variable, axes)
        for variable in variables
        if _may_be_rows(model, rows, variable)
        and (axes := _unnamed_axes(model, variable, rows.num_rows))
    ]
    parts = [part for part in constant_parts(variables) if part not in rows.storages]
    constants: dict[Variable, Constant] = {}
    for part, value in zip(parts, values_of(parts), strict=True):
        axes = [axis for axis, length in enumerate(value.shape) if length == rows.num_rows]
        if axes:
            constant = part if isinstance(part, Constant) else pt.constant(value)
            storage = in_container(constant, f"array {len(arrays) + 1}")
            arrays.append(_RowArray(part, storage, axes))
        elif _takes_rows(part, rows.num_rows):
            constants[part] = pt.constant(value)
    return arrays, constants


def _may_be_rows(model: pm.Model, rows: ModelRows, variable: Variable) -> bool:
    """Return whether a variable is a shared one of which no dim says what its axes are."""
    if not isinstance(variable, SharedVariable) or not isinstance(variable.type, TensorType):
        return False
    observed = {uncast(model.rvs_to_values[model[name]]) for name in rows.observed}
    known = {id(storage.container) for storage, _ in rows.storages.values()}
    is_guessed = not rows.dim and variable in rows.storages and variable not in observed
    # PyMC clones shared variables, but their clones have the same container.
    return is_guessed or id(variable.container) not in known


def _unnamed_axes(model: pm.Model, variable: SharedVariable, num_rows: int) -> list[int]:
    """Return the axes with so many entries that have no dim."""
    dims = dims_of(model, variable)
    return [axis for axis in axes_of_length(variable, num_rows) if dims[axis] is None]


def _variables_of_rows(model: pm.Model, rows: ModelRows) -> list[Variable]:
    """Return the variables, other than free ones, that the densities of rows depend on."""
    ends = {variable for variable in model.free_RVs if variable.name not in rows.latent}
    potentials = [potential for potential in model.potentials if potential.ndim]
    named = [model[name] for name in (*rows.observed, *rows.latent)]
    values = [model.rvs_to_values[variable] for variable in named]

    def inputs_of(variable: Variable) -> Sequence[Variable]:
        return [] if variable.owner is None or variable in ends else variable.owner.inputs

    walked = walk([*named, *values, *potentials], inputs_of, bfs=False)
    return [variable for variable in walked if variable not in ends]


def _takes_rows(part: Variable, num_rows: int) -> bool:
    """Return whether a part takes the values of an array of rows, and not only its shape."""
    return any(
        isinstance(variable, Constant) and num_rows in getattr(variable.type, "shape", ())
        for variable in walk([part], value_inputs)
    )


def resized_nodes(
    model: pm.Model, rows: ModelRows, batch_length: Variable
) -> dict[Apply, list[Variable]]:
    """Return the nodes whose lengths are written as the number of rows, with those of a batch.

    Returns
    -------
    dict of Apply to list of Variable
        The inputs that each of these nodes has in a batch.
    """
    variables = _variables_of_rows(model, rows)
    constant = constant_variables(variables)
    latent = {model[name].owner for name in rows.latent}
    # Latent variables with a length of their own are refused.
    nodes = [node for node in nodes_of(variables) if node not in latent]
    lengths = {
        length: None
        for node in nodes
        if not constant.issuperset(node.outputs)
        for length in length_inputs(node)
        if length in constant and not NoneConst.equals(length)
    }
    in_batch = {
        length: _in_batch(value, rows.num_rows, batch_length)
        for length, value in zip(lengths, values_of(list(lengths)), strict=True)
    }
    new = {length: variable for length, variable in in_batch.items() if variable is not None}
    return {
        node: [new.get(v, v) if v in length_inputs(node) else v for v in node.inputs]
        for node in nodes
        if not new.keys().isdisjoint(length_inputs(node))
    }


def _in_batch(value: NDArray[np.generic], num_rows: int, batch_length: Variable) -> Variable | None:
    """Return a length, or the lengths of several axes, in a batch; None if it is not of rows."""
    if value.ndim == 0:
        return batch_length if value == num_rows else None
    if value.size == 0 or value[0] != num_rows:
        return None
    return pt.stack([batch_length, *map(pt.constant, value[1:])])
