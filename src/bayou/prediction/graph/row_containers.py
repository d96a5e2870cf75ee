"""The containers of a model that have rows, and the dim of these rows.

The rows are those of the observed variables among the predicted ones; without any among them, those
of all observed variables. Containers with their first dim have rows; a container without dims has
rows if it is as long now as the observed values are. Minibatches always have rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayou.containers.sparse.sparse_container import is_sparse_variable
from bayou.containers.variables.dims import dims_of
from bayou.models.inputs import storage_of
from bayou.prediction.graph.forward_graph import containers_of, row_axis

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pymc as pm
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers


@dataclass(frozen=True)
class RowContainers:
    """The containers of a model that have rows.

    Attributes
    ----------
    dims : tuple of str
        The dim of the rows; empty if they have none.
    containers : tuple of Variable
        The containers, in the order of the model.
    """

    dims: tuple[str, ...]
    containers: tuple[Variable, ...]


def find_row_containers(
    model: pm.Model,
    names: Sequence[str],
    containers: Mapping[str, Variable],
    batches: Collection[str],
    passed: Collection[Variable],
    row_dim: str | None = None,
) -> RowContainers:
    """Find the containers with rows.

    Parameters
    ----------
    model : pymc.Model
        The model.
    names : sequence of str
        The variables to predict.
    containers : mapping of str to Variable
        All containers and minibatches by name.
    batches : collection of str
        The names of the minibatches and generators.
    passed : collection of Variable
        The containers that new values were passed for. Their rows count where nothing is observed.
    row_dim : str, optional
        The dim of the rows; by default that of the first axis of what is observed.

    Raises
    ------
    ValueError
        If the variables have rows of several dims.
    """
    values = {variable.name: model.rvs_to_values[variable] for variable in model.observed_RVs}
    observed = [name for name in names if name in values] or list(values)
    observed_containers = containers_of([values[name] for name in observed])
    first_dims = {
        container: dims_of(model, container)[0] if container.type.ndim else None
        for container in containers.values()
    }
    dims = {first_dims.get(container) for container in observed_containers}
    dims |= {_first_dim(model, name) for name in observed}
    if not dims - {None}:
        # Deterministics, or observed values without dims: the dims of what is asked for.
        dims |= {_first_dim(model, name) for name in names} & set(first_dims.values())
    if not dims - {None} and not observed_containers:
        dims |= {first_dims[container] for container in passed}
    row_dims = tuple(sorted(dim for dim in dims if dim is not None))
    if row_dim is not None:
        row_dims = (row_dim,)
    if len(row_dims) > 1:
        raise ValueError(
            f"`var_names` must have rows of one dim, got {list(names)} with rows of "
            f"{list(row_dims)}.\n"
            "Hint: predict the variables of one dim at a time."
        )
    lengths = {
        stored_values(container).shape[row_axis(model, container, row_dims)]
        for container in observed_containers or passed
        if container.type.ndim
    }

    def has_rows(name: str, container: Variable) -> bool:
        # The parts of a sparse matrix have its rows on their first axis.
        axes = slice(1) if is_sparse_variable(container) else slice(None)
        if name in batches or {*dims_of(model, container)[axes]} & {*row_dims}:
            return True
        without_dims = container.type.ndim > 0 and first_dims[container] is None
        return without_dims and stored_values(container).shape[0] in lengths

    return RowContainers(
        row_dims,
        tuple(container for name, container in containers.items() if has_rows(name, container)),
    )


def _first_dim(model: pm.Model, name: str) -> str | None:
    return next(iter(model.root.named_vars_to_dims.get(name, ())), None)


def stored_values(container: Variable) -> Numbers:
    """Return the values of a container; of a minibatch, the rows in memory that it draws from."""
    values: Numbers = storage_of(container).get_value(borrow=True)
    return values


def stored_rows(container: Variable, axis: int) -> Numbers:
    """Return the values of a container with the axis of its rows as the first."""
    return np.moveaxis(stored_values(container), axis, 0)
