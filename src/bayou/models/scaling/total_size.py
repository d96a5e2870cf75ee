"""The total_size of observed variables: what PyMC scales the density of a batch by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymc.variational.minibatch_rv import (
    MinibatchRandomVariable,
    create_minibatch_rv,
    get_scaling,
)
from pytensor.tensor.type_other import NoneConst

from bayou.models.interpret import compile_interpreter
from bayou.models.rewrite import rebuild_variables, stored_data

if TYPE_CHECKING:
    from types import EllipsisType

    import pymc as pm
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable


def has_total_size(variable: Variable) -> bool:
    """Return whether an observed variable has a total_size."""
    return variable.owner is not None and isinstance(variable.owner.op, MinibatchRandomVariable)


def without_total_size(variable: Variable) -> Variable:
    """Return the random variable that a total_size was put on; itself if none was."""
    return variable.owner.inputs[0] if has_total_size(variable) else variable


def with_total_size(variable: Variable, total_size: Variable | int) -> Variable:
    """Return an observed variable whose density is scaled to a number of rows of its first axis.

    The total_size of its other axes stays. A total_size of the first axis is replaced.
    """
    other_axes: list[Variable | EllipsisType | None] = [...]
    if has_total_size(variable):
        # Its inputs are the variable, and a size or None for each axis.
        variable, _, *other_axes = variable.owner.inputs
        other_axes = [None if NoneConst.equals(size) else size for size in other_axes]
    return create_minibatch_rv(variable, [total_size, *other_axes])


def without_row_total_size(variable: TensorVariable) -> TensorVariable:
    """Return an observed variable whose density is not scaled along its first axis.

    The total_size of its other axes stays.
    """
    if not has_total_size(variable):
        return variable
    inner, _, *others = variable.owner.inputs
    sizes = [None if NoneConst.equals(size) else size for size in others]
    return (
        inner if all(size is None for size in sizes) else create_minibatch_rv(inner, [None, *sizes])
    )


def scale_for_shape(variable: Variable, shape: Variable | tuple[Variable, ...]) -> float:
    """Return the factor of the density of a variable with a total_size, for values of a shape."""
    return _value(get_scaling(variable.owner.inputs[1:], shape))


def row_scale(variable: Variable, shape: Variable | tuple[Variable, ...]) -> float:
    """Return the part of that factor which is due to the first axis."""
    return _value(get_scaling(variable.owner.inputs[1:2], shape))


def _value(factor: Variable) -> float:
    return float(compile_interpreter([], [factor])()[0])


def minibatch_scales(model: pm.Model) -> dict[str, float]:
    """Return, by observed minibatch, its total_size divided by the number of its rows in memory."""
    scales = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        data = stored_data([value])
        if data and has_total_size(variable):
            rows = rebuild_variables([value], data)[value]
            scales[variable.name] = scale_for_shape(variable, rows.shape)
    return scales
