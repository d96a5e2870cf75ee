"""Draws as an ArviZ tree, with the dims, coords and data that the model has now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
from arviz_base import from_dict
from pymc.backends.arviz import find_constants
from pymc.pytensorf import extract_obs_data
from pytensor.graph.traversal import ancestors

from bayou.containers.variables.source_variable import window_of
from bayou.errors import failure_text, warn, warning_of_failure
from bayou.models.inputs import depends_on_generator
from bayou.storage.storable_labels import storable_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray
    from pytensor.graph.basic import Variable

    from bayou.containers.variables.dims import Numbers


type NamedArrays = Mapping[str, Numbers]
"""Arrays by the names of variables, such as their draws."""


def posterior_tree(
    model: pm.Model,
    posterior: NamedArrays,
    *,
    sample_stats: NamedArrays | None = None,
    more_groups: Mapping[str, NamedArrays] | None = None,
    attrs: Mapping[str, object] | None = None,
    posterior_attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Return draws from a posterior as ArviZ reads them.

    An observed minibatch is shown with all of the data that it is drawn from. What a generator
    feeds is left out, since its items come once, and so are rows of a source that are not all in
    memory, and sparse matrices, which a tree would hold as dense ones.

    Parameters
    ----------
    model : pymc.Model
        Its dims, coords, and observed and constant data are taken, as they are now.
    posterior : mapping of str to ndarray, shape (chains, draws, ...)
        The draws of each variable.
    sample_stats : mapping of str to ndarray, shape (chains, draws, ...), optional
        Statistics of each draw.
    more_groups : mapping of str to mapping of str to ndarray, shape (chains, draws, ...), optional
        Other groups by their names, such as ``log_likelihood``.
    attrs : mapping of str to object, optional
        Attributes of the groups with chains and draws, ``inference_library`` among them.
    posterior_attrs : mapping of str to object, optional
        Attributes of the group ``posterior`` alone, such as the provenance of the draws.

    Returns
    -------
    xarray.DataTree
        With those of the groups ``posterior``, ``sample_stats``, `more_groups`, ``observed_data``
        and ``constant_data`` that are not empty.

    Warns
    -----
    UserWarning
        If a dim has more or fewer labels than values, whose labels are left out, or data or dims
        of the model cannot be read.

    Examples
    --------
    >>> with pm.Model(coords={"school": ["A", "B"]}) as model:
    ...     effect = pm.Normal("effect", dims="school")
    >>> tree = posterior_tree(model, {"effect": np.zeros((4, 1000, 2))})
    >>> tree.posterior["effect"].sel(school="B").shape
    (4, 1000)
    """
    groups: dict[str, NamedArrays | None] = {
        "posterior": posterior,
        "sample_stats": sample_stats,
        **(more_groups or {}),
    }
    drawn = tuple(groups)
    hint = "the draws are complete; the rest is in the model."
    with warning_of_failure("The observed data are not in the tree", hint):
        groups["observed_data"] = _observed_data(model)
    with warning_of_failure("The constant data are not in the tree", hint):
        groups["constant_data"] = _constant_data(model)
    # An empty group would be written as one without variables.
    filled = {name: group for name, group in groups.items() if group}
    group_attrs = {name: dict(attrs or {}) for name in drawn if name in filled}
    group_attrs["posterior"] |= dict(posterior_attrs or {})
    # It would take few draws of many chains for a mistake.
    to_tree = partial(from_dict, check_conventions=False, attrs=group_attrs, save_warmup=True)
    try:
        labels = {
            dim: storable_labels(each) for dim, each in model.coords.items() if each is not None
        }
        dims = {name: list(named) for name, named in model.named_vars_to_dims.items()}
        coords = _matching_coords(labels, dims, filled.values())
        return to_tree(filled, coords=coords, dims=dims)
    except Exception as error:
        warn(f"The tree has no dims and coords of the model: {failure_text(error)}.\nHint: {hint}")
    return to_tree(filled)


def _observed_data(model: pm.Model) -> dict[str, Numbers]:
    return {
        variable.name: extract_obs_data(model.rvs_to_values[variable])
        for variable in model.observed_RVs
        if not (depends_on_generator(value := model.rvs_to_values[variable]) or _has_window(value))
    }


def _constant_data(model: pm.Model) -> dict[str, Numbers]:
    return {
        name: values
        for name, values in find_constants(model).items()
        if not scipy.sparse.issparse(values)
    }


def _matching_coords(
    coords: Mapping[str, NDArray[np.generic]],
    dims: Mapping[str, Sequence[str | None]],
    groups: Iterable[NamedArrays],
) -> dict[str, NDArray[np.generic]]:
    """Return the coords without labels that do not fit the values.

    An error here would cost the user the draws.
    """
    matching = dict(coords)
    for name, values in (item for group in groups for item in group.items()):
        # Draws have axes for chains and draws before those of the dims.
        lengths = np.shape(values)[::-1]
        for dim, length in zip(reversed(dims.get(name, ())), lengths, strict=False):
            if dim in matching and len(matching[dim]) != length:
                warn(
                    f"The coords of dim {dim!r} are left out: {len(matching[dim])} labels for "
                    f"the {length} values of {name!r}.\n"
                    "Hint: pass new labels together with new data, by.set_data(..., coords=...)."
                )
                del matching[dim]
    return matching


def _has_window(variable: Variable) -> bool:
    """Return whether a variable depends on rows of a source that are not all in memory."""
    return any(window_of(ancestor) is not None for ancestor in ancestors([variable]))
