"""Weights of rows: how often each row of an observed variable counts in the log density.

A row may also stand for observations with other values, of which only their mean and the squares
around it matter: those of a normal distribution with the same parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pymc.logprob.abstract import MeasurableOp, _logprob
from pymc.logprob.basic import logp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.tensor.random.basic import NormalRV
from pytensor.tensor.type_other import NoneConst

from bayou.models.scaling.total_size import has_total_size, without_total_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.graph.op import OutputStorageType
    from pytensor.tensor.variable import TensorVariable


class WeightedRows(MeasurableOp, Op):
    """A random variable whose rows, along its first axis, have weights in its log density.

    Its draws are those of the variable.
    """

    __props__ = ()
    view_map = {0: [0]}  # noqa: RUF012 - as PyTensor declares it

    def make_node(self, variable: TensorVariable, weights: TensorVariable) -> Apply[WeightedRows]:
        """Return the node of a variable, shape (rows, ...), with weights, shape (rows,)."""
        return Apply(self, [variable, weights], [variable.type()])

    def infer_shape(
        self, node: Apply[WeightedRows], shapes: Sequence[tuple[Variable, ...]]
    ) -> Sequence[tuple[Variable, ...]]:
        """Return the shape of the variable."""
        return [shapes[0]]

    def perform(
        self,
        node: Apply[WeightedRows],
        inputs: Sequence[NDArray[np.generic]],
        output_storage: OutputStorageType,
    ) -> None:
        """Pass the values of the variable on."""
        output_storage[0][0] = inputs[0]


@_logprob.register(WeightedRows)
def _weighted_log_density(
    op: WeightedRows,
    values: Sequence[Variable],
    variable: Variable,
    weights: TensorVariable,
    **kwargs: object,
) -> Variable:
    [value] = values
    return times_weights(logp(variable, value, **kwargs), weights)


class NormalGroups(WeightedRows):
    """A normal variable each of whose rows is the mean of several observations of one distribution.

    With n observations of mean m, and squares S around it, the log density is that of m, n times,
    less S / (2 sigma**2). Its inputs are the variable, the numbers of observations, shape (rows,),
    and the squares, in the shape of the variable.
    """

    def make_node(self, *inputs: TensorVariable) -> Apply:
        """Return the node of a variable, its weights and its squares."""
        return Apply(self, list(inputs), [inputs[0].type()])


@_logprob.register(NormalGroups)
def _grouped_log_density(
    op: NormalGroups,
    values: Sequence[Variable],
    variable: Variable,
    weights: TensorVariable,
    squares: TensorVariable,
    **kwargs: object,
) -> Variable:
    density = _weighted_log_density(op, values, variable, weights, **kwargs)
    assert variable.owner is not None
    _, sigma = variable.owner.op.dist_params(variable.owner)
    return density - squares / (2 * sigma**2)


def times_weights(density: TensorVariable, weights: TensorVariable) -> TensorVariable:
    """Return a log density of rows, shape (rows, ...), times the weights, shape (rows,).

    Rows that count 0 times may have a density of 0.
    """
    of_rows = weights.astype(density.dtype).dimshuffle(0, *["x"] * (density.ndim - 1))
    return pt.switch(pt.eq(of_rows, 0), 0, density * of_rows)


def with_weights(variable: TensorVariable, weights: TensorVariable) -> TensorVariable:
    """Return an observed variable whose rows have weights. Its total_size stays.

    Parameters
    ----------
    variable : TensorVariable
        Shape (rows, ...).
    weights : TensorVariable
        How often each row counts, shape (rows,).
    """
    if has_total_size(variable):
        inner, *sizes = variable.owner.inputs
        # The operation takes None for an axis, but holds a constant for it.
        totals = [None if NoneConst.equals(size) else size for size in sizes]
        return variable.owner.op(with_weights(inner, weights), *totals)
    return WeightedRows()(variable, weights)


def is_normal(variable: TensorVariable) -> bool:
    """Return whether an observed variable is normal, with a total_size or not, without weights."""
    node = without_total_size(variable).owner
    return node is not None and isinstance(node.op, NormalRV)


def as_groups(
    variable: TensorVariable, weights: TensorVariable, squares: TensorVariable
) -> TensorVariable:
    """Return an observed normal variable whose rows are means of observations.

    Parameters
    ----------
    variable : TensorVariable
        Shape (rows, ...).
    weights : TensorVariable
        The number of observations of each row, shape (rows,).
    squares : TensorVariable
        The sum of their squared distances from the mean, shape (rows, ...).
    """
    return NormalGroups()(variable, weights, squares)


def without_scaling(variable: TensorVariable) -> TensorVariable:
    """Return the random variable that a total_size and weights were put on; itself without any."""
    variable = without_total_size(variable)
    is_weighted = variable.owner is not None and isinstance(variable.owner.op, WeightedRows)
    return variable.owner.inputs[0] if is_weighted else variable
