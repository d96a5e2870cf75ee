"""The dim that new rows are along: that of the first axis of what is observed, or another.

Data by area and day may have new areas or new days. The lengths of the new values tell, or their
labels, or else the variables that were fitted: those of a dim that did not change keep their draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pytensor.graph.traversal import walk

from bayou.containers.variables.dims import dims_of
from bayou.models.inputs import storage_of
from bayou.prediction.graph.forward_graph import containers_of, predictable
from bayou.storage.storable_labels import storable_labels
from bayou.text import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pymc as pm
    import scipy.sparse
    from pytensor.graph.basic import Variable

    from bayou.containers.reading.labelled_array import LabelledArray
    from bayou.containers.variables.dims import Dims, Numbers


def choose_row_dim(
    model: pm.Model,
    names: Sequence[str],
    passed: Mapping[Variable, LabelledArray],
    fitted: Collection[str],
) -> str | None:
    """Return the dim that new rows are along; None for that of the first axis.

    Parameters
    ----------
    model : pymc.Model
        The model.
    names : sequence of str
        The variables to predict.
    passed : mapping of Variable to LabelledArray
        The new values, by container.
    fitted : collection of str
        The free variables that there are draws of.

    Raises
    ------
    ValueError
        If several dims may be that of the rows, and it matters which.
    """
    by_container = {container: dims_of(model, container) for container in passed}
    reached = {dim for dims in by_container.values() for dim in dims}
    candidates = [dim for dim in observed_dims(model, names) if dim in reached]
    if len(candidates) < 2:
        return next(iter(candidates), None)
    users = {dim: _variables_of(model, names, dim, fitted) for dim in candidates}
    states = {dim: _has_changed(model, dim, passed, by_container) for dim in candidates}
    changed = [dim for dim in candidates if states[dim]]
    if changed:
        # Of variables along a further dim that changed there are no draws.
        for dim in changed:
            if not any(users[other] for other in changed if other != dim):
                return dim
        raise _several_changed_error(changed, users)
    unused = [dim for dim in candidates if not users[dim]]
    if unused:
        return unused[0]
    unknown = [dim for dim in candidates if states[dim] is None]
    if len(unknown) == 1:
        return unknown[0]
    raise _none_changed_error(candidates, users)


def changed_lengths(
    model: pm.Model,
    names: Sequence[str],
    passed: Mapping[Variable, LabelledArray],
    row_dims: Collection[str],
) -> dict[str, int]:
    """Return the new lengths of dims of what is observed, other than that of the rows."""
    others = set(observed_dims(model, names)) - set(row_dims)
    return {
        dim: length
        for container, (array, _) in passed.items()
        for dim, length, old in zip(
            dims_of(model, container),
            array.shape,
            storage_of(container).get_value(borrow=True).shape,
            strict=True,
        )
        if dim in others and length != old
    }


def in_model_order(
    model: pm.Model, container: Variable, values: LabelledArray, row_dims: Collection[str]
) -> Numbers | scipy.sparse.csr_matrix:
    """Return new values with what is along other dims than the rows in the order of the model.

    Only where the labels are those of the model.
    """
    array = values.array
    for axis, (dim, labels) in enumerate(
        zip(dims_of(model, container), values.labels, strict=True)
    ):
        known = _labels_of(model, dim)
        if dim in row_dims or labels is None or known is None:
            continue
        found = pd.Index(storable_labels(labels))
        if found.is_unique and len(found) == len(known) and set(found) == set(known):
            array = array.take(found.get_indexer(known), axis)
    return array


def _labels_of(model: pm.Model, dim: str | None) -> pd.Index | None:
    labels = None if dim is None else model.coords.get(dim)
    return None if labels is None else pd.Index(storable_labels(labels))


def observed_dims(model: pm.Model, names: Sequence[str]) -> list[str]:
    """Return the dims that all observed variables that are asked for have, in their order."""
    asked = [variable for variable in model.observed_RVs if variable.name in names]
    observed = asked or model.observed_RVs
    dims = [_dims_with_data(model, variable) for variable in observed]
    return [dim for dim in next(iter(dims), ()) if all(dim in others for others in dims)]


def _dims_with_data(model: pm.Model, variable: Variable) -> list[str]:
    """Return the dims of an observed variable, and of the containers that it observes."""
    containers = containers_of([model.rvs_to_values[variable]])
    dims = (dim for part in (variable, *containers) for dim in dims_of(model, part))
    return list(dict.fromkeys(dim for dim in dims if dim is not None))


def _variables_of(
    model: pm.Model, names: Sequence[str], dim: str, fitted: Collection[str]
) -> list[str]:
    """Return the free variables with draws along a dim that the predictions depend on."""
    drawn = {variable for variable in model.free_RVs if variable.name in fitted}
    reached = walk(
        [predictable(model)[name] for name in names],
        lambda variable: (
            [] if variable in drawn or variable.owner is None else variable.owner.inputs
        ),
    )
    return sorted(v.name for v in drawn.intersection(reached) if dim in dims_of(model, v))


def _has_changed(
    model: pm.Model,
    dim: str,
    passed: Mapping[Variable, LabelledArray],
    by_container: Mapping[Variable, Dims],
) -> bool | None:
    """Return whether a dim has another length or other labels; None where there are no labels."""
    known = _labels_of(model, dim)
    is_same = False
    for container, values in passed.items():
        if dim not in by_container[container]:
            continue
        axis = by_container[container].index(dim)
        old = storage_of(container).get_value(borrow=True).shape[axis]
        labels = values.labels[axis]
        if values.array.shape[axis] != old:
            return True
        # A frame without an index of its own counts its rows.
        if labels is None or known is None or isinstance(labels, pd.RangeIndex):
            continue
        if set(storable_labels(labels)) != set(known):
            return True
        is_same = True
    return False if is_same else None


def _several_changed_error(changed: Sequence[str], users: Mapping[str, list[str]]) -> ValueError:
    names = [name for dim in changed for name in users[dim]]
    return ValueError(
        f"`data` must have new rows along one dim, got other lengths or labels of {listed(changed)}"
        f", along which {listed(dict.fromkeys(names))} were fitted.\n"
        "Hint: predict for new entries of one dim at a time; or leave the draws of a variable out, "
        f"tree.posterior.to_dataset().drop_vars({names[0]!r}), to draw it from its prior."
    )


def _none_changed_error(dims: Sequence[str], users: Mapping[str, list[str]]) -> ValueError:
    names = [name for dim in dims for name in users[dim]]
    return ValueError(
        f"`data` must tell along which of the dims {listed(dims)} their rows are new, got the "
        f"lengths and labels that the model has. Along each of them a variable was fitted, "
        f"{listed(dict.fromkeys(names))}; those of new rows are drawn from their prior.\n"
        "Hint: pass values with labels of their own, xarray.DataArray(values, coords=...). For "
        "other values of the same rows, use by.set_data and pm.sample_posterior_predictive."
    )
