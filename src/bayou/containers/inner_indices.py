"""Indices in the graphs inside of loops, composed distributions and custom densities.

They are brought out: into graphs of what the node of the loop or distribution is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pymc as pm
from pymc.data import MinibatchOp
from pymc.distributions.custom import CustomDistRV
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.replace import clone_replace, vectorize_graph
from pytensor.graph.traversal import graph_inputs, toposort
from pytensor.scan.op import Scan
from pytensor.tensor.basic import tensor_from_scalar
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.fg import FunctionGraph

# Entries of `idx_list` are the numbers of inputs, counted from the first index.
_FIRST_INDEX = {Subtensor: 1, AdvancedSubtensor: 1, IncSubtensor: 2, AdvancedIncSubtensor: 2}


class IndexedAxis(NamedTuple):
    """An axis of a variable, and the whole numbers that index it."""

    indexed: Variable
    axis: int
    index: Variable


def custom_densities(model: pm.Model) -> list[Variable]:
    """Return the densities of observed variables whose density is a function, as graphs."""
    return [
        pm.logp(variable, model.rvs_to_values[variable])
        for variable in model.observed_RVs
        if isinstance(variable.owner.op, CustomDistRV)
    ]


def indexed_axes(node: Apply) -> Iterator[IndexedAxis]:
    """Yield the axes that a node indexes, itself or inside of it.

    Left out are those inside of a loop whose index or variable is computed from step to step, other
    than the variable from one last step, and indices by constants there.
    """
    if isinstance(node.op, MinibatchOp):
        return
    if isinstance(node.op, OpFromGraph):
        inside = _inner_graph(node)
        outer = dict(zip(inside.inputs, node.inputs, strict=True))
        for inner in _inner_axes(inside):
            graphs = [inner.indexed, inner.index]
            indexed, index = clone_replace(graphs, outer, rebuild_strict=False)
            yield IndexedAxis(indexed, inner.axis, index)
    elif isinstance(node.op, Scan):
        yield from _axes_in_loop(node)
    else:
        yield from _own_axes(node)


def _own_axes(node: Apply) -> Iterator[IndexedAxis]:
    first = next((at for kind, at in _FIRST_INDEX.items() if isinstance(node.op, kind)), None)
    if first is None:
        return
    axis = 0
    for entry in node.op.idx_list:
        index: Variable | None = node.inputs[first + entry] if isinstance(entry, int) else None
        # A mask takes as many axes as it has.
        if index is not None and index.type.dtype == "bool":
            axis += index.type.ndim
            continue
        if index is not None:
            yield IndexedAxis(node.inputs[0], axis, index)
        axis += 1


def _inner_graph(node: Apply) -> FunctionGraph:
    """Return a copy of the graph of a node that holds one, which others can be made of."""
    graph = node.op.fgraph
    # Graphs of nodes are frozen since PyTensor 3.3.
    return graph.unfreeze() if hasattr(graph, "unfreeze") else graph.clone()


def _inner_axes(inside: FunctionGraph) -> Iterator[IndexedAxis]:
    """Yield the axes that are indexed in the graph of a node, as graphs of its inputs."""
    inputs = set(inside.inputs)
    for inner in toposort(inside.outputs):
        for axis in indexed_axes(inner):
            if not inputs.isdisjoint(graph_inputs([axis.index])):
                yield axis


def _axes_in_loop(node: Apply) -> Iterator[IndexedAxis]:
    op, inside = node.op, _inner_graph(node)
    inputs = inside.inputs
    sequences = dict(zip(op.inner_seqs(inputs), op.outer_seqs(node.inputs), strict=True))
    constant = dict(zip(op.inner_non_seqs(inputs), op.outer_non_seqs(node.inputs), strict=True))
    # States begin with what the loop starts from.
    states = zip(op.inner_sitsot(inputs), op.outer_sitsot(node.inputs), strict=True)
    first_step = {inner: outer[0] for inner, outer in [*sequences.items(), *states]}
    for indexed, axis, index in _inner_axes(inside):
        at_all_steps = _at_all_steps(index, sequences, constant)
        if at_all_steps is None or not _is_of(indexed, constant | first_step):
            continue
        [variable] = clone_replace([indexed], constant | first_step, rebuild_strict=False)
        yield IndexedAxis(variable, axis, at_all_steps)


def _at_all_steps(
    index: Variable, sequences: Mapping[Variable, Variable], constant: Mapping[Variable, Variable]
) -> Variable | None:
    """Return an index in a loop for all of its steps; None if it depends on those before."""
    if getattr(index.type, "ndim", None) is None:
        index = tensor_from_scalar(index)
    if not _is_of(index, {**sequences, **constant}):
        return None
    used = {each: sequences[each] for each in graph_inputs([index]) if each in sequences}
    index = vectorize_graph(index, used) if used else index
    [index] = clone_replace([index], constant, rebuild_strict=False)
    return index


def _is_of(graph: Variable, known: Mapping[Variable, Variable]) -> bool:
    """Return whether a graph inside of a loop depends on known inputs of the loop alone."""
    inputs = (each for each in graph_inputs([graph]) if not hasattr(each, "data"))
    return all(each in known for each in inputs)
