"""Properties of a rewritten graph that decide how JAX can compile and differentiate it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytensor.graph.op import HasInnerGraph
from pytensor.graph.traversal import ancestors
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import (
    Add,
    Clip,
    Exp,
    Expm1,
    Log,
    Log1p,
    Log2,
    Log10,
    Mul,
    Pow,
    Reciprocal,
    ScalarMaximum,
    ScalarMinimum,
    Sqrt,
    Switch,
    TrueDiv,
)
from pytensor.scalar.math import BetaInc, Gamma, GammaLn, Log1mexp, Psi
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Join, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Sum
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.special import LogAddExp, LogSumExp
from pytensor.tensor.subtensor import Subtensor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.fg import FunctionGraph

# Of these JAX takes the gradients of all branches, and multiplies those not taken by zero.
_BRANCHES = (Switch, ScalarMaximum, ScalarMinimum, Clip)
# Their derivatives are infinite somewhere, at 0 or far out.
_UNBOUNDED = (
    Exp, Expm1, Gamma, GammaLn, Log, Log10, Log1mexp, Log1p, Log2, Pow, Psi, Reciprocal, Sqrt,
    TrueDiv,
)  # fmt: skip
# JAX has no derivative of these at all.
_WITHOUT_GRADIENT = (BetaInc,)
# These pass lengths on, and compute with them as with any other number.
_OF_NUMBERS = (Elemwise, DimShuffle, MakeVector, ScalarFromTensor, TensorFromScalar, Join)


def needs_lengths(graph: FunctionGraph) -> bool:
    """Return whether an operation needs lengths that are computed from shapes: ``y[: n - 1]``.

    What only divides by them, as the scaling of a batch to all rows does, takes any number.
    """
    lengths: set[Variable] = set()
    for node in graph.toposort():
        if isinstance(node.op, Shape | Shape_i):
            lengths.update(node.outputs)
        elif isinstance(node.op, CheckAndRaise):
            # JAX leaves out what it asserts, and takes its first input.
            lengths.update(lengths.intersection(node.inputs[:1]) and node.outputs)
        elif not lengths.isdisjoint(node.inputs):
            if not _passes_on(node, lengths):
                return True
            lengths.update(output for output in node.outputs if output.dtype[0] in "iub")
    return False


def may_lose_gradients(graph: FunctionGraph, wrt: Collection[Variable]) -> bool:
    """Return whether JAX's gradient may be NaN where the one of the branch taken is finite.

    That is so where a branch has an operation with a derivative without bounds. It is also so of
    operations whose derivative JAX does not have.

    Parameters
    ----------
    graph : FunctionGraph
        A rewritten graph.
    wrt : collection of Variable
        Its inputs that gradients are taken with respect to.
    """
    dependent = set(wrt)
    for node in graph.toposort():
        if not dependent.isdisjoint(node.inputs):
            dependent.update(node.outputs)
            if _is_of(node, _WITHOUT_GRADIENT):
                return True
    branches = [
        branch
        for node in graph.toposort()
        if _is_of(node, _BRANCHES)
        for branch in node.inputs
        if branch in dependent
    ]
    return any(
        variable.owner is not None and _is_of(variable.owner, _UNBOUNDED)
        for variable in ancestors(branches)
        if variable in dependent
    )


def may_have_local_optima(outputs: Sequence[Variable]) -> bool:
    """Return whether graphs are of a kind that is known to have local optima.

    They have the log of a sum of exponentials, as mixtures do, or a recursion, as the solution of a
    differential equation is.

    Parameters
    ----------
    outputs : sequence of Variable
        Graphs that are not rewritten yet.
    """
    for variable in ancestors(outputs):
        node = variable.owner
        if node is None:
            continue
        if isinstance(node.op, LogSumExp | LogAddExp | Scan) or _is_log_of_densities(node):
            return True
        if isinstance(node.op, HasInnerGraph) and may_have_local_optima(node.op.inner_outputs):
            return True
    return False


def _is_log_of_densities(node: Apply) -> bool:
    """Return whether it is a log of a sum of exponentials, by whatever these are multiplied."""
    total = node.inputs[0].owner if node.inputs else None
    if not _is_of(node, (Log,)) or total is None:
        return False
    is_sum = isinstance(total.op, Sum) or (_is_of(total, (Add,)) and len(total.inputs) > 1)
    return is_sum and any(map(_holds_exponential, total.inputs))


def _holds_exponential(variable: Variable) -> bool:
    node = variable.owner
    if node is None:
        return False
    if isinstance(node.op, DimShuffle) or _is_of(node, (Mul,)):
        return any(map(_holds_exponential, node.inputs))
    return _is_of(node, (Exp,))


def _is_of(node: Apply, scalar_types: tuple[type, ...]) -> bool:
    return isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, scalar_types)


def _passes_on(node: Apply, lengths: set[Variable]) -> bool:
    # An element of a vector of lengths.
    is_element = isinstance(node.op, Subtensor) and lengths.isdisjoint(node.inputs[1:])
    return is_element or isinstance(node.op, _OF_NUMBERS)
