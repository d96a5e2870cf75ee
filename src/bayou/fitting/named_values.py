"""Values of the free variables of a fit under their names, dims and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from bayou.density.program import Program


def named_values(
    model: pm.Model, program: Program, vector: NDArray[Any], of_rows: NDArray[Any] | None
) -> xr.Dataset:
    """Return the variables that a position is cut into, and those of the rows if there are any."""
    layout, of_latent = program.layout, program.latent_layout
    values = dict(zip(layout.names, layout.split(vector), strict=True))
    if of_rows is not None:
        values |= zip(of_latent.names, of_latent.split(of_rows), strict=True)
    variables = {name: (_dims(model, name, part), part) for name, part in values.items()}
    used = {dim for dims, _ in variables.values() for dim in dims}
    coords = {
        dim: list(labels)
        for dim, labels in model.coords.items()
        if dim in used and labels is not None
    }
    return xr.Dataset(variables, coords)


def element_names(values: xr.Dataset, elements: NDArray[Any]) -> list[str]:
    """Name elements of the position as ArviZ does, such as "a[label]"."""
    variables = list(values.data_vars.values())
    ends = np.cumsum([variable.size for variable in variables])
    names = []
    for element in elements:
        number = int(np.searchsorted(ends, element, side="right"))
        variable = variables[number]
        inner = element - (ends[number] - variable.size)
        places = zip(variable.dims, np.unravel_index(inner, variable.shape), strict=True)
        labels = ", ".join(str(variable[dim].values[place]) for dim, place in places)
        names.append(f"{variable.name}[{labels}]" if labels else str(variable.name))
    return names


def _dims(model: pm.Model, value_name: str, part: NDArray[Any]) -> tuple[str, ...]:
    """Name the axes of a transformed variable: the model's dims where the transform keeps them."""
    [variable] = [free for free, value in model.rvs_to_values.items() if value.name == value_name]
    dims = model.named_vars_to_dims.get(variable.name, ())
    lengths = tuple(int(model.dim_lengths[dim].eval()) for dim in dims)
    if lengths == part.shape:
        return tuple(dims)
    return tuple(f"{value_name}_dim_{axis}" for axis in range(part.ndim))
