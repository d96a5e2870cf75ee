"""A model with named dims as the same model of plain tensors.

All that reads a model reads this one: its density, its batches, its predictions and its
description. It has the names, dims, coords and data of the model that it is of: the containers
hold the same values, and new values or coords of one are those of the other.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import pymc as pm
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph

from bayou.containers.context import model_of
from bayou.containers.variables.named_dims import dims_of_type, has_named_dims, lowered
from bayou.models.plain.axis_order import (
    data_without_transpose,
    draw_in_order,
    inverse,
    transposed_from,
)
from bayou.models.plain.dims_transform import DimsTransform
from bayou.models.rewrite import VARIABLE_LISTS, model_graphs, same_structure, structure_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayou.containers.context import ModelLike
    from bayou.models.plain.axis_order import Order
    from bayou.models.rewrite import Structure

# By model with named dims: what it was made of, and the model of plain tensors.
_plain_models: weakref.WeakKeyDictionary[pm.Model, tuple[Structure, pm.Model]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def read_model(model: ModelLike | None) -> pm.Model:
    """Return the argument `model` of a public function as a model of plain tensors.

    Parameters
    ----------
    model : pymc.Model, pymc.FrozenModel or an object that has one, or None
        As :func:`bayou.containers.context.model_of` takes it.

    Raises
    ------
    TypeError, ValueError
        As :func:`bayou.containers.context.model_of` and :func:`plain_model` do.
    """
    return plain_model(model_of(model))


def plain_model(model: pm.Model) -> pm.Model:
    """Return a model of plain tensors; the model itself if no variable of it has named dims.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.

    Returns
    -------
    pymc.Model
        The same one until the model's structure changes.

    Raises
    ------
    TypeError
        If PyTensor has no plain operation for one on named dims.
    """
    structure = (*structure_of(model), *model.root.data_vars, *model.dim_lengths.values())
    # One model for the threads that read it at once.
    with _lock:
        known = _plain_models.get(model)
        if known is not None and same_structure(known[0], structure):
            return known[1]
        if not has_named_dims([*model_graphs(model), *model.root.data_vars]):
            return model
        plain = _build(model)
        _plain_models[model] = (structure, plain)
        return plain


def _build(model: pm.Model) -> pm.Model:
    starts = [v for v in model.rvs_to_initial_values.values() if isinstance(v, Variable)]
    # In one call, since they share variables.
    originals = [
        *model_graphs(model), *model.root.data_vars, *model.dim_lengths.values(), *starts
    ]  # fmt: skip
    variables = dict(zip(originals, lowered(originals), strict=True))
    return model_of_variables(model, variables, _put_in_order(model, variables))


def model_of_variables(
    model: pm.Model, variables: Mapping[Variable, Variable], orders: Mapping[Variable, Order]
) -> pm.Model:
    """Return a model of other variables, with the names, dims, coords and data of a model.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is.
    variables : mapping of Variable to Variable
        The new variables by those of the model, which are taken where none are given.
    orders : mapping of Variable to tuple of int
        For variables of the model whose new ones have another order of axes: the axis that each
        new one is.
    """
    new = pm.Model(model=None, check_bounds=model.check_bounds)
    new.name = model.prefix
    # The dictionaries of the model itself: coords that change in one change in both.
    new._coords = model.coords
    new._dim_lengths = model.dim_lengths
    if has_named_dims(list(model.dim_lengths.values())):
        new._dim_lengths = {dim: variables[size] for dim, size in model.dim_lengths.items()}
    dims = model.root.named_vars_to_dims
    for variable in model.root.data_vars:
        new.register_data_var(variables.get(variable, variable), dims.get(variable.name))
    for name in VARIABLE_LISTS:
        for variable in getattr(model, name):
            axes = _in_order(dims.get(variable.name), orders.get(variable))
            new_variable = variables.get(variable, variable)
            getattr(new, name).append(new_variable)
            new.add_named_variable(new_variable, axes)
    _add_values(model, new, variables, orders)
    return new


def _add_values(
    model: pm.Model,
    new_model: pm.Model,
    variables: Mapping[Variable, Variable],
    orders: Mapping[Variable, Order],
) -> None:
    """Add the values, transforms and starting values of the random variables."""
    for variable, value in model.rvs_to_values.items():
        new, new_value = variables.get(variable, variable), variables.get(value, value)
        transform, dims = model.rvs_to_transforms[variable], dims_of_type(variable)
        if dims is not None:
            if transform is not None:
                axes = _in_order(dims, orders.get(variable))
                transform = DimsTransform(transform, axes or ())
            if variable in model.free_RVs:
                # As PyMC makes it: of the type of the transformed variable.
                like = new if transform is None else transform.forward(new, *new.owner.inputs)
                new_value = like.type(name=value.name)
        new_model.rvs_to_values[new] = new_value
        new_model.values_to_rvs[new_value] = new
        new_model.rvs_to_transforms[new] = transform
    for variable, start in model.rvs_to_initial_values.items():
        new_start = variables.get(start, start) if isinstance(start, Variable) else start
        if variable in orders and not isinstance(start, str | None):
            new_start = new_start.transpose(orders[variable])
        new_model.rvs_to_initial_values[variables.get(variable, variable)] = new_start


def _in_order[Dim](dims: tuple[Dim, ...] | None, order: Order | None) -> tuple[Dim, ...] | None:
    """Return the dims of a variable whose axes have another order."""
    return dims if dims is None or order is None else tuple(dims[axis] for axis in order)


def _put_in_order(model: pm.Model, variables: dict[Variable, Variable]) -> dict[Variable, Order]:
    """Have random variables be no transposes, and observed ones lie as their data do.

    Parameters
    ----------
    model : pymc.Model
        The model with named dims.
    variables : dict of Variable to Variable
        The plain variables by those of the model. Some are replaced.

    Returns
    -------
    dict of Variable to tuple of int
        For each variable of the model whose axes have another order now: the axis that each is.
    """
    graph = FunctionGraph(outputs=list(variables.values()), clone=False)
    orders: dict[Variable, Order] = {}
    for variable in filter(dims_of_type, model.basic_RVs):
        plain, value = variables[variable], model.rvs_to_values[variable]
        draw, of_draw = transposed_from(plain)
        order = as_it_is = tuple(range(plain.ndim))
        data = variables[value]
        if variable in model.observed_RVs:
            data, of_data = data_without_transpose(data)
            order = inverse(of_data)
        in_order = draw_in_order(draw, tuple(of_draw[axis] for axis in order))
        if in_order is None:
            # PyMC has the density of a transpose, unless one draw has several axes.
            has_axes = getattr(draw.owner.op, "ndim_supp", 0) > 0
            in_order, order = (draw, inverse(of_draw)) if has_axes else (plain, as_it_is)
            data = variables[value].dimshuffle(order)
        elif in_order is not draw:
            back = inverse(tuple(of_draw[axis] for axis in order))
            graph.replace(draw, in_order.dimshuffle(back), import_missing=True)
        plain.name, in_order.name = None, variable.name
        variables[variable] = in_order
        if variable in model.observed_RVs:
            variables[value] = data
        if order != as_it_is:
            orders[variable] = order
    return orders
