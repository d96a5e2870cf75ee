"""Weights of rows: how often each row of an observed variable counts in the log density."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.logprob.abstract import MeasurableOp, _logprob
from pymc.logprob.basic import logp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

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


def times_weights(density: TensorVariable, weights: TensorVariable) -> TensorVariable:
    """Return a log density of rows, shape (rows, ...), times the weights, shape (rows,)."""
    return density * weights.astype(density.dtype).dimshuffle(0, *["x"] * (density.ndim - 1))


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
        return variable.owner.op(with_weights(inner, weights), *sizes)
    return WeightedRows()(variable, weights)


def without_scaling(variable: TensorVariable) -> TensorVariable:
    """Return the random variable that a total_size and weights were put on; itself without any."""
    variable = without_total_size(variable)
    is_weighted = variable.owner is not None and isinstance(variable.owner.op, WeightedRows)
    return variable.owner.inputs[0] if is_weighted else variable
