"""Models in which a dim is that of the first axis: of what is observed, and of potentials."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Constant

from bayou.containers.variables.dims import dims_of
from bayou.models.plain.axis_order import draw_in_order, inverse
from bayou.models.plain.plain_model import model_of_variables
from bayou.models.rewrite import model_graphs, rebuild_variables, same_structure, structure_of
from bayou.models.scaling.total_size import has_total_size

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.models.plain.axis_order import Order
    from bayou.models.rewrite import Structure

type _Known = dict[str, tuple[Structure, pm.Model]]

# By model and dim: what the model was made of, and the other model.
_models: weakref.WeakKeyDictionary[pm.Model, _Known] = weakref.WeakKeyDictionary()


def with_dim_first(model: pm.Model, dim: str | None) -> pm.Model:
    """Return a model in which the axes of a dim are the first, where a model has them elsewhere.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors. It stays as it is.
    dim : str or None
        The dim; None for none.

    Returns
    -------
    pymc.Model
        The model itself if no observed variable or potential has the dim on another axis, or if
        one draw takes that axis. Else a model of the same density, dims, coords and data, the same
        one until the structure of the model changes.
    """
    orders = {
        variable: (axis, *(other for other in range(variable.ndim) if other != axis))
        for variable in (*model.observed_RVs, *model.potentials)
        if not has_total_size(variable) and (axis := _axis_of(model, variable, dim)) > 0
    }
    if dim is None or not orders:
        return model
    structure = structure_of(model)
    known = _models.setdefault(model, {})
    if dim not in known or not same_structure(known[dim][0], structure):
        known[dim] = (structure, _build(model, orders))
    return known[dim][1]


def _axis_of(model: pm.Model, variable: Variable, dim: str | None) -> int:
    """Return the axis of a dim; -1 if the variable has none."""
    dims = dims_of(model, variable)
    return dims.index(dim) if dim in dims else -1


def _build(model: pm.Model, orders: dict[Variable, Order]) -> pm.Model:
    draws = {variable: _in_order(model, variable, order) for variable, order in orders.items()}
    moved = {variable: draw for variable, draw in draws.items() if draw is not None}
    back = {v: draw.dimshuffle(inverse(orders[v])) for v, draw in moved.items()}
    # What depends on a moved variable has its axes as they were.
    variables: dict[Variable, Variable] = rebuild_variables(model_graphs(model), back) | moved
    for variable, new in variables.items():
        new.name = variable.name
    new_orders = {variable: orders[variable] for variable in moved}
    new_model = model_of_variables(model, variables, new_orders)
    for variable, draw in moved.items():
        # What is observed may be a container, whose own axes stay.
        if variable in model.rvs_to_values:
            value = _value_in_order(model.rvs_to_values[variable], orders[variable])
            new_model.rvs_to_values[draw] = value
            new_model.values_to_rvs[value] = draw
    return new_model


def _in_order(model: pm.Model, variable: TensorVariable, order: Order) -> TensorVariable | None:
    """Return a variable with its axes in another order; None if one draw takes several of them."""
    if variable in model.potentials:
        return variable.dimshuffle(order)
    draw = draw_in_order(variable, order)
    if draw is None and not getattr(variable.owner.op, "ndim_supp", 0):
        # PyMC has the density of a transpose.
        return variable.dimshuffle(order)
    return draw


def _value_in_order(value: TensorVariable, order: Order) -> TensorVariable:
    if isinstance(value, Constant):
        return pt.constant(value.data.transpose(order), name=value.name)
    return value.dimshuffle(order)
