"""The parts of a graph that are computed of constants alone, and lengths among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, toposort
from pytensor.tensor.basic import Alloc
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.type import TensorType

from bayou.models.interpret import compile_interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Apply, Variable

    from bayou.containers.variables.dims import Numbers


def constant_parts(variables: Sequence[Variable]) -> list[Variable]:
    """Return the largest parts of a graph that are computed of constants alone.

    Parameters
    ----------
    variables : sequence of Variable
        All variables of the graph.
    """
    constant = constant_variables(variables)
    parts = (
        variable
        for node in nodes_of(variables)
        if not constant.issuperset(node.outputs)
        for variable in node.inputs
        if variable in constant and isinstance(variable.type, TensorType)
    )
    return list(dict.fromkeys(parts))


def constant_variables(variables: Sequence[Variable]) -> set[Variable]:
    """Return the variables above some, these included, that are computed of constants alone."""
    constant: set[Variable] = {v for v in ancestors(variables) if isinstance(v, Constant)}
    for node in toposort(variables):
        # A distribution of one point takes no generator of random numbers.
        is_distribution = isinstance(node.op, SymbolicRandomVariable)
        if node.inputs and not is_distribution and constant.issuperset(node.inputs):
            constant.update(node.outputs)
    return constant


def nodes_of(variables: Sequence[Variable]) -> list[Apply]:
    """Return the nodes that variables are outputs of, each once."""
    return list(dict.fromkeys(v.owner for v in variables if v.owner is not None))


def values_of(parts: Sequence[Variable]) -> list[Numbers]:
    """Return the values of parts of a graph that are computed of constants alone."""
    computed = [part for part in parts if not isinstance(part, Constant)]
    if not computed:
        return [part.data for part in parts]
    values = dict(zip(computed, compile_interpreter([], computed)(), strict=True))
    return [part.data if isinstance(part, Constant) else values[part] for part in parts]


def length_inputs(node: Apply) -> list[Variable]:
    """Return the inputs of a node that are lengths."""
    match node.op:
        case Alloc() | SpecifyShape():
            return list(node.inputs[1:])
        case Reshape():
            return [node.inputs[1]]
        case SymbolicRandomVariable() if node.op.extended_signature is None:
            # Such as a truncated distribution: it has the inputs of the one that it truncates.
            return [variable for variable in node.inputs if _is_size(variable)]
        case RandomVariable() | SymbolicRandomVariable():
            size = node.op.size_param(node)
            return [] if size is None else [size]
        case _:
            return []


def _is_size(variable: Variable) -> bool:
    """Return whether a variable is of the type of sizes."""
    kind = variable.type
    return isinstance(kind, TensorType) and kind.ndim == 1 and kind.dtype == "int64"
