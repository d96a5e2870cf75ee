"""What of a model has a row for each entry of a dim: containers, observed and latent variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.dims import dims_of
from bayou.containers.variables.source_variable import window_of
from bayou.models.inputs import is_fed, uncast
from bayou.models.rewrite import model_graphs
from bayou.models.total_size import has_total_size, scale_for_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm


@dataclass(frozen=True)
class Rows:
    """What has a row for each entry of the batched dim.

    Attributes
    ----------
    dim : str
        The dim; empty where the rows have none.
    storages : dict of variable to (SharedVariable, int)
        What is replaced, each with the container that holds its rows, and the axis that they are
        along.
    observed : tuple of str
        The observed variables whose first axis the dim is.
    latent : tuple of str
        The free variables whose first axis the dim is.
    """

    dim: str
    storages: Mapping[Any, tuple[SharedVariable, int]]
    observed: tuple[str, ...]
    latent: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """How many there are now."""
        return min(_length(*storage) for storage in self.storages.values())

    @property
    def is_fixed(self) -> bool:
        """Whether a model in batches is made for this number of rows."""
        windows = any(window_of(storage) is not None for storage, _ in self.storages.values())
        return windows or bool(self.latent)


def rows_of(model: pm.Model, batch_dim: str | None = None) -> Rows:
    """Find what has a row for each entry of the batched dim.

    Parameters
    ----------
    model : pymc.Model
        A model that is written with all of its data.
    batch_dim : str, optional
        The dim; by default the first one of what is observed.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        If there is no such dim, or more than one, or what has it differs in the number of rows.
    """
    if holds_batches(model):
        raise ValueError(
            "`batch_size` must be left out where the model holds minibatches or generators itself."
            "\nHint: write the model with by.Data."
        )
    _refuse_imputed(model)
    leading = {variable.name: _leading_dim(model, variable) for variable in model.observed_RVs}
    leading |= {
        potential.name: dims_of(model, potential)[0]
        for potential in model.potentials
        if potential.ndim
    }
    dim = _dim(model, leading, batch_dim)
    observed = [variable for variable in model.observed_RVs if leading[variable.name] == dim]
    storages = {
        variable: (variable, dims_of(model, variable).index(dim))
        for variable in model.data_vars
        if dim in dims_of(model, variable)
    }
    storages = _observed_storages(model, observed) | storages
    lengths = {storage.name: _length(storage, axis) for storage, axis in storages.values()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Containers that share the dim {dim!r} must have one number of rows, got "
            f"{dict(sorted(lengths.items()))}.\n"
            "Hint: change them together, by.set_data({...})."
        )
    latent = [
        variable.name for variable in model.free_RVs if dims_of(model, variable)[:1] == (dim,)
    ]
    names = tuple(variable.name for variable in observed)
    return Rows(dim, storages, names, tuple(latent))


def rows_by_length(model: pm.Model) -> Rows | None:
    """Take what is as long as all that is observed for rows; None where lengths do not tell.

    It is a guess, for use where the likelihood is then checked.
    """
    values = [uncast(model.rvs_to_values[variable]) for variable in model.observed_RVs]
    held = [value for value in values if value.ndim and isinstance(value, SharedVariable)]
    lengths = {_length(value, 0) for value in held}
    if len(held) < len(values) or len(lengths) != 1:
        return None
    [num_rows] = lengths
    storages = {
        variable: (variable, 0)
        for variable in (*model.data_vars, *held)
        if variable.ndim and _length(variable, 0) == num_rows
    }
    return Rows("", storages, tuple(variable.name for variable in model.observed_RVs), ())


def _observed_storages(
    model: pm.Model, observed: Sequence[Any]
) -> dict[Any, tuple[SharedVariable, int]]:
    """Return what holds the rows of observed variables; an array is put into a container."""
    storages: dict[Any, tuple[SharedVariable, int]] = {}
    for variable in observed:
        value = uncast(model.rvs_to_values[variable])
        if isinstance(value, Constant):
            storages[value] = (pytensor.shared(value.data, name=variable.name), 0)
        elif isinstance(value, SharedVariable):
            storages[value] = (value, 0)
    return storages


def _refuse_imputed(model: pm.Model) -> None:
    """Refuse missing values that are variables of the model, under the names that PyMC gives."""
    free = {variable.name for variable in model.free_RVs}
    for variable in model.observed_RVs:
        name = variable.name.removesuffix("_observed")
        if name != variable.name and f"{name}_unobserved" in free:
            raise ValueError(
                f"`batch_size` must be left out where missing values are imputed, got {name!r}.\n"
                'Hint: leave such rows out, by.Data(..., missing="drop").'
            )


def _dim(model: pm.Model, leading: Mapping[str, str | None], batch_dim: str | None) -> str:
    known = {dim for dim in leading.values() if dim is not None}
    if batch_dim is None and len(known) == 1:
        return known.pop()
    if batch_dim is not None and batch_dim in known:
        return batch_dim
    if not known:
        raise ValueError(
            "`batch_size` must be of rows that have a dim, got no first dim of what is observed, "
            f"{sorted(leading)}.\n"
            'Hint: name the rows: by.Data("y", values, dims="row"), and so all that has a row each.'
        )
    got = "none" if batch_dim is None else repr(batch_dim)
    raise ValueError(
        f"`batch_dim` must be the first dim of what is observed, one of {sorted(known)}, got {got}."
        "\nHint: the rows of that dim are drawn in batches, the others are taken whole."
    )


def _leading_dim(model: pm.Model, variable: Any) -> str | None:
    """Return the first dim of an observed variable, or of the container that it is observed at."""
    value = uncast(model.rvs_to_values[variable])
    for named in (variable, value):
        dims = dims_of(model, named)[:1]
        if dims and dims[0] is not None:
            return dims[0]
    return None


def _length(storage: SharedVariable, axis: int) -> int:
    resident = window_of(storage)
    length: int = storage.get_value(borrow=True).shape[axis]
    return length if resident is None else resident.num_rows


def check_total_sizes(model: pm.Model, rows: Rows) -> None:
    """Refuse a total_size that the rows contradict."""
    num_rows = rows.num_rows
    for variable in model.observed_RVs:
        if variable.name not in rows.observed or not has_total_size(variable):
            continue
        value = model.rvs_to_values[variable]
        storage, axis = rows.storages[uncast(value)]
        held = storage.get_value(borrow=True).shape[axis]
        total = scale_for_shape(variable, value.shape) * held
        if not np.isclose(total, num_rows, rtol=1e-9):
            raise ValueError(
                f"`total_size` of {variable.name!r} must be the number of its rows, {num_rows}, "
                f"got {total:.0f}.\nHint: leave it out; the rows are counted."
            )


def holds_batches(model: pm.Model) -> bool:
    """Tell whether a model holds minibatches or generators itself."""
    return any(map(is_fed, ancestors(model_graphs(model))))
