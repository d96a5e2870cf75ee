"""The inputs of graphs of a model: rows that change from step to step, and data that stay.

:func:`feeding_variables` is the one walk over graphs that finds them. :func:`find_inputs` makes
them arguments of functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pymc.data import MinibatchOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, walk
from pytensor.scalar.basic import Cast
from pytensor.tensor.basic import Nonzero
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.subtensor import AdvancedSubtensor

from bayou.containers.variables.generator import GeneratorOp
from bayou.containers.variables.random_rows import NumRows, SliceOp
from bayou.containers.variables.source_variable import resident_of
from bayou.models.plain.axis_order import without_transpose

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers
    from bayou.sampling.axes import AxisSample


@dataclass(frozen=True, eq=False)
class GraphInputs:
    """The inputs of some graphs, and the variables that replace them in functions.

    Attributes
    ----------
    fed : tuple of TensorVariable
        Minibatches and items of generators, which change from step to step. Those that are sampled
        alike are side by side.
    data : tuple of SharedVariable
        Containers whose values are inputs.
    counted : tuple of (SharedVariable, int)
        Containers whose number of rows alone is an input, each with the axis of its rows.
    lengths : tuple of (SharedVariable, ndarray)
        What shapes are computed from: whole numbers without axes, and data of which masks are
        made. They are constants, each with its value.
    inputs : list of Variable
        Stand for ``fed``, ``data`` and ``counted``, in this order.
    replacements : dict of Variable to Variable
        From what feeds the graphs, clones of it included, to inputs and constants.
    """

    fed: tuple[TensorVariable, ...]
    data: tuple[SharedVariable, ...]
    counted: tuple[tuple[SharedVariable, int], ...]
    lengths: tuple[tuple[SharedVariable, Numbers], ...]
    inputs: list[Variable]
    replacements: Mapping[Variable, Variable]

    def vary(self, variable: Variable) -> bool:
        """Return whether a variable depends on what changes from step to step."""
        varying = {root for root in self.replacements if _varies(root)}
        return any(ancestor in varying for ancestor in ancestors([variable]))


def feeding_variables(graphs: Sequence[Variable], *, row_counts: bool = False) -> list[Variable]:
    """Return the inputs of some graphs, depth first; each clone of a variable is listed.

    Parameters
    ----------
    graphs : sequence of Variable
        They are walked up to their inputs.
    row_counts : bool, default False
        Whether the number of rows of a container is listed, in the place of the container.

    Returns
    -------
    list of Variable
        Minibatches, also those of PyMC, items of generators, and shared variables. Random
        generators are left out.
    """

    def feeds(variable: Variable) -> bool:
        return is_minibatch(variable) or (row_counts and _counts_rows(variable))

    def inputs_of(variable: Variable) -> list[Variable]:
        return [] if variable.owner is None or feeds(variable) else variable.owner.inputs

    return [
        variable
        for variable in walk(list(graphs), inputs_of, bfs=False)
        if feeds(variable)
        or (isinstance(variable, SharedVariable) and not isinstance(variable.type, RandomType))
    ]


def find_inputs(graphs: Sequence[Variable]) -> GraphInputs:
    """Return the inputs of some graphs, with the arguments of a function of the graphs.

    Raises
    ------
    TypeError
        If they are fed by a minibatch of PyMC, or draw random numbers.
    """
    # A number of rows is an input by itself, so that a scale does not make the data an input.
    roots = feeding_variables(graphs, row_counts=True)
    _check_minibatches(roots)
    _check_random_draws(graphs)
    # Lengths and sizes are built in: JAX must know them while it compiles.
    masks = _mask_data(graphs)
    fixed = {
        root: pt.constant(root.get_value()) for root in roots if _is_length(root) or root in masks
    }
    arguments = _arguments([root for root in roots if root not in fixed])
    # Clones have one argument: the first of them stands for all.
    firsts = {argument: root for root, argument in reversed(arguments.items())}
    fed = _grouped([root for root in reversed(firsts.values()) if _varies(root)])
    constant = [root for root in reversed(firsts.values()) if not _varies(root)]
    counted = [root for root in constant if _counts_rows(root)]
    data = [root for root in constant if not _counts_rows(root)]
    return GraphInputs(
        fed=fed,
        data=tuple(storage_of(root) for root in data),
        counted=tuple((root.owner.inputs[0], root.owner.op.axis) for root in counted),
        lengths=tuple((root, root.get_value()) for root in fixed),
        inputs=[arguments[root] for root in (*fed, *data, *counted)],
        replacements=arguments | fixed,
    )


def _check_random_draws(graphs: Sequence[Variable]) -> None:
    """Check that nothing is drawn at random in graphs of a density and of deterministics."""
    for variable in ancestors(graphs):
        if isinstance(variable.type, RandomType):
            raise TypeError(
                "`model` must draw no random numbers where it computes its density and "
                "deterministics, got a random variable without a name.\n"
                "Hint: write pm.Normal('x', ...) in the place of pm.Normal.dist(...)."
            )


def _check_minibatches(roots: Sequence[Variable]) -> None:
    for root in roots:
        if is_minibatch(root) and not _is_fed(root):
            raise TypeError(
                f"`model` must hold minibatches of bayou, got pm.Minibatch {root}.\n"
                "Hint: make it with by.Minibatch(data, batch_size)."
            )


def is_minibatch(variable: Variable) -> bool:
    """Return whether a variable is a minibatch or an item of a generator, of bayou or of PyMC."""
    return variable.owner is not None and isinstance(variable.owner.op, MinibatchOp)


def storage_of(variable: Variable) -> SharedVariable:
    """Return the container that a minibatch is drawn from; a container itself.

    That of a generator holds its first item.
    """
    if not is_minibatch(variable):
        return variable
    # A minibatch of PyMC is one of several outputs, each of the input of the same index.
    return variable.owner.inputs[variable.index or 0]


def depends_on_generator(*variables: Variable) -> bool:
    """Return whether any of some variables depends on the items of a generator."""
    return any(
        ancestor.owner is not None and isinstance(ancestor.owner.op, GeneratorOp)
        for ancestor in ancestors(variables)
    )


def sampling_of(variable: TensorVariable) -> tuple[AxisSample, ...]:
    """Return how the axes of a minibatch are sampled; nothing for a generator."""
    return getattr(variable.owner.op, "samples", ())


def group_of(variable: TensorVariable) -> Hashable:
    """Return a key that is equal for variables which one feed gives the same rows."""
    samples = sampling_of(variable)
    if not samples:
        return id(variable)
    resident = resident_of(storage_of(variable))
    return samples, None if resident is None else id(resident.column.source)


def uncast(variable: Variable) -> Variable:
    """Return the variable that a variable is a cast, or another function by element, of."""
    while variable.owner is not None and isinstance(variable.owner.op, Elemwise):
        variable = variable.owner.inputs[0]
    return variable


def is_cast_of(variable: Variable, source: Variable) -> bool:
    """Return whether a variable is another one with no more than its dtype changed."""
    while variable is not source and variable.owner is not None:
        operation = variable.owner.op
        if not (isinstance(operation, Elemwise) and isinstance(operation.scalar_op, Cast)):
            return False
        [variable] = variable.owner.inputs
    return variable is source


def is_fed(variable: Variable) -> bool:
    """Return whether a variable is a minibatch or a generator of bayou, cast, transposed or not."""
    return _is_fed(without_transpose(uncast(variable)))


def _is_fed(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, SliceOp | GeneratorOp)


def _counts_rows(variable: Variable) -> bool:
    return variable.owner is not None and isinstance(variable.owner.op, NumRows)


def _varies(variable: Variable) -> bool:
    """Return whether a variable changes from step to step."""
    # A minibatch that samples no axis is all of its data.
    return _is_fed(variable) and getattr(variable.owner.op, "samples", None) != ()


def _is_length(variable: Variable) -> bool:
    """Return whether a variable is a whole number without axes, which may be a length or size."""
    return (
        isinstance(variable, SharedVariable)
        and variable.type.ndim == 0
        and variable.type.dtype.startswith(("int", "uint"))
    )


def _mask_data(graphs: Sequence[Variable]) -> set[Variable]:
    """Return the shared variables that masks are computed from, whose values decide a shape."""
    nodes = {variable.owner for variable in ancestors(graphs) if variable.owner is not None}
    data: set[Variable] = set()
    for mask in (mask for node in nodes for mask in _masks(node)):
        inputs = _inputs_by_value(mask)
        # JAX compiles no mask of what changes from step to step, or of free variables.
        if all(isinstance(each, SharedVariable | Constant) for each in inputs):
            data.update(each for each in inputs if isinstance(each, SharedVariable))
    return data


def _masks(node: Apply) -> list[Variable]:
    """Return the inputs of a node whose values decide the shape of what it computes."""
    if isinstance(node.op, Nonzero):
        return list(node.inputs)
    if isinstance(node.op, AdvancedSubtensor):
        return [each for each in node.inputs[1:] if getattr(each.type, "dtype", "") == "bool"]
    return []


def _inputs_by_value(variable: Variable) -> list[Variable]:
    """Return the leaves of the graph of a variable, except those that it uses only the shape of."""

    def inputs_of(variable: Variable) -> Sequence[Variable]:
        node = variable.owner
        if node is None or is_minibatch(variable) or isinstance(node.op, Shape | Shape_i):
            return []
        inputs: Sequence[Variable] = node.inputs
        return inputs

    parts = walk([variable], inputs_of)
    return [each for each in parts if each.owner is None or is_minibatch(each)]


def takes_rows(term: Variable) -> bool:
    """Return whether a variable depends on rows that are fed, and not only on their shapes."""

    def inputs_of(variable: Variable) -> list[Variable]:
        return [] if is_minibatch(variable) else value_inputs(variable)

    return any(_varies(variable) for variable in walk([term], inputs_of))


def value_inputs(variable: Variable) -> list[Variable]:
    """Return the inputs of a variable, none if it is no more than a length; for walks."""
    if variable.owner is None or isinstance(variable.owner.op, Shape | Shape_i | NumRows):
        return []
    return list(variable.owner.inputs)


def mark_rows(potential: TensorVariable) -> None:
    """Mark a potential as one with a density for each row, scaled to all of them."""
    potential.tag.is_of_rows = True


def has_row_mark(potential: TensorVariable) -> bool:
    """Return whether :func:`mark_rows` was called on a potential."""
    return bool(getattr(potential.tag, "is_of_rows", False))


def _arguments(roots: Sequence[Variable]) -> dict[Variable, Variable]:
    """Return a new variable for each root; clones of one minibatch share theirs."""
    by_node: dict[Hashable, Variable] = {}
    arguments = {}
    for root in roots:
        # PyMC clones the nodes of minibatches, not their operations and inputs.
        node = (root.owner.op, *root.owner.inputs) if root.owner else root
        arguments[root] = by_node.setdefault(node, root.type(name=root.name))
    return arguments


def _grouped(roots: list[TensorVariable]) -> tuple[TensorVariable, ...]:
    """Put the roots that are sampled alike side by side, each group where its first root was."""
    groups: dict[Hashable, list[TensorVariable]] = {}
    for root in roots:
        groups.setdefault(group_of(root), []).append(root)
    return tuple(root for group in groups.values() for root in group)
