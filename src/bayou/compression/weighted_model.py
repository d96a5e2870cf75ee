"""Models whose rows have weights: each row's log likelihood counts as often as a container says."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors

from bayou.arguments import first_unusable_weight
from bayou.batching.batched import independent_rows
from bayou.batching.row_dim import find_rows
from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of
from bayou.models.plain.plain_model import model_of_variables
from bayou.models.rewrite import model_graphs, rebuild_variables, same_structure, structure_of
from bayou.models.scaling.row_weights import as_groups, times_weights, with_weights
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable
    from pytensor.tensor.variable import TensorVariable

    from bayou.batching.row_dim import ModelRows
    from bayou.models.rewrite import Structure

type _Known = dict[str, tuple[Structure, pm.Model]]

# By model and container of weights: what the model was made of, and the model with weights.
_models: weakref.WeakKeyDictionary[pm.Model, _Known] = weakref.WeakKeyDictionary()


def weighted_model(model: pm.Model, weights: str | None) -> pm.Model:
    """Return a model in which the log likelihood of each row counts as often as a container says.

    Parameters
    ----------
    model : pymc.Model
        A model of plain tensors, written with all of its data. It stays as it is.
    weights : str or None
        The name of a container of numbers of at least 0, shape (rows,), with the dim of the rows.
        None for no weights: the model itself.

    Returns
    -------
    pymc.Model
        A model of the same variables, dims, coords and containers; the same one until the structure
        of the model changes.

    Raises
    ------
    TypeError
        If ``weights`` is no name, or the container holds no numbers.
    ValueError
        If there is no such container, nothing observed has its dim, it has another number of axes
        than one, a weight is below 0 or not finite, or the likelihood is no product over rows.
    """
    if weights is None:
        return model
    container = _find_container(model, weights)
    dim, *_ = dims_of(model, container)
    rows = find_rows(model, dim, guess=dim is None)
    _check_values(weights, container)
    structure = structure_of(model)
    known = _models.setdefault(model, {})
    if weights not in known or not same_structure(known[weights][0], structure):
        rows = independent_rows(model, rows)
        known[weights] = (structure, with_row_weights(model, rows, {}, container))
    return known[weights][1]


def with_row_weights(
    model: pm.Model,
    rows: ModelRows,
    rebuilt: Mapping[Variable, Variable],
    weights: TensorVariable,
    squares: Mapping[str, TensorVariable] | None = None,
) -> pm.Model:
    """Return a model of variables that were built again, whose rows have weights.

    Parameters
    ----------
    model : pymc.Model
        The model as it is written, whose likelihood is a product over rows.
    rows : ModelRows
        Its parts with an entry for each row.
    rebuilt : mapping of Variable to Variable
        What takes the place of its variables.
    weights : TensorVariable
        How often each row counts, shape (rows,).
    squares : mapping of str to TensorVariable, optional
        For normal variables whose rows are means of observations, by their names: the squares of
        these around the means, in the shape of the variable.
    """
    variables = dict(rebuilt)
    for variable in model.observed_RVs:
        if variable.name in rows.observed:
            new = variables.get(variable, variable)
            of_groups = (squares or {}).get(variable.name)
            variables[variable] = (
                with_weights(new, weights)
                if of_groups is None
                else as_groups(new, weights, of_groups)
            )
    of_rows = {*rows.storages, *(storage for storage, _ in rows.storages.values())}
    for potential in model.potentials:
        if potential.ndim and not of_rows.isdisjoint(ancestors([potential])):
            variables[potential] = times_weights(variables.get(potential, potential), weights)
    changed = {variable: new for variable, new in variables.items() if new is not variable}
    # Weights change a density. What is computed from the draws of a variable stays the same.
    variables = rebuild_variables(model_graphs(model), changed)
    for variable, new in variables.items():
        if new.name is None:
            new.name = variable.name
    return model_of_variables(model, variables, {})


def _find_container(model: pm.Model, weights: object) -> SharedVariable:
    containers = {
        variable.name: variable
        for variable in model.data_vars
        if isinstance(variable, SharedVariable)
    }
    if not isinstance(weights, str):
        raise TypeError(
            f"`weights` must be the name of a container, got {weights!r}.\n"
            'Hint: put the numbers into the model, by.Data("n", values, dims="row"), and pass '
            'weights="n".'
        )
    if weights not in containers:
        raise ValueError(
            f"`weights` must be the name of a container of the model, got {weights!r}.\n"
            f"Hint: the containers are {listed(containers)}; make one by "
            f'by.Data({weights!r}, values, dims="row").'
        )
    container = containers[weights]
    if container.ndim != 1:
        raise ValueError(
            f"`weights` must have one number for each row, got {weights!r} with {container.ndim} "
            "axes.\nHint: pass a container of one axis, that of the rows."
        )
    return container


def _check_values(weights: str, container: SharedVariable) -> None:
    if window_of(container) is None:
        # Each window is read in its turn; what it holds is checked where rows are read.
        check_weights(weights, container.get_value(borrow=True))


def check_weights(weights: str, values: NDArray[np.generic]) -> None:
    """Check the weights of rows.

    Parameters
    ----------
    weights : str
        The name of their container.
    values : ndarray, shape (rows,)
        They must be finite and at least 0.

    Raises
    ------
    TypeError
        If they are no numbers.
    ValueError
        If a weight is below 0 or not finite.
    """
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"`weights` must be numbers, got {weights!r} of {values.dtype}.\n"
            "Hint: pass a container that says how often each row counts."
        )
    row = first_unusable_weight(values)
    if row is not None:
        raise ValueError(
            f"`weights` must be finite and at least 0, got {values[row]} in row {row} of "
            f"{weights!r}.\nHint: leave such rows out, or correct the container."
        )
