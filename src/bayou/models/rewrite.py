"""Models rebuilt with some of their variables replaced, such as minibatches by all of their data.

PyMC writes lengths into the shapes of variables, so what depends on a replaced variable is built
again from its operations, not only its density. The shared variables stay the same, and with them
later changes of the data.

``pymc.model.fgraph`` was tried for this, with PyMC 6.4: it refuses models with ``initval=``, gives
the copy containers of its own, which ``set_data`` on the model does not reach, and leaves the old
number of rows in the shapes of variables whose inputs were replaced. A model of 52 variables takes
it 0.10 s, and this file 0.02 s.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pymc as pm
from pymc.data import MinibatchOp
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors, toposort
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.type import TensorType
from pytensor.tensor.type_other import NoneConst

from bayou.containers.sparse.sparse_rows import SparseRows, apply_to_rows, rows_of_matrices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op

    from bayou.containers.sparse.sparse_rows import Operand

# The lists of a model that its variables stand in.
VARIABLE_LISTS = ("free_RVs", "observed_RVs", "potentials", "deterministics")

# PyTensor 3.3 keeps the lengths that it infers for an inner graph in these, and copies them along.
_INNER_SHAPES = ("_inner_shape_template", "_inner_shape_frozen")


def model_graphs(model: pm.Model) -> list[Variable]:
    """Return the variables of a model and the values that they are observed at."""
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    return [*variables, *model.rvs_to_values.values()]


def rebuild_variables(
    graphs: Sequence[Variable],
    replacements: Mapping[Variable, Operand],
    other_inputs: Mapping[Apply, Sequence[Variable]] | None = None,
) -> dict[Variable, Operand]:
    """Build all that depends on replaced variables again.

    Parameters
    ----------
    graphs : sequence of Variable
        They stay as they are.
    replacements : mapping of Variable to (Variable or SparseRows)
        By variables of the graphs.
    other_inputs : mapping of Apply to sequence of Variable, optional
        Inputs of some nodes in the place of their own, such as lengths that are written as
        constants. They are replaced too, if they are among the replacements.

    Returns
    -------
    dict of Variable to (Variable or SparseRows)
        The replacements, and each variable that depends on one with what was built for it.

    Raises
    ------
    TypeError
        If something is computed of a sparse matrix that would not leave it sparse.
    """
    rebuilt: dict[Variable, Operand] = dict(replacements)
    other_inputs = other_inputs or {}
    for node in toposort(graphs):
        old_inputs = other_inputs.get(node, node.inputs)
        is_changed = node in other_inputs or not rebuilt.keys().isdisjoint(old_inputs)
        if is_changed and rebuilt.keys().isdisjoint(node.outputs):
            # The operation of total_size takes None for an axis, but holds a constant for it.
            inputs = [
                None if NoneConst.equals(variable) else rebuilt.get(variable, variable)
                for variable in old_inputs
            ]
            if isinstance(node.op, RandomVariable):
                # pm.CAR has the matrix of its neighbours as an input; its density multiplies by it.
                inputs = [
                    old if isinstance(new, SparseRows) else new
                    for old, new in zip(old_inputs, inputs, strict=True)
                ]
            if any(isinstance(part, SparseRows) for part in inputs):
                outputs = apply_to_rows(node, inputs)
            else:
                op = _fitting_operation(node, inputs, is_resized=node in other_inputs)
                outputs = op.make_node(*inputs).outputs
            rebuilt.update(zip(node.outputs, outputs, strict=True))
    return rebuilt


def _fitting_operation(node: Apply, inputs: Sequence[Variable | None], *, is_resized: bool) -> Op:
    """Return the operation of a node, for inputs that may have other lengths.

    A composed distribution, such as a mixture, holds a graph in which the lengths of its first
    inputs are written, if these were constants. It is built again without them.
    """
    op = node.op
    if not isinstance(op, OpFromGraph) or not (is_resized or _have_other_lengths(node, inputs)):
        return op
    # The graph of an operation cannot be changed, but its copy can.
    graph = op.fgraph.unfreeze()
    new_inputs = {
        inner: _inner_input(inner, variable)
        for inner, variable in zip(graph.inputs, inputs, strict=True)
    }
    rebuilt = rebuild_variables(graph.outputs, new_inputs)
    outputs = [rebuilt.get(variable, variable) for variable in graph.outputs]
    fitting = op.clone_with_inner_graph(FunctionGraph([*new_inputs.values()], outputs, clone=False))
    for attribute in _INNER_SHAPES:
        vars(fitting).pop(attribute, None)
    return fitting


def _have_other_lengths(node: Apply, inputs: Sequence[Variable | None]) -> bool:
    return any(
        isinstance(old.type, TensorType) and old.type.shape != new.type.shape
        for old, new in zip(node.inputs, inputs, strict=True)
        if new is not None
    )


def _inner_input(inner: Variable, variable: Variable | None) -> Variable:
    """Return an input for a graph like one, with the lengths of the variable that it stands for."""
    if variable is None or not isinstance(inner.type, TensorType):
        return inner.type()
    return inner.type.clone(shape=variable.type.shape)()


def rebuild_model(model: pm.Model, rebuilt: Mapping[Variable, Variable]) -> pm.Model:
    """Return a model of rebuilt variables; those that are not rebuilt are shared with it.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.
    rebuilt : mapping of Variable to Variable
        What :func:`rebuild_variables` returns for the graphs of the model.

    Returns
    -------
    pymc.Model
        For its density and its deterministics. It has no dims, no coords and no containers.
    """
    new_model = pm.Model(model=None, check_bounds=model.check_bounds)
    for name in VARIABLE_LISTS:
        for variable in getattr(model, name):
            new_variable = rebuilt.get(variable, variable)
            new_variable.name = variable.name
            getattr(new_model, name).append(new_variable)
    for variable, value in model.rvs_to_values.items():
        new_variable, new_value = rebuilt.get(variable, variable), rebuilt.get(value, value)
        new_model.rvs_to_values[new_variable] = new_value
        new_model.values_to_rvs[new_value] = new_variable
        new_model.rvs_to_transforms[new_variable] = model.rvs_to_transforms[variable]
    for variable, initial_value in model.rvs_to_initial_values.items():
        new_model.rvs_to_initial_values[rebuilt.get(variable, variable)] = initial_value
    return new_model


def full_data_model(model: pm.Model) -> pm.Model:
    """Return the model with all data in the place of minibatches, and without sparse matrices.

    It is the model itself if it has neither.

    Parameters
    ----------
    model : pymc.Model
        A model that no generator feeds.

    Returns
    -------
    pymc.Model
        With the same value variables, for its density and its deterministics; it has no dims.
    """
    graphs = model_graphs(model)
    data = stored_data(graphs)
    return without_sparse(rebuild_model(model, rebuild_variables(graphs, data)) if data else model)


# By model: its structure, and the model without sparse matrices.
type Structure = tuple[object, ...]
"""What a model is made of, see :func:`structure_of`."""

_without_sparse: weakref.WeakKeyDictionary[pm.Model, tuple[Structure, pm.Model]] = (
    weakref.WeakKeyDictionary()
)


def without_sparse(model: pm.Model) -> pm.Model:
    """Return the model with the rows of its sparse matrices in their place; itself if it has none.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    pymc.Model
        With the same value variables, for its density and its deterministics; it has no dims. It is
        the same one until the structure of the model changes.

    Raises
    ------
    TypeError
        If something is computed of a sparse matrix that would not leave it sparse.
    ValueError
        If the rows of a matrix are of very uneven lengths.
    """
    structure = structure_of(model)
    known = _without_sparse.get(model)
    if known is not None and same_structure(known[0], structure):
        return known[1]
    graphs = model_graphs(model)
    matrices = rows_of_matrices(graphs)
    if not matrices:
        return model
    rebuilt = rebuild_model(model, rebuild_variables(graphs, matrices))
    _without_sparse[model] = structure, rebuilt
    return rebuilt


def terms_without_sparse(terms: Sequence[Variable]) -> list[Variable]:
    """Return the densities of a model without the sparse matrices that distributions brought in.

    Raises
    ------
    TypeError
        If something is computed of a sparse matrix that would not leave it sparse.
    """
    matrices = rows_of_matrices(terms)
    rebuilt = rebuild_variables(terms, matrices) if matrices else {}
    return [rebuilt.get(term, term) for term in terms]


def stored_data(graphs: Sequence[Variable]) -> dict[Variable, Variable]:
    """Return the data that each minibatch in graphs is drawn from, by the minibatch."""
    return {
        variable: variable.owner.inputs[variable.index].astype(variable.dtype)
        for variable in ancestors(graphs)
        if variable.owner is not None and isinstance(variable.owner.op, MinibatchOp)
    }


def structure_of(model: pm.Model) -> Structure:
    """List what a model is made of.

    The list must be kept, since it holds variables by identity: once one is freed, another may get
    its address.
    """
    variables = (*model.basic_RVs, *model.potentials, *model.deterministics)
    values = (
        part
        for variable in variables
        for part in (
            model.rvs_to_values.get(variable),
            model.rvs_to_transforms.get(variable),
            model.rvs_to_initial_values.get(variable),
        )
    )
    return (model.check_bounds, *variables, *values)


def same_structure(old: Structure, new: Structure) -> bool:
    """Return whether two lists of :func:`structure_of` are of the same parts."""
    return len(old) == len(new) and all(
        before is now or (isinstance(before, float | int | str) and before == now)
        for before, now in zip(old, new, strict=True)
    )
