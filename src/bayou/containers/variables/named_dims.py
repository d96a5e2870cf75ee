"""Variables with named dims, those of ``pymc.dims``, as plain tensors.

PyTensor names the axes of an ``XTensorVariable``. Its operations on names cannot be run; PyTensor
writes ("lowers") them as operations on axes before it compiles a graph. Here this is done when a
graph is read, so that all that follows sees plain tensors. Neither ``pymc.dims`` nor
``pytensor.xtensor`` is imported unless a graph has such variables.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.type import random_generator_type
from pytensor.tensor.random.variable import RandomGeneratorSharedVariable
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.graph.basic import Variable
    from pytensor.graph.rewriting.basic import GraphRewriter
    from pytensor.xtensor.type import XTensorVariable


def dims_of_type(variable: Variable) -> tuple[str, ...] | None:
    """Return the names of the axes that a variable itself has; None for a plain tensor."""
    if "pytensor.xtensor.type" not in sys.modules:
        return None
    from pytensor.xtensor.type import XTensorType

    kind = variable.type
    return tuple(kind.dims) if isinstance(kind, XTensorType) else None


def has_named_dims(graphs: Sequence[Variable]) -> bool:
    """Return whether any variable in graphs has axes with names of their own."""
    # A model can only have them once PyTensor's module of them is there.
    return "pytensor.xtensor.type" in sys.modules and any(map(_is_named, ancestors(graphs)))


def with_named_dims(variable: Variable, dims: Sequence[str]) -> XTensorVariable:
    """Return a plain tensor with names for its axes, as operations of ``pymc.dims`` take it."""
    from pytensor.xtensor import as_xtensor

    return as_xtensor(variable, dims=tuple(dims), name=variable.name)


def lowered(graphs: Sequence[Variable]) -> list[Variable]:
    """Return graphs as plain tensors; those of plain tensors as they are.

    Parameters
    ----------
    graphs : sequence of Variable
        They stay as they are. Lower graphs that share variables in one call: their copies share
        the same ones.

    Returns
    -------
    list of Variable
        Copies with the names of the graphs. Containers with named dims become plain ones, always
        the same, which hold the same value.

    Raises
    ------
    TypeError
        If PyTensor has no plain operation for one on named dims: names the operation.
    """
    if not has_named_dims(graphs):
        return list(graphs)
    from pytensor.xtensor.basic import tensor_from_xtensor

    replacements = {root: _plain_root(root) for root in graph_inputs(graphs) if _is_named(root)}
    tensors = [
        tensor_from_xtensor(graph) if dims_of_type(graph) is not None else graph for graph in graphs
    ]
    function_graph = FunctionGraph(outputs=clone_replace(tensors, replacements), clone=False)
    _lower_operations_without_names(function_graph)
    _lowering().rewrite(function_graph)
    _check_lowered(function_graph)
    for graph, plain in zip(graphs, function_graph.outputs, strict=True):
        plain.name = graph.name or plain.name
    return list(function_graph.outputs)


@cache
def _lowering() -> GraphRewriter:
    """Return PyTensor's own rewrites of operations on named dims."""
    return optdb.query("+lower_xtensor")


def _is_named(variable: Variable) -> bool:
    """Return whether a variable, or the state of a generator, is of PyTensor's named kinds."""
    from pytensor.xtensor.random.type import XRandomGeneratorType
    from pytensor.xtensor.type import XTensorType

    return isinstance(variable.type, XTensorType | XRandomGeneratorType)


def _plain_root(root: Variable) -> Variable:
    """Return an input of a graph, with named dims, as one made of a plain input."""
    from pytensor.xtensor.basic import xtensor_from_tensor
    from pytensor.xtensor.random.type import rng_to_xrng

    dims = dims_of_type(root)
    match root:
        case SharedVariable() if dims is None:
            return rng_to_xrng(_plain_container(root))
        case SharedVariable():
            return xtensor_from_tensor(_plain_container(root), dims=dims)
        case Constant():
            return xtensor_from_tensor(pt.constant(root.data, name=root.name), dims=dims)
        case _:
            # The input of a function, such as the value of a free variable.
            plain = TensorType(root.type.dtype, shape=root.type.shape)(name=root.name)
            return xtensor_from_tensor(plain, dims=dims)


def _plain_container(container: SharedVariable) -> SharedVariable:
    """Return the plain variable of the same value as a container with named dims.

    It is kept with the container, so that it is one variable wherever the container is read.
    """
    known = getattr(container.tag, "plain", None)
    # PyMC copies a container with its tag, but gives it a value of its own.
    if known is not None and known.container is container.container:
        return known
    if dims_of_type(container) is None:
        kind, make = random_generator_type, RandomGeneratorSharedVariable
    else:
        kind, make = TensorType(container.dtype, container.type.shape), TensorSharedVariable
    plain = make(
        type=kind, value=None, strict=None, container=container.container, name=container.name
    )
    container.tag.plain = plain
    return plain


def _lower_operations_without_names(graph: FunctionGraph) -> None:
    """Lower what PyTensor's rewrites leave: operations on anything, such as views and checks."""
    from pytensor.xtensor.basic import (
        XOp,
        XTypeCastOp,
        tensor_from_xtensor,
        xtensor_from_tensor,
    )

    def plain(variable: Variable) -> Variable:
        return variable if dims_of_type(variable) is None else tensor_from_xtensor(variable)

    for node in graph.toposort():
        # A value without axes has named dims too: none of them.
        is_named = any(dims_of_type(v) is not None for v in (*node.inputs, *node.outputs))
        if isinstance(node.op, XOp | XTypeCastOp) or not is_named:
            continue
        outputs = node.op.make_node(*map(plain, node.inputs)).outputs
        named = (
            new if (dims := dims_of_type(old)) is None else xtensor_from_tensor(new, dims=dims)
            for old, new in zip(node.outputs, outputs, strict=True)
        )
        graph.replace_all(list(zip(node.outputs, named, strict=True)), import_missing=True)


def _check_lowered(graph: FunctionGraph) -> None:
    from pytensor.xtensor.basic import XTypeCastOp

    for node in graph.toposort():
        is_named = any(map(_is_named, (*node.inputs, *node.outputs)))
        # A cast between named and plain is left where another operation is.
        if is_named and not isinstance(node.op, XTypeCastOp):
            raise TypeError(
                "`model` must use operations on named dims that PyTensor can write as operations "
                f"on axes, got {node.op}.\n"
                "Hint: compute it on plain tensors, with `.values` and as_xtensor(..., dims=...)."
            )
