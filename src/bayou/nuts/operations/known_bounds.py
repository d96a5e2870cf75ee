"""Checks of parameters that hold by how the parameters are computed.

PyMC checks the parameters of each distribution in each evaluation. Of a Bernoulli with logits it
computes the probabilities of all rows for nothing else: a fifth of the time of a gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.scalar.basic import GE, LE, Abs, Exp, Sqr
from pytensor.scalar.math import Sigmoid, Softplus
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.math import All

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.fg import FunctionGraph
    from pytensor.tensor.variable import TensorVariable

_NEVER_NEGATIVE = (Abs, Exp, Sigmoid, Softplus, Sqr)
_NEVER_ABOVE_ONE = (Sigmoid,)


def drop_known_checks(graph: TensorVariable) -> TensorVariable:
    """Return a canonical graph in which the checks that always hold are the constant True.

    Where a parameter is nan, the graph is so too, as it is -inf by the check.
    """
    rewritten: TensorVariable = rewrite_graph(
        graph, include=(), custom_rewrite=dfs_rewriter(_drop_known_check)
    )
    return rewritten


@node_rewriter([All])
def _drop_known_check(fgraph: FunctionGraph, node: Apply) -> list[Variable] | None:
    """Replace `all(exp(x) >= 0)` and the like by True."""
    [condition], [output] = node.inputs, node.outputs
    if output.type.ndim or condition.owner is None:
        return None
    return [pt.constant(np.True_, dtype="bool")] if _always_holds(condition.owner) else None


def _always_holds(comparison: Apply) -> bool:
    """Return whether a comparison of a function with constants holds at all its arguments."""
    if not isinstance(comparison.op, Elemwise) or len(comparison.inputs) != 2:
        return False
    value, bound = comparison.inputs
    function = value.owner
    if not isinstance(bound, Constant) or function is None or not isinstance(function.op, Elemwise):
        return False
    scalar = function.op.scalar_op
    if isinstance(comparison.op.scalar_op, GE):
        return isinstance(scalar, _NEVER_NEGATIVE) and bool(np.all(bound.data <= 0))
    if isinstance(comparison.op.scalar_op, LE):
        return isinstance(scalar, _NEVER_ABOVE_ONE) and bool(np.all(bound.data >= 1))
    return False
