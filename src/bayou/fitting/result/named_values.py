"""Values of the free variables of a fit under their names, dims and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayou.storage.storable_labels import storable_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program

# Elements that the text of a position has.
MOST_TOLD = 2


def named_values(
    model: pm.Model,
    program: Program,
    position: NDArray[np.float64],
    rows: NDArray[np.float64] | None,
) -> xr.Dataset:
    """Return the values of a position by variable.

    Parameters
    ----------
    model : pymc.Model
        The model, which has the dims and coords.
    program : Program
        The model as JAX functions, which has the layout of the position.
    position : ndarray, shape (size,)
        Values of the free variables.
    rows : ndarray, shape (num_rows, row_size), or None
        Values of the variables with a value for each row.

    Returns
    -------
    xarray.Dataset
        A variable for each free variable, under the name of its value variable.
    """
    layout, row_layout = program.layout, program.latent_layout
    values = dict(zip(layout.names, layout.split(position), strict=True))
    if rows is not None:
        values |= zip(row_layout.names, row_layout.split(rows), strict=True)
    variables = {name: (_dims(model, name, part), part) for name, part in values.items()}
    used = {dim for dims, _ in variables.values() for dim in dims}
    coords = {
        dim: storable_labels(labels)
        for dim, labels in model.coords.items()
        if dim in used and labels is not None
    }
    return xr.Dataset(variables, coords)


def element_names(values: xr.Dataset, elements: NDArray[np.int64]) -> list[str]:
    """Return the names of elements of a position as ArviZ writes them, such as "a[label]".

    Parameters
    ----------
    values : xarray.Dataset
        The values of a position, from :func:`named_values`.
    elements : ndarray of int64
        The numbers of the elements.
    """
    variables = list(values.data_vars.values())
    ends = np.cumsum([variable.size for variable in variables])
    names = []
    for element in elements:
        number = int(np.searchsorted(ends, element, side="right"))
        variable = variables[number]
        inner = element - (ends[number] - variable.size)
        indices = zip(variable.dims, np.unravel_index(inner, variable.shape), strict=True)
        labels = ", ".join(str(variable[dim].values[index]) for dim, index in indices)
        names.append(f"{variable.name}[{labels}]" if labels else str(variable.name))
    return names


def place_texts(places: Sequence[xr.Dataset], scales: xr.Dataset) -> list[str]:
    """Return texts of positions, such as "mu[0] = 2, s_log__ = 0.1": what differs most.

    Parameters
    ----------
    places : sequence of xarray.Dataset
        Values of positions, from :func:`named_values`.
    scales : xarray.Dataset
        Standard deviations, in which differences are measured.
    """
    values = np.stack([_elements(place) for place in places])
    names = element_names(places[0], np.arange(values.shape[1]))
    shown = np.argsort(-np.ptp(values, axis=0) / _elements(scales), kind="stable")[:MOST_TOLD]
    return [", ".join(f"{names[number]} = {row[number]:.3g}" for number in shown) for row in values]


def _elements(values: xr.Dataset) -> NDArray[np.float64]:
    """Return the elements of all variables, one after the other."""
    return np.concatenate([np.ravel(each.to_numpy()) for each in values.data_vars.values()])


def _dims(model: pm.Model, value_name: str, part: NDArray[np.generic]) -> tuple[str, ...]:
    """Return the dims of a transformed variable: those of the model if the lengths are the same."""
    [variable] = [free for free, value in model.rvs_to_values.items() if value.name == value_name]
    dims = model.named_vars_to_dims.get(variable.name, ())
    lengths = tuple(int(model.dim_lengths[dim].eval()) for dim in dims)
    if lengths == part.shape:
        return tuple(dims)
    return tuple(f"{value_name}_dim_{axis}" for axis in range(part.ndim))
