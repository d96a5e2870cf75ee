"""Random variables whose axes are in another order.

A transpose of a random variable has a density of its own in PyMC, but none where one draw takes
several axes; and no other code sees a distribution in it. Where the parameters can be transposed
in the place of the draws, they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.type_other import NoneConst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytensor.tensor.variable import TensorVariable

type Order = tuple[int, ...]
"""For each axis, the axis of the other variable that it is."""


def inverse(order: Sequence[int]) -> Order:
    """Return the order that undoes another."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def without_transpose(variable: TensorVariable) -> TensorVariable:
    """Return the variable that a variable is a transpose of; itself if it is none."""
    node = variable.owner
    if node is not None and isinstance(node.op, DimShuffle) and node.op.is_transpose:
        return node.inputs[0]
    return variable


def transposed_from(variable: TensorVariable) -> tuple[TensorVariable, Order]:
    """Return the variable that a variable is a transpose of, or itself, with the order."""
    inner = without_transpose(variable)
    if inner is variable:
        return variable, tuple(range(variable.ndim))
    return inner, tuple(variable.owner.op.new_order)


def data_without_transpose(value: TensorVariable) -> tuple[TensorVariable, Order]:
    """Return observed values with their axes as their container has them, and their order.

    Returns
    -------
    TensorVariable
        The container or array, or a cast of it.
    tuple of int
        For each axis of ``value``, the axis of the container.
    """
    node = value.owner
    if node is not None and isinstance(node.op, Elemwise) and len(node.inputs) == 1:
        data, order = data_without_transpose(node.inputs[0])
        return node.op(data), order
    return transposed_from(value)


def draw_in_order(draw: TensorVariable, order: Order) -> TensorVariable | None:
    """Return a random variable of the same distribution, with its axes in another order.

    Parameters
    ----------
    draw : TensorVariable
        A random variable that is no transpose.
    order : tuple of int
        For each axis of the result, the axis of the variable.

    Returns
    -------
    TensorVariable or None
        None if this takes a transpose: PyMC composed the distribution of others, or one draw has
        several axes, which come last.
    """
    if order == tuple(range(len(order))):
        return draw
    node = draw.owner
    if not isinstance(node.op, RandomVariable):
        return None
    num_batch = draw.ndim - node.op.ndim_supp
    if order[num_batch:] != tuple(range(num_batch, draw.ndim)):
        return None
    parameters = []
    for parameter, num_core in zip(node.op.dist_params(node), node.op.ndims_params, strict=True):
        missing = num_batch + num_core - parameter.ndim
        padded = pt.expand_dims(parameter, tuple(range(missing))) if missing else parameter
        core = tuple(range(num_batch, num_batch + num_core))
        parameters.append(padded.dimshuffle(order[:num_batch] + core))
    size = node.op.size_param(node)
    if isinstance(size, Constant) and not NoneConst.equals(size):
        size = pt.constant(size.data[list(order[:num_batch])])
    elif not NoneConst.equals(size):
        size = pt.stack([size[axis] for axis in order[:num_batch]])
    return node.op.make_node(node.op.rng_param(node), size, *parameters).outputs[1]
