"""The basic random variables of a graph: listed, replaced, and with their generators.

PyMC builds some distributions as graphs of others (a mixture, a censored normal). :func:`inlined`
opens these, so that only random variables of PyTensor are left, each of which is one node with one
generator. All that this takes of the internals of PyMC and PyTensor is in this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pymc as pm
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.variational.minibatch_rv import MinibatchRandomVariable
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.basic import BernoulliRV
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomGeneratorType

from bayou.models.scaling.row_weights import WeightedRows, without_scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytensor.graph.basic import Apply, Variable

# Nodes that scale a density, by total_size or by weights, and whose draws are those of their input.
_SCALINGS = (MinibatchRandomVariable, WeightedRows)
# Nodes that stand for a graph: distributions that PyMC composes, and scalings.
_COMPOSED = (SymbolicRandomVariable, *_SCALINGS)


@dataclass(frozen=True)
class RandomNode:
    """A basic random variable of a graph.

    Attributes
    ----------
    value : Variable
        The variable that is drawn.
    parameters : tuple of Variable
        The parameters of its distribution.
    core_axes : tuple of int
        The number of last axes of each parameter that belong to one draw.
    support_axes : int
        The number of last axes of the value that belong to one draw: 0 for a normal variable, 1 for
        a multivariate one.
    op : RandomVariable
        Its distribution.
    """

    value: Variable
    parameters: tuple[Variable, ...]
    core_axes: tuple[int, ...]
    support_axes: int
    op: RandomVariable


def inlined(graphs: Sequence[Variable]) -> list[Variable]:
    """Replace composed distributions and scalings in graphs, in place, by what they are made of."""
    graph = FunctionGraph(outputs=list(graphs), clone=False)
    while True:
        # Anew after each replacement: the graph of one may hold another.
        composed = (node for node in graph.toposort() if isinstance(node.op, _COMPOSED))
        node = next(composed, None)
        if node is None:
            return list(graph.outputs)
        is_scaling = isinstance(node.op, _SCALINGS)
        parts = [node.inputs[0]] if is_scaling else inline_ofg_node(node)
        graph.replace_all(list(zip(node.outputs, parts, strict=True)), import_missing=True)


def random_nodes(graphs: Sequence[Variable]) -> list[RandomNode]:
    """List the basic random variables that graphs depend on, each after those it depends on."""
    if not graphs:
        return []
    nodes = FunctionGraph(outputs=list(graphs), clone=False).toposort()
    return [_random_node(node) for node in nodes if isinstance(node.op, RandomVariable)]


def _random_node(node: Apply) -> RandomNode:
    op: RandomVariable = node.op
    return RandomNode(
        value=node.outputs[1],
        parameters=tuple(op.dist_params(node)),
        core_axes=tuple(op.ndims_params),
        support_axes=op.ndim_supp,
        op=op,
    )


def with_random_nodes_replaced(
    outputs: Sequence[Variable], replacement: Callable[[int, RandomNode], Variable | None]
) -> list[Variable]:
    """Copy graphs with other variables in the place of their random ones.

    Parameters
    ----------
    outputs : sequence of Variable
        The graphs. They stay as they are.
    replacement : callable
        (index of a node, as in :func:`random_nodes`; the node of the copy) -> the variable in its
        place, or None to leave it.
    """
    graph = FunctionGraph(outputs=clone_replace(list(outputs), {}), clone=False)
    for index, node in enumerate(random_nodes(graph.outputs)):
        # The node is looked up again, since the replacements so far changed its inputs.
        variable = replacement(index, _random_node(node.value.owner))
        if variable is not None:
            graph.replace(node.value, variable, import_missing=True)
    return list(graph.outputs)


def check_simulators(model: pm.Model) -> None:
    """Check that the variables of a model have densities, and no simulations in their place.

    Raises
    ------
    TypeError
        Names the variables that are simulated.
    """
    names = [variable.name for variable in model.basic_RVs if _is_simulated(variable)]
    if names:
        raise TypeError(
            f"`model` must have a density, got {names}, which pm.Simulator compares with new "
            "random simulations each time.\n"
            "Hint: use pm.sample_smc; or write a likelihood with a density, such as pm.CustomDist."
        )


def _is_simulated(variable: Variable) -> bool:
    return isinstance(without_scaling(variable).owner.op, pm.Simulator.rv_type)


def generators_of(graphs: Sequence[Variable]) -> list[Variable]:
    """Return the random generators that are inputs of graphs."""
    return [
        variable
        for variable in ancestors(graphs)
        if variable.owner is None and is_generator(variable)
    ]


def is_generator(variable: Variable) -> bool:
    """Return whether a variable is the state of a random generator."""
    return isinstance(variable.type, RandomGeneratorType)


def draws_in_loops(graphs: Sequence[Variable]) -> bool:
    """Return whether random numbers are drawn inside of a loop, as by an autoregression."""
    owners = (variable.owner for variable in ancestors(graphs) if variable.owner is not None)
    return any(
        not isinstance(owner.op, RandomVariable) and any(map(is_generator, owner.inputs))
        for owner in owners
    )


def logit_of(probability: Variable) -> Variable | None:
    """Return the variable that a probability is the sigmoid of; None if it is computed otherwise.

    A sigmoid of an integer is cast to float first; its logit is not taken.
    """
    owner = probability.owner
    if owner is None or not isinstance(owner.op, Elemwise):
        return None
    is_sigmoid = isinstance(owner.op.scalar_op, Sigmoid)
    logit: Variable = owner.inputs[0]
    return logit if is_sigmoid and logit.type.dtype == probability.type.dtype else None


def is_bernoulli(variable: Variable) -> bool:
    """Return whether a variable is a draw of a Bernoulli distribution, 0 or 1."""
    return variable.owner is not None and isinstance(variable.owner.op, BernoulliRV)
