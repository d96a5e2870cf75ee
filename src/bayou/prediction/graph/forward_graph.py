"""The graph of a model from parameters and rows to its outputs, cut out of the model as a copy.

The model stays as it is. In the copy the data containers are inputs, scalings by total_size are
gone, and composed distributions are inlined, so that it can be compiled once for any rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, walk
from pytensor.printing import debugprint

from bayou.containers.sparse.sparse_container import PartVariable
from bayou.containers.variables.dims import dims_of
from bayou.models.inputs import feeding_variables, is_minibatch, value_inputs
from bayou.models.random_variables import generators_of, inlined, is_bernoulli
from bayou.models.rewrite import without_sparse
from bayou.models.scaling.row_weights import without_scaling
from bayou.text import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers


type Arrays = Sequence[Numbers]
"""Values of variables in the order of these."""
type VariableArrays = Mapping[Variable, Numbers]
"""Values by the variables that they are of."""


@dataclass(frozen=True, eq=False)
class ForwardGraph:
    """A copy of a part of a model, from parameters and data to outputs.

    Attributes
    ----------
    outputs : tuple of Variable
        The variables that are predicted.
    free : dict of str to Variable
        The free variables that they depend on, by name.
    rows : tuple of Variable
        The inputs for the rows, one for each container with rows, in their order.
    fixed : dict of SharedVariable to Variable
        The inputs for the containers without rows, by container.
    constants : tuple of (SharedVariable, int)
        The integers, such as lengths of dims, that were written into the graph: JAX needs shapes
        when it compiles.
    """

    outputs: tuple[Variable, ...]
    free: dict[str, Variable]
    rows: tuple[Variable, ...]
    fixed: dict[Variable, Variable]
    constants: tuple[tuple[Variable, int], ...]

    @property
    def data_inputs(self) -> list[Variable]:
        """The inputs for the containers: those without rows, then those with rows."""
        return [*self.fixed.values(), *self.rows]


def predictable(model: pm.Model) -> dict[str, Variable]:
    """Return the observed variables, the deterministics and the free variables of a model."""
    variables = (*model.observed_RVs, *model.deterministics, *model.free_RVs)
    return {variable.name: variable for variable in variables}


def unobserved_outcomes(model: pm.Model, fitted: Collection[str]) -> list[str]:
    """Return the free variables without draws that no other free variable depends on.

    They are the outcomes of a model that is observed by ``pm.observe``, which copies it.
    """
    outcomes = [variable for variable in model.free_RVs if variable.name not in fitted]
    parents = set(
        ancestors([i for v in model.free_RVs if v.owner is not None for i in v.owner.inputs])
    )
    return [variable.name for variable in outcomes if variable not in parents]


def batches_of(model: pm.Model) -> dict[str, Variable]:
    """Return the minibatches and generators of a model by name.

    Raises
    ------
    ValueError
        If two of them have the same name.
    """
    graphs = [*model.basic_RVs, *model.deterministics, *model.rvs_to_values.values()]
    batches: dict[str, Variable] = {}
    for root in feeding_variables(graphs):
        if is_minibatch(root):
            same_name = batches.setdefault(root.name, root)
            if _storage_key(same_name) != _storage_key(root):
                raise ValueError(
                    f"The minibatches of `model` must have distinct names, got {root.name!r} "
                    'twice.\nHint: name them: by.Minibatch(data, 512, name="x").'
                )
    return batches


def containers_of(graphs: Sequence[Variable]) -> list[Variable]:
    """Return the containers with at least one axis that graphs depend on."""
    return [root for root in feeding_variables(graphs) if root.type.ndim or is_minibatch(root)]


def row_axis(model: pm.Model, container: Variable, row_dims: Collection[str]) -> int:
    """Return the axis of the rows of a container: that of their dim, the first without one."""
    axes = (axis for axis, dim in enumerate(dims_of(model, container)) if dim in row_dims)
    return next(axes, 0)


def read_by(
    model: pm.Model, names: Iterable[str], containers: Collection[Variable]
) -> list[Variable]:
    """Return the containers whose values are needed to predict some variables.

    A container of which a graph takes the length alone is not among them.
    """
    variables = predictable(model)

    def inputs_of(variable: Variable) -> list[Variable]:
        return [] if is_minibatch(variable) else value_inputs(variable)

    read = {_storage_key(found) for found in walk([variables[name] for name in names], inputs_of)}
    return [container for container in containers if _storage_key(container) in read]


def forward_graph(
    model: pm.Model,
    names: Sequence[str],
    row_shapes: Mapping[Variable, tuple[int, ...]],
    row_dims: Collection[str],
    other_values: VariableArrays,
) -> ForwardGraph:
    """Copy the graphs of some variables, with inputs in the place of containers.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.
    names : sequence of str
        The variables to predict.
    row_shapes : mapping of Variable to tuple of int
        The containers with rows, and the shape of one row of each; of a sparse matrix its values
        and its columns. The inputs have the rows on their first axis, wherever they are in the
        containers.
    row_dims : collection of str
        The dims that are as long as there are rows.
    other_values : mapping of Variable to ndarray
        New values of containers without rows.

    Raises
    ------
    ValueError
        If the shapes do not fit the model.
    """
    dense_model = without_sparse(model)
    variables = predictable(dense_model)
    asked = [without_scaling(variables[name]) for name in names]
    free_variables = set(dense_model.free_RVs)
    free = [variable for variable in ancestors(asked) if variable in free_variables]
    row_inputs = {
        _storage_key(container): input_like(container, (None, *shape))
        for container, shape in row_shapes.items()
    }
    in_model = {
        _storage_key(container): pt.moveaxis(
            row_inputs[_storage_key(container)], 0, row_axis(model, container, row_dims)
        )
        for container in row_shapes
    }
    num_rows = next(iter(row_inputs.values())).shape[0]
    row_lengths = {id(model.dim_lengths[dim]) for dim in row_dims if dim in model.dim_lengths}
    replacements: dict[Variable, Variable] = {}
    fixed: dict[Variable, Variable] = {}
    constants: dict[Variable, int] = {}
    for root in feeding_variables([*asked, *free]):
        # In a copy of a model, PyMC leaves lengths of dims tied to the original's containers.
        is_part = root.owner is not None or isinstance(root, PartVariable)
        current = root if is_part else model.root.named_vars.get(root.name, root)
        if _storage_key(current) in in_model:
            replacements[root] = in_model[_storage_key(current)]
        elif id(root) in row_lengths:
            replacements[root] = num_rows.astype(root.type.dtype)
        elif root.type.ndim == 0 and root.type.dtype.startswith(("int", "uint")):
            value = other_values[root] if root in other_values else root.get_value()
            constants[root] = int(value)
            replacements[root] = pt.constant(constants[root], dtype=root.type.dtype)
        else:
            value = other_values[root] if root in other_values else root.get_value(borrow=True)
            fixed[root] = replacements[root] = input_like(root, value.shape)
    for generator in generators_of([*asked, *free]):
        replacements[generator] = generator.type()
    try:
        copies = clone_replace([*asked, *free], replacements, rebuild_strict=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`data` must fit the model, got rows of shapes that its graph cannot be built for: "
            f"{error}\n"
            "Hint: pass rows of the shape that the containers have."
        ) from error
    outputs = inlined(copies)
    return ForwardGraph(
        outputs=tuple(outputs[: len(asked)]),
        free={
            variable.name: copy for variable, copy in zip(free, outputs[len(asked) :], strict=True)
        },
        rows=tuple(row_inputs[_storage_key(container)] for container in row_shapes),
        fixed=fixed,
        constants=tuple(constants.items()),
    )


def needed_free_variables(graph: ForwardGraph, conditioned: Collection[str]) -> list[str]:
    """Return the free variables that the outputs depend on, conditional on some of them."""
    stops = {graph.free[name] for name in conditioned}
    reached = set(
        walk(graph.outputs, lambda variable: [] if variable in stops else _inputs(variable))
    )
    return [name for name, variable in graph.free.items() if variable in reached]


def prediction_dtype(output: Variable) -> str:
    """Return the dtype of predictions: that of the variable, but int8 for Bernoulli variables."""
    return "int8" if is_bernoulli(output) else str(output.type.dtype)


def fingerprint(outputs: Sequence[Variable]) -> str:
    """Return a digest of graphs, to recognize a model when a run is resumed."""
    return digest(debugprint(list(outputs), file="str", print_type=True))


def input_like(variable: Variable, shape: tuple[int | None, ...]) -> Variable:
    """Return an input of the dtype and name of a variable, with a static shape."""
    return pt.TensorType(variable.type.dtype, shape=shape)(name=variable.name)


def _inputs(variable: Variable) -> list[Variable]:
    return [] if variable.owner is None else variable.owner.inputs


def _storage_key(variable: Variable) -> Hashable:
    """Return a key that copies of a container have in common."""
    if is_minibatch(variable):
        return (variable.owner.op, *map(_storage_key, variable.owner.inputs))
    return id(variable.container) if isinstance(variable, SharedVariable) else variable
