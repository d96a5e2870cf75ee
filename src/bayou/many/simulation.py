"""Simulated data sets: the variables of a model drawn from its prior and its likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymc as pm
import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Constant
from pytensor.scalar.basic import Cast
from pytensor.tensor.elemwise import Elemwise

from bayou.models.missing_values import imputed_names
from bayou.models.plain.plain_model import model_of_variables
from bayou.text import type_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.containers.variables.dims import Numbers


def with_observed_containers(model: pm.Model) -> pm.Model:
    """Return a model whose observed arrays are in containers, so that others can replace them.

    Libraries that build models leave what is observed in the graph.

    Parameters
    ----------
    model : pymc.Model
        It stays as it is, and is returned if it observes no arrays.
    """
    arrays = {
        variable: value
        for variable in model.observed_RVs
        if isinstance(value := model.rvs_to_values[variable], Constant)
    }
    if not arrays or imputed_names(model):
        return model
    new_model = model_of_variables(model, {}, {})
    for variable, value in arrays.items():
        container = pytensor.shared(value.data, name=f"{variable.name} data")
        new_model.register_data_var(container, model.named_vars_to_dims.get(variable.name))
        new_model.rvs_to_values[variable] = container
        new_model.values_to_rvs[container] = variable
    return new_model


def observed_containers(model: pm.Model) -> dict[str, str]:
    """Return the container at which each observed variable is observed, by their names.

    Raises
    ------
    TypeError
        If a variable is observed at something else, or two at one container.
    ValueError
        If the model has no observed variable.
    """
    if not model.observed_RVs:
        raise ValueError(
            "`model` must observe something, got a model without observed variables.\n"
            "Hint: pass `observed=` a data container."
        )
    containers: dict[str, str] = {}
    for variable in model.observed_RVs:
        value = model.rvs_to_values[variable]
        observed = [data for data in model.root.data_vars if _is_cast(value, data)]
        if not observed:
            raise TypeError(
                f"`model` must observe each variable at a data container, got {variable.name!r} "
                f"observed at {value}.\n"
                "Hint: write `y = by.Data('y', values)` and `observed=y`, so that simulated data "
                "can replace the values."
            )
        name = str(observed[0].name)
        if name in containers.values():
            raise TypeError(
                f"`model` must observe each variable at a container of its own, got {name!r} for "
                "two.\nHint: make a container for each."
            )
        containers[str(variable.name)] = name
    return containers


def _is_cast(value: Variable, container: TensorVariable) -> bool:
    """Return whether a value is a container, or a container in another dtype."""
    # PyMC casts whole numbers of 64 bits twice.
    while (node := value.owner) is not None and isinstance(node.op, Elemwise):
        if not isinstance(node.op.scalar_op, Cast):
            return False
        (value,) = node.inputs
    return value is container


def simulate(
    model: pm.Model, simulator: pm.Model | None, number: int, seed: int
) -> Mapping[str, Numbers]:
    """Draw the free and the observed variables of a model together.

    Parameters
    ----------
    model : pymc.Model
        The model whose variables are drawn.
    simulator : pymc.Model, optional
        A model that has variables of the same names, which are drawn instead.
    number : int
        The number of data sets.
    seed : int

    Returns
    -------
    mapping of str to ndarray, shape (number, ...)

    Raises
    ------
    TypeError
        If `simulator` is no model, has a potential, or a variable that cannot be drawn.
    ValueError
        If it lacks a variable.
    """
    argument = "model" if simulator is None else "simulator"
    simulator = model if simulator is None else simulator
    if not isinstance(simulator, pm.Model):
        raise TypeError(
            f"`simulator` must be a pymc.Model, got {type_text(simulator)}.\n"
            "Hint: write the process that the data come from as a model with the same variables."
        )
    if simulator.potentials:
        raise TypeError(
            f"`{argument}` must be drawn from by its variables only, got the potential "
            f"{simulator.potentials[0].name!r}, which draws from the prior ignore.\n"
            "Hint: write it as a distribution, such as pm.CustomDist with `dist=`; or pass, as "
            "`simulator`, a model without it that has the same prior and likelihood."
        )
    names = [str(variable.name) for variable in (*model.free_RVs, *model.observed_RVs)]
    drawable = {variable.name for variable in simulator.basic_RVs}
    missing = [name for name in names if name not in drawable]
    if missing:
        raise ValueError(
            f"`simulator` must have the variables of the model, got one without {missing}.\n"
            "Hint: give the free and the observed variables the same names in both models."
        )
    try:
        values = _draw([simulator[name] for name in names], number, seed)
    except NotImplementedError as error:
        variable_name = _undrawable_variable(simulator)
        if variable_name is None:
            raise
        raise TypeError(
            f"`{argument}` must have a distribution to draw each variable from, got "
            f"{variable_name!r}, which cannot be drawn.\n"
            "Hint: give it a proper prior instead of pm.Flat or pm.HalfFlat, a pm.CustomDist "
            "`random=` or `dist=`; or pass, as `simulator`, a model that has one."
        ) from error
    return dict(zip(names, values, strict=True))


def _draw(variables: Sequence[TensorVariable], number: int, seed: int) -> Sequence[Numbers]:
    # Without a compiler, which takes longer than some thousands of draws.
    mode = Mode("py", "fast_compile")
    values: Sequence[Numbers] = pm.draw(variables, draws=number, mode=mode, random_seed=seed)
    return values


def _undrawable_variable(simulator: pm.Model) -> str | None:
    """Return the name of the first variable that cannot be drawn, given those before it."""
    for variable in simulator.basic_RVs:
        try:
            _draw([variable], 1, 0)
        except NotImplementedError:
            return str(variable.name)
    return None
