"""Exchanges the values of data containers, with their lengths and coords: all, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymc.exceptions import ShapeError

from bayou.containers.columns import columns_of
from bayou.containers.dims import (
    by_dim,
    dims_of,
    evaluate_length,
    model_of_context,
    read_coords,
    read_labels,
    refuse_other_labels,
    resize,
    write,
)
from bayou.containers.impute import check_masks
from bayou.containers.left_out import keep, whole_dim
from bayou.containers.new_values import check_features, exports, read_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytensor.compile.sharedvalue import SharedVariable

    from bayou.containers.dims import Arrays, Labels
    from bayou.containers.labelled import LabelledArray
    from bayou.containers.left_out import AllRows, Kept
    from bayou.containers.new_values import NewValues


def set_data(new_data: Any, *, coords: Mapping[str, Any] | None = None, model: Any = None) -> None:
    """Exchange the values of data containers, with their lengths and coords, all or none.

    Nothing is compiled again: a model with new values of the same rank runs on.

    Parameters
    ----------
    new_data : mapping of str to (array_like, pandas.Series or pandas.DataFrame)
        New values by the names of containers, made by `Data` or ``pm.Data``. A value has the rank
        of the old one and is cast to the container's dtype, where that is exact.
    coords : mapping of str to sequence, optional
        New labels of dims of these containers. Without them, the index of a container that
        exports its index gives the labels; else the old ones stay if the length does, and are
        counted on if they only count from 0.
    model : pymc.Model, optional
        The model that holds the containers; by default that of the context.

    Raises
    ------
    pymc.exceptions.ShapeError
        If a value has another rank, if containers that share a dim would differ in its length, if
        the new labels are not as many as the rows, or if a length is fixed.
    TypeError
        If there is no model, a name is not that of a data container, or a value holds anything
        else than numbers and booleans.
    ValueError
        If a name is unknown, if a value is ragged, has missing values or loses some by the cast,
        or if `coords` are missing or name no dim of these containers.

    Notes
    -----
    After PyMC3's ``set_data``.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     x = by.Data("x", [1.0, 2.0, 3.0], dims="row", coords={"row": ["a", "b", "c"]})
    ...     by.set_data({"x": [4, 5]}, coords={"row": ["d", "e"]})
    >>> x.get_value(), model.coords["row"]
    (array([4., 5.]), ('d', 'e'))
    """
    owner = model_of_context(model)
    given = read_coords(coords)
    fresh = read_values(owner, new_data, given)
    for variable in fresh:
        check_features(owner, variable, given)
    kept = _kept(owner, fresh)
    old_labels = {dim: labels for dim, labels in owner.coords.items() if dim not in kept}
    arrays: Arrays = {variable: new.table.array for variable, new in fresh.items()}
    for dim, rows in kept.items():
        whole = whole_dim(owner, dim)
        old_labels[dim] = owner.coords[dim] if whole is None else whole.labels
        arrays |= {variable: all_rows.values for variable, all_rows in rows.containers.items()}
    new_lengths = _agreed_lengths(owner, arrays)
    exported = _exported_labels(owner, {variable: new.table for variable, new in fresh.items()})
    labels = _new_labels(old_labels, new_lengths, given, exported)
    whole_labels = {dim: labels.get(dim, old_labels[dim]) for dim in kept}
    for dim, rows in kept.items():
        arrays |= rows.arrays()
        new_lengths[dim] = rows.length
        if (found := whole_labels[dim]) is not None:
            labels[dim] = rows.labelled(found)
    check_masks(arrays)
    lengths = resize(owner, arrays, new_lengths)
    write(owner, arrays, labels, lengths)
    for dim, rows in kept.items():
        for variable, all_rows in rows.containers.items():
            rows.note(variable, all_rows, whole_labels[dim])
    for variable, new in fresh.items():
        columns = columns_of(variable)
        if columns is not None:
            variable.tag.columns = replace(columns, source=new.source)


def _kept(owner: Any, fresh: Mapping[Any, NewValues]) -> dict[str, Kept]:
    """Return which rows are left, of each dim in which some are left out, or were."""
    by_dim: dict[str, dict[Any, AllRows]] = {}
    for variable, new in fresh.items():
        dim = next(iter(dims_of(owner, variable)), None)
        if dim is not None:
            by_dim.setdefault(dim, {})[variable] = new.rows
    return {
        dim: keep(owner, dim, rows)
        for dim, rows in by_dim.items()
        if whole_dim(owner, dim) is not None or any(own.lacking.any() for own in rows.values())
    }


def _exported_labels(
    owner: Any, tables: Mapping[SharedVariable, LabelledArray]
) -> dict[str, Labels]:
    """Return the labels that the indices of the new values give, one set for each dim."""
    exported: dict[str, Labels] = {}
    for variable, table in tables.items():
        if not exports(variable):
            continue
        what = f"The index of `new_data[{variable.name!r}]`"
        by_axis = [None if index is None else read_labels(index, what) for index in table.labels]
        for dim, labels in by_dim(dims_of(owner, variable), by_axis).items():
            refuse_other_labels(dim, exported.setdefault(dim, labels), labels)
    return exported


def _agreed_lengths(owner: Any, arrays: Arrays) -> dict[str, int]:
    """Return the new length of each dim of these containers, on which all containers agree."""
    sizes: dict[str, dict[str, int]] = {
        dim: {} for variable in arrays for dim in dims_of(owner, variable) if dim is not None
    }
    for variable in owner.root.data_vars:
        for axis, dim in enumerate(dims_of(owner, variable)):
            if dim in sizes:
                sizes[dim][variable.name] = evaluate_length(variable.shape[axis], arrays)
    for dim, by_name in sizes.items():
        if len(set(by_name.values())) > 1:
            lengths = ", ".join(f"{size} in {name!r}" for name, size in by_name.items())
            raise ShapeError(
                f"Data containers that share the dim {dim!r} must agree in its length, "
                f"got {lengths}.\nHint: pass them in the same `set_data`."
            )
    return {dim: next(iter(by_name.values())) for dim, by_name in sizes.items()}


def _new_labels(
    old_labels: Mapping[str, Labels | None],
    lengths: Mapping[str, int],
    given: dict[str, Labels],
    exported: dict[str, Labels],
) -> dict[str, Labels]:
    """Return the labels of the dims whose labels change."""
    for dim, labels in given.items():
        if dim not in lengths:
            raise ValueError(
                f"`coords` must label dims of the containers in `new_data`, which are "
                f"{tuple(lengths)}, got {dim!r}.\nHint: leave it out, or pass its container too."
            )
        if len(labels) != lengths[dim]:
            raise ShapeError(
                f"`coords[{dim!r}]` must fit the new length {lengths[dim]}, "
                f"got {len(labels)} labels.\n"
                "Hint: pass one label for each entry along the axis."
            )
    changed = exported | given
    for dim, length in lengths.items():
        old = old_labels[dim]
        if dim in changed or old is None or len(old) == length:
            continue
        if old != tuple(range(len(old))):
            raise ValueError(
                f"`coords` must give new labels for the dim {dim!r}, whose {len(old)} labels do "
                f"not fit the new length {length}.\n"
                f"Hint: pass `coords={{{dim!r}: labels}}` with {length} labels."
            )
        changed[dim] = tuple(range(length))
    return changed
