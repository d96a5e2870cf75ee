"""Draws as an ArviZ tree, with the dims, the coords and the data that the model has now."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from arviz_base import from_dict
from pymc.backends.arviz import coords_and_dims_for_inferencedata, find_constants
from pymc.pytensorf import extract_obs_data
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.source_variable import window_of
from bayou.models.inputs import depends_on_generator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable


def posterior_tree(
    model: pm.Model,
    posterior: Mapping[str, NDArray[Any]],
    *,
    sample_stats: Mapping[str, NDArray[Any]] | None = None,
    attrs: Mapping[str, Any] | None = None,
    posterior_attrs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Return draws from a posterior as ArviZ reads them.

    An observed minibatch is shown with all of the data that it draws from; what a generator feeds
    is left out, since its items come once.

    Parameters
    ----------
    model : pymc.Model
        Gives the dims, the coords, the observed and the constant data, as they are now.
    posterior : mapping of str to ndarray, shape (chains, draws, ...)
        The draws of each variable.
    sample_stats : mapping of str to ndarray, shape (chains, draws, ...), optional
        What the sampler says of each draw.
    attrs : mapping of str to Any, optional
        Kept on the groups ``posterior`` and ``sample_stats``; ``inference_library`` belongs here.
    posterior_attrs : mapping of str to Any, optional
        Kept on the group ``posterior`` alone, such as the provenance of the draws.

    Returns
    -------
    xarray.DataTree
        With the groups ``posterior``, ``sample_stats``, ``observed_data`` and ``constant_data``, as
        far as there are values for them.

    Warns
    -----
    UserWarning
        If the labels of a dim are more or fewer than the values along it; they are left out.

    Examples
    --------
    >>> with pm.Model(coords={"school": ["A", "B"]}) as model:
    ...     effect = pm.Normal("effect", dims="school")
    >>> tree = posterior_tree(model, {"effect": np.zeros((4, 1000, 2))})
    >>> tree.posterior["effect"].sel(school="B").shape
    (4, 1000)
    """
    coords, dims = coords_and_dims_for_inferencedata(model)
    observed = {
        variable.name: extract_obs_data(model.rvs_to_values[variable])
        for variable in model.observed_RVs
        if not (depends_on_generator(value := model.rvs_to_values[variable]) or _is_window(value))
    }
    groups = {
        "posterior": posterior,
        "sample_stats": sample_stats,
        "observed_data": observed,
        "constant_data": find_constants(model),
    }
    filled = {name: group for name, group in groups.items() if group}
    described = [name for name in ("posterior", "sample_stats") if name in filled]
    kept = {name: dict(attrs or {}) for name in described}
    kept["posterior"] |= dict(posterior_attrs or {})
    return from_dict(
        filled,
        coords=_matching_coords(coords, dims, filled.values()),
        dims=dims,
        # It would take few draws of many chains for a mistake.
        check_conventions=False,
        attrs=kept,
    )


def _matching_coords(
    coords: Mapping[str, Any],
    dims: Mapping[str, Sequence[str | None]],
    groups: Iterable[Mapping[str, NDArray[Any]]],
) -> dict[str, Any]:
    """Leave out labels that do not fit the values: the draws are worth more than their labels."""
    matching = dict(coords)
    for name, values in (item for group in groups for item in group.items()):
        lengths = np.shape(values)[::-1]
        for dim, length in zip(reversed(dims.get(name, ())), lengths, strict=False):
            if dim in matching and len(matching[dim]) != length:
                warnings.warn(
                    f"The coords of dim {dim!r} are left out: {len(matching[dim])} labels for "
                    f"the {length} values of {name!r}.\n"
                    "Hint: pass new labels together with new data, by.set_data(..., coords=...).",
                    UserWarning,
                    stacklevel=3,
                )
                del matching[dim]
    return matching


def _is_window(variable: Variable) -> bool:
    """Tell whether a variable depends on rows of which a part is in memory."""
    return any(window_of(ancestor) is not None for ancestor in ancestors([variable]))
