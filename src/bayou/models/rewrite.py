"""Models made anew from others, with some of their variables replaced.

PyMC writes lengths into the shapes of variables, so what depends on a replaced variable is made
anew, not only its density. PyMC's insides that this takes are touched in this file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm
from pymc.variational.minibatch_rv import (
    MinibatchRandomVariable,
    create_minibatch_rv,
    get_scaling,
)
from pytensor.graph.traversal import toposort
from pytensor.tensor.type_other import NoneConst

from bayou.models.initial_point import interpreted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pytensor.graph.basic import Variable

KINDS = ("free_RVs", "observed_RVs", "potentials", "deterministics")


def made_anew(
    graphs: Sequence[Variable], replacements: Mapping[Variable, Variable]
) -> dict[Variable, Variable]:
    """Map each variable of the graphs that depends on a replaced one to one that is made anew."""
    made = dict(replacements)
    for node in toposort(graphs):
        if made.keys().isdisjoint(node.outputs) and not made.keys().isdisjoint(node.inputs):
            # The operation of total_size takes None for an axis, and holds it as a variable.
            inputs = (
                None if NoneConst.equals(variable) else made.get(variable, variable)
                for variable in node.inputs
            )
            anew = node.op.make_node(*inputs)
            made.update(zip(node.outputs, anew.outputs, strict=True))
    return made


def structure_of(model: pm.Model) -> tuple[Any, ...]:
    """List what a model is made of, to be kept alive so that nothing new passes for it."""
    variables = (*model.basic_RVs, *model.potentials, *model.deterministics)
    values = (
        part
        for variable in variables
        for part in (
            model.rvs_to_values.get(variable),
            model.rvs_to_transforms.get(variable),
            model.rvs_to_initial_values.get(variable),
        )
    )
    return (model.check_bounds, *variables, *values)


def same_structure(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Tell whether a model still is made of what it was made of."""
    return len(old) == len(new) and all(
        was is now or (isinstance(was, float | int | str) and was == now)
        for was, now in zip(old, new, strict=True)
    )


def graphs_of(model: pm.Model) -> list[Variable]:
    """Return the variables of a model and the values that they are observed at."""
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    return [*variables, *model.rvs_to_values.values()]


def remade_model(model: pm.Model, made: Mapping[Variable, Variable]) -> pm.Model:
    """Return a model of variables that are made anew; those that are not stay as they are.

    Parameters
    ----------
    model : pymc.Model
        What it is made from.
    made : mapping of variable to variable
        Of variables and values.

    Returns
    -------
    pymc.Model
        For its density and its deterministics; it has no dims.
    """
    whole = pm.Model(model=None, check_bounds=model.check_bounds)
    for name in KINDS:
        for variable in getattr(model, name):
            anew = made.get(variable, variable)
            anew.name = variable.name
            getattr(whole, name).append(anew)
    for variable, value in model.rvs_to_values.items():
        anew = made.get(variable, variable)
        whole.rvs_to_values[anew] = made.get(value, value)
        whole.values_to_rvs[made.get(value, value)] = anew
        whole.rvs_to_transforms[anew] = model.rvs_to_transforms[variable]
    for variable, initial_value in model.rvs_to_initial_values.items():
        whole.rvs_to_initial_values[made.get(variable, variable)] = initial_value
    return whole


def is_scaled(variable: Variable) -> bool:
    """Tell whether an observed variable has a total_size."""
    return variable.owner is not None and isinstance(variable.owner.op, MinibatchRandomVariable)


def unscaled(variable: Any) -> Any:
    """Return an observed variable without its total_size."""
    return variable.owner.inputs[0] if is_scaled(variable) else variable


def scaled(variable: Any, total_size: Any) -> Any:
    """Return an observed variable whose density counts for so many rows of its first axis.

    A total_size that it has already stays for its other axes.
    """
    others: list[Any] = [...]
    if is_scaled(variable):
        variable, _, *others = variable.owner.inputs
        others = [None if NoneConst.equals(other) else other for other in others]
    return create_minibatch_rv(variable, [total_size, *others])


def scale_at(variable: Variable, shape: Any) -> float:
    """Return how many times a shape the total size of a scaled variable is."""
    return float(interpreted([], [get_scaling(variable.owner.inputs[1:], shape)])()[0])
